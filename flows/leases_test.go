package flows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
	"kartotek/store/storetest"
)

func (d *desk) claim(sp *Spool, want int) []mta.Letter {
	d.t.Helper()
	got, err := sp.Claim(d.t.Context(), "me", 10, 0, time.Minute)
	if d.must(err); len(got) != want {
		d.t.Fatalf("claimed %d letters, want %d", len(got), want)
	}
	return got
}

// TestVerdictOfAnEarlierLease: a letter is frozen and let go on while it is on
// the wire, and the same sender takes it again. What came of the first attempt
// says nothing of the second one.
func TestVerdictOfAnEarlierLease(t *testing.T) {
	for _, state := range []mta.State{mta.Refused, mta.Delivered, mta.Deferred} {
		t.Run(string(state), func(t *testing.T) {
			d := newDesk(t)
			d.bring(marie, Pending)
			d.pass(time.Second)
			id := d.newest(marie).SubscriberID
			sp := d.Spool()
			first := d.claim(sp, 1)
			_, err := d.Freeze(t.Context(), anna, id, "the person disputes the data")
			d.must(err)
			_, err = d.Unfreeze(t.Context(), anna, id, "settled")
			d.must(err)
			second := d.claim(sp, 1)
			if second[0].ID != first[0].ID || second[0].Attempts != 2 {
				t.Fatalf("claimed letter %d, attempt %d", second[0].ID, second[0].Attempts)
			}
			if err := sp.Mark(t.Context(), first[0], mta.Verdict{State: state, At: d.time, Retry: d.time}); !errors.Is(err, mta.ErrLost) {
				t.Errorf("the first verdict: %v", err)
			}
			d.claim(sp, 0)
			d.must(sp.Mark(t.Context(), second[0], mta.Verdict{State: mta.Delivered, At: d.time}))
			if len(sp.claimed) != 0 {
				t.Errorf("%d letters are still in hand", len(sp.claimed))
			}
			d.checkOutbox()
		})
	}
}

// TestLateToRenew: a letter on the wire is not claimed again by its own sender,
// whose lease has ended; it is his until another takes it.
func TestLateToRenew(t *testing.T) {
	d := newDesk(t)
	d.letters(2, store.LetterDue)
	d.pass(time.Second)
	sp := d.Spool()
	got := d.claim(sp, 2)
	d.pass(2 * time.Minute)
	d.claim(sp, 0)
	d.must(sp.Mark(t.Context(), got[0], mta.Verdict{State: mta.Delivered, At: d.time}))
	if taken, err := d.Spool().Claim(t.Context(), "another", 10, 0, time.Minute); err != nil || len(taken) != 1 {
		t.Fatalf("another claimed %d letters, %v", len(taken), err)
	}
	if err := sp.Mark(t.Context(), got[1], mta.Verdict{State: mta.Delivered, At: d.time}); !errors.Is(err, mta.ErrLost) {
		t.Errorf("a verdict after another took the letter: %v", err)
	}
	d.checkOutbox()
}

// TestForgottenLetter: a letter whose verdict never came waits for another
// attempt, when its lease has ended.
func TestForgottenLetter(t *testing.T) {
	d := newDesk(t)
	d.letters(2, store.LetterDue)
	d.pass(time.Second)
	sp := d.Spool()
	got := d.claim(sp, 2)
	sp.Forget(got[0])
	d.claim(sp, 0)
	d.must(sp.Mark(t.Context(), got[1], mta.Verdict{State: mta.Delivered, At: d.time}))
	d.pass(time.Minute)
	again := d.claim(sp, 1)
	if again[0].ID != got[0].ID || again[0].Attempts != 2 {
		t.Errorf("claimed letter %d, attempt %d", again[0].ID, again[0].Attempts)
	}
	d.must(sp.Mark(t.Context(), again[0], mta.Verdict{State: mta.Delivered, At: d.time}))
	d.checkOutbox()
}

// TestPuttingBackFails: a letter that can't be opened isn't put back, as the
// store went away after the claim. It waits nevertheless, and is counted.
func TestPuttingBackFails(t *testing.T) {
	place := storetest.At(t, t.TempDir())
	d := deskOn(t, place)
	all := d.letters(2, store.LetterDue)
	d.pass(time.Second)
	if _, err := storetest.SQL(t, place).Exec(`UPDATE bodies SET sealed = ? WHERE letter_id = ?`, []byte("rubbish"), all[0]); err != nil {
		t.Fatal(err)
	}
	sp := d.Spool()
	ctx, away := context.WithCancel(t.Context())
	d.SetClock(func() time.Time {
		sp.mu.Lock()
		defer sp.mu.Unlock()
		if len(sp.leases) > 0 { // the claim is kept
			away()
		}
		return d.time
	})
	got, err := sp.Claim(ctx, "me", 10, 0, time.Minute)
	if !errors.Is(err, store.ErrSealed) || !errors.Is(err, context.Canceled) || len(got) != 1 {
		t.Fatalf("claimed %d letters, %v", len(got), err)
	}
	d.must(sp.Mark(t.Context(), got[0], mta.Verdict{State: mta.Delivered, At: d.time}))
	for range 2 {
		if got, err := sp.Claim(t.Context(), "me", 10, 0, time.Minute); !errors.Is(err, store.ErrSealed) || len(got) != 0 {
			t.Fatalf("claimed %d letters, %v", len(got), err)
		}
		d.checkOutbox()
		d.pass(time.Minute)
	}
}

// TestClickBeforeTheVerdict: somebody who comes back clicks before it is written
// that the letter was handed over, and has that on the new card all the same.
func TestClickBeforeTheVerdict(t *testing.T) {
	for _, again := range []bool{false, true} { // by a process that has the letter in hand, and by one that looks
		t.Run(fmt.Sprintf("looked up %t", again), func(t *testing.T) {
			d := newDesk(t)
			ctx := t.Context()
			d.bring(marie, Deleted)
			d.signUp(marie, "news")
			link := d.link("confirm")
			sp := d.Spool()
			l := d.claim(sp, 1)[0]
			if page, err := d.Confirm(ctx, link, click); err != nil || page.State != PageDone {
				t.Fatalf("confirming: %s, %v", page.State, err)
			}
			if again {
				clear(sp.claimed)
			}
			d.must(sp.Mark(ctx, l, mta.Verdict{State: mta.Delivered, At: d.time, Code: 250, Host: "mx.example.dk"}))
			acts, err := d.store.EvidenceOf(ctx, d.newest(marie).SubscriberID)
			d.must(err)
			if !slices.ContainsFunc(acts, func(e *store.Evidence) bool { return e.Kind == store.LetterSent }) {
				t.Errorf("%d acts on the new card, and none is the letter's", len(acts))
			}
			d.check()
		})
	}
}
