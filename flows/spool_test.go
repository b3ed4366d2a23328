package flows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
	"kartotek/store/storetest"
)

// letters puts n letters that belong to no card into the outbox.
func (d *desk) letters(n int, state store.LetterState) (ids []int64) {
	d.t.Helper()
	d.must(d.store.InTx(d.t.Context(), func(tx *store.Tx) error {
		ids = nil
		for i := range n {
			to := fmt.Sprintf("p%d@example.com", i)
			l := &store.Letter{Kind: "test", ToMasked: "p*@exam***.com", State: state, DueAt: store.At(d.time) + store.Micros(i), CreatedAt: store.At(d.time)}
			if err := tx.Enqueue(d.t.Context(), l, store.Envelope{From: "news@sender.test", To: to, Data: []byte("Subject: x\r\n\r\nhi\r\n")}); err != nil {
				return err
			}
			ids = append(ids, l.ID)
		}
		return nil
	}))
	return ids
}

func numbers64(letters []mta.Letter) (ids []int64) {
	for _, l := range letters {
		ids = append(ids, l.ID)
	}
	return ids
}

// What somebody waits for goes first, beyond what is asked for of the others.
func TestUrgentLettersAreClaimedFirst(t *testing.T) {
	d := newDesk(t)
	bulk, urgent := d.letters(5, store.LetterDue), d.letters(3, store.LetterUrgent)
	d.pass(time.Second)
	sp := d.Spool()
	got, err := sp.Claim(t.Context(), "me", 2, 2, time.Minute)
	d.must(err)
	if want := append(urgent, bulk[0]); !slices.Equal(numbers64(got), want) || !got[0].Urgent || got[3].Urgent {
		t.Errorf("claimed %v, want %v", numbers64(got), want)
	}
	got, err = sp.Claim(t.Context(), "me", 0, 5, time.Minute)
	d.must(err)
	if len(got) != 0 {
		t.Errorf("claimed %v as urgent", numbers64(got))
	}
	d.checkOutbox()
}

// Two senders that claim at once never have the same letter, and a letter whose
// lease has ended is the next one's, with its attempt counted.
func TestLeases(t *testing.T) {
	d := newDesk(t)
	d.letters(60, store.LetterDue)
	d.pass(time.Second)
	var mu sync.Mutex
	var wg sync.WaitGroup
	type holder struct {
		owner  string
		sp     *Spool
		letter mta.Letter
	}
	held := map[int64]holder{}
	spools := map[string]*Spool{"a": d.Spool(), "b": d.Spool(), "c": d.Spool()}
	for owner, sp := range spools {
		wg.Go(func() {
			for {
				got, err := sp.Claim(t.Context(), owner, 7, 0, time.Minute)
				if err != nil {
					t.Error(err)
				}
				if err != nil || len(got) == 0 {
					return
				}
				mu.Lock()
				for _, l := range got {
					if other := held[l.ID]; other.sp != nil {
						t.Errorf("letter %d is %s's and %s's", l.ID, other.owner, owner)
					}
					held[l.ID] = holder{owner, sp, l}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(held) != 60 {
		t.Fatalf("%d letters were claimed", len(held))
	}
	d.must(spools["a"].Renew(t.Context(), "a", 2*time.Minute))
	d.pass(90 * time.Second)
	again, err := d.Spool().Claim(t.Context(), "d", 100, 0, time.Minute)
	d.must(err)
	for _, l := range again {
		h := held[l.ID]
		if h.owner == "a" || l.Attempts != 2 {
			t.Errorf("letter %d of %s, attempt %d", l.ID, h.owner, l.Attempts)
		}
		if err := h.sp.Mark(t.Context(), h.letter, mta.Verdict{State: mta.Delivered, At: d.time}); !errors.Is(err, mta.ErrLost) {
			t.Errorf("a mark after the lease: %v", err)
		}
	}
	d.checkOutbox()
}

// Marks that come at once are written together, and each letter has its own.
func TestMarksTogether(t *testing.T) {
	d := newDesk(t)
	d.letters(100, store.LetterDue)
	d.pass(time.Second)
	sp := d.Spool()
	got, err := sp.Claim(t.Context(), "me", 100, 0, time.Minute)
	d.must(err)
	states := []mta.State{mta.Delivered, mta.Refused, mta.Deferred, mta.Postponed}
	var wg sync.WaitGroup
	for i, l := range got {
		wg.Go(func() {
			v := mta.Verdict{State: states[i%4], Code: 200 + i, Reply: fmt.Sprint("words on ", l.ID), At: d.time, Retry: d.time.Add(time.Hour)}
			if i == 50 {
				other := l
				other.Lease++
				if err := sp.Mark(t.Context(), other, v); !errors.Is(err, mta.ErrLost) {
					t.Errorf("a mark of another lease: %v", err)
				}
			}
			if err := sp.Mark(t.Context(), l, v); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, l := range got {
		row, err := d.Letter(t.Context(), anna, l.ID)
		d.must(err)
		want := []string{"delivered", "refused", "deferred", "due"}[i%4]
		words, attempts := fmt.Sprint("words on ", l.ID), 1
		if i%4 == 3 {
			words, attempts = "", 0 // nobody was asked
		}
		if row.State != want || row.Reply != words || row.Attempts != attempts {
			t.Errorf("letter %d: %+v", l.ID, row)
		}
	}
	if len(sp.claimed) != 0 {
		t.Errorf("%d letters are still remembered", len(sp.claimed))
	}
	d.checkOutbox()
}

// TestPostponedLettersStayUrgent: a letter that somebody waits for goes first
// when its destination takes some again, and as a first attempt.
func TestPostponedLettersStayUrgent(t *testing.T) {
	d := newDesk(t)
	d.letters(1, store.LetterUrgent)
	d.pass(time.Second)
	for range 2 {
		sp := d.Spool()
		got, err := sp.Claim(t.Context(), "me", 10, 0, time.Minute)
		d.must(err)
		if len(got) != 1 || !got[0].Urgent || got[0].Attempts != 1 {
			t.Fatalf("claimed %+v", got)
		}
		d.must(sp.Mark(t.Context(), got[0], mta.Verdict{State: mta.Postponed, At: d.time, Retry: d.time.Add(time.Minute)}))
		if early, err := sp.Claim(t.Context(), "me", 10, 0, time.Minute); len(early) != 0 || err != nil {
			t.Fatalf("claimed %d before its time, %v", len(early), err)
		}
		d.pass(time.Minute)
	}
	d.checkOutbox()
}

// The conversation of every attempt is kept, sealed, without what would tell
// who it was about, and goes with the person.
func TestConversationsAreKept(t *testing.T) {
	d := newDesk(t)
	d.signUp(marie, "news")
	id := int64(d.countLetters())
	for n := range 2 {
		sp := d.Spool()
		got, err := sp.Claim(t.Context(), "me", 1, 0, time.Minute)
		d.must(err)
		v := mta.Verdict{State: mta.Deferred, Code: 451, At: d.time, Retry: d.time.Add(time.Minute), Host: "mx.test", TLS: "TLS 1.3", Transcript: []string{"> MAIL FROM:<sender>", "< 451 not for EXAMPLE.dk now"}}
		if n == 1 {
			v.Transcript = []string{"< " + strings.Repeat("long ", 2000), "middle", strings.Repeat("x", 3000), "> QUIT"}
		}
		d.must(sp.Mark(t.Context(), got[0], v))
		d.pass(time.Hour)
	}
	story, err := d.Story(t.Context(), anna, id)
	d.must(err)
	if len(story.Tries) != 2 || story.Tries[0].Talk[1] != "< 451 not for <domain> now" || story.Tries[0].TLS != "TLS 1.3" {
		t.Fatalf("%+v", story)
	}
	if talk := story.Tries[1].Talk; len(strings.Join(talk, "")) > 2*maxTalk+2000 || talk[len(talk)-1] != "> QUIT" {
		t.Errorf("%d lines are kept", len(talk))
	}
	_, err = d.Erase(t.Context(), anna, marie, "asked")
	d.must(err)
	if left, err := d.store.Attempts(t.Context(), id); err != nil || len(left) != 0 {
		t.Errorf("after the erasure: %v, %v", left, err)
	}
}

// Each state can be leafed through by itself, however the letters lie.
func TestOutboxByState(t *testing.T) {
	d := newDesk(t)
	d.letters(12, store.LetterDue)
	d.letters(9, store.LetterUrgent)
	d.pass(time.Minute)
	sp := d.Spool()
	got, err := sp.Claim(t.Context(), "me", 7, 0, time.Minute)
	d.must(err)
	for _, l := range got[:3] {
		d.must(sp.Mark(t.Context(), l, mta.Verdict{State: mta.Refused, At: d.time}))
	}
	for state, want := range map[string]int{"due": 14, "sending": 4, "refused": 3, "delivered": 0, "": 21} {
		seen := map[int64]bool{}
		for after := int64(0); ; {
			page, err := d.Outbox(t.Context(), anna, state, after, 4)
			d.must(err)
			for _, l := range page {
				if seen[l.ID] || state != "" && l.State != state {
					t.Errorf("%s: letter %d, %s", state, l.ID, l.State)
				}
				seen[l.ID] = true
				after = l.ID
			}
			if len(page) < 4 {
				break
			}
		}
		if len(seen) != want {
			t.Errorf("%q: %d letters, want %d", state, len(seen), want)
		}
	}
}

// TestErasureTakesLettersInEveryState: also the one that waits for its next
// try, and the one that is being sent at this moment.
func TestErasureTakesLettersInEveryState(t *testing.T) {
	for _, state := range []string{"due", "sending", "deferred", "held", "refused", "delivered"} {
		t.Run(state, func(t *testing.T) {
			d := newDesk(t)
			id := d.letterIn(state)
			_, err := d.Erase(t.Context(), anna, marie, "asked")
			d.must(err)
			if _, err := d.Letter(t.Context(), anna, id); !errors.Is(err, ErrNotFound) {
				t.Errorf("the letter is still there: %v", err)
			}
			if _, err := d.store.Envelope(t.Context(), id); !errors.Is(err, ErrNotFound) {
				t.Errorf("its text is still there: %v", err)
			}
			if left, err := d.store.Attempts(t.Context(), id); err != nil || len(left) != 0 {
				t.Errorf("what was said about it is still there: %v, %v", left, err)
			}
			if err := d.Spool().Mark(t.Context(), mta.Letter{ID: id, Lease: 1}, mta.Verdict{State: mta.Delivered, At: d.time}); !errors.Is(err, mta.ErrLost) {
				t.Errorf("marking it: %v", err)
			}
			d.checkOutbox()
		})
	}
}

// TestMarksOfOnePoisonedLetter: what can't be written for one letter, whose token
// doesn't open, doesn't keep the others that are written with it.
func TestMarksOfOnePoisonedLetter(t *testing.T) {
	place := storetest.At(t, t.TempDir())
	d := deskOn(t, place)
	_, err := d.AddList(t.Context(), anna, "News")
	d.must(err)
	d.signUp(marie, "news")
	d.signUp("ole@example.dk", "news")
	d.letters(3, store.LetterUrgent)
	d.pass(time.Second)
	id := d.newest(marie).SubscriberID
	if _, err := storetest.SQL(t, place).Exec(`UPDATE tokens SET sealed = ? WHERE subscriber_id = ?`, []byte("rubbish"), id); err != nil {
		t.Fatal(err)
	}
	sp := d.Spool()
	got, err := sp.Claim(t.Context(), "me", 10, 0, time.Minute)
	if d.must(err); len(got) != 5 {
		t.Fatalf("claimed %d", len(got))
	}
	marks := []*mark{newMark(mta.Letter{ID: got[1].ID, Lease: got[1].Lease + 1}, mta.Verdict{State: mta.Delivered, At: d.time})}
	for _, l := range got {
		marks = append(marks, newMark(l, mta.Verdict{State: mta.Delivered, At: d.time}))
	}
	for _, m := range marks {
		d.must(sp.prepare(m))
	}
	sp.marks.waiting, sp.marks.under = marks, 1
	sp.write(t.Context())
	if !errors.Is(marks[0].err, mta.ErrLost) {
		t.Errorf("a mark of another lease: %v", marks[0].err)
	}
	for i, m := range marks[1:] {
		if bad := i == 0; (m.err != nil) != bad {
			t.Errorf("letter %d: %v", m.id, m.err)
		}
	}
}

// TestClaimOfDamagedLetters: one whose text doesn't open, or is gone, doesn't
// keep the others, and waits for somebody to see to it.
func TestClaimOfDamagedLetters(t *testing.T) {
	place := storetest.At(t, t.TempDir())
	d := deskOn(t, place)
	all := d.letters(4, store.LetterUrgent)
	d.pass(time.Second)
	db := storetest.SQL(t, place)
	if _, err := db.Exec(`UPDATE bodies SET sealed = ? WHERE letter_id = ?`, []byte("rubbish"), all[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`DELETE FROM bodies WHERE letter_id = ?`, all[2]); err != nil {
		t.Fatal(err)
	}
	sp := d.Spool()
	for range 2 {
		got, err := sp.Claim(t.Context(), "me", 10, 0, time.Minute)
		if !errors.Is(err, store.ErrSealed) || !errors.Is(err, store.ErrDamaged) {
			t.Errorf("claiming: %v", err)
		}
		for _, l := range got {
			d.must(sp.Mark(t.Context(), l, mta.Verdict{State: mta.Postponed, At: d.time, Retry: d.time}))
		}
		if len(got) != 2 || got[0].ID != all[1] || got[1].ID != all[3] {
			t.Errorf("claimed %d letters", len(got))
		}
		again, err := sp.Claim(t.Context(), "me", 10, 0, time.Minute)
		if err != nil || len(again) != 2 {
			t.Errorf("they don't wait: %d letters, %v", len(again), err)
		}
		for _, l := range again {
			d.must(sp.Mark(t.Context(), l, mta.Verdict{State: mta.Postponed, At: d.time, Retry: d.time}))
		}
		d.pass(time.Minute)
	}
}
