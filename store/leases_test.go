package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSpans packs ids and reads them again, and asks for each.
func TestSpans(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set := map[int64]bool{}
		var ids []any
		for _, id := range rapid.SliceOf(rapid.Int64Range(1, 400)).Draw(rt, "ids") {
			set[id] = true
		}
		for id := range int64(500) {
			if set[id] {
				ids = append(ids, id)
			}
		}
		s := spansOf(ids)
		got, err := parseSpans(s.bytes())
		if err != nil || !slices.Equal(got, s) {
			rt.Fatalf("%v became %v, %v", s, got, err)
		}
		if !slices.Equal(s.ids(), ids) || s.size() != len(ids) {
			rt.Fatalf("%v of %v", s, ids)
		}
		for id := range int64(500) {
			if s.has(id) != set[id] {
				rt.Fatalf("%v has %d: %v", s, id, s.has(id))
			}
		}
	})
}

// FuzzSpans reads what is no lease's letters: an error, and no memory.
func FuzzSpans(f *testing.F) {
	f.Add([]byte{1, 1, 2, 200, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSpans(text)
		if err != nil {
			return
		}
		if s.size() > maxLeased {
			t.Fatalf("%d letters", s.size())
		}
		at := int64(0)
		for _, x := range s {
			if x.first <= at || x.last < x.first {
				t.Fatalf("%v", s)
			}
			at = x.last
		}
	})
}

// modelLetter is what is known of a letter while it has a row.
type modelLetter struct {
	State    LetterState // of its row
	Due      Micros
	Attempts int
	Lease    int64
}

// queue is an outbox beside a model of it.
type queue struct {
	s       *Store
	rt      *rapid.T
	ctx     context.Context
	now     Micros
	letters map[int64]*modelLetter
	until   map[int64]Micros // of leases
	owners  map[int64]string // of leases
	hand    map[string]map[int64]Letter
	heard   map[string]map[int64]bool // leases of claims whose answer came
}

func (q *queue) must(err error) {
	if err != nil {
		q.rt.Fatal(err)
	}
}

func (q *queue) enqueue(state LetterState, due Micros) {
	l := Letter{Kind: "x", ToMasked: "x", State: state, DueAt: due, CreatedAt: 1, SubscriberID: 1}
	q.must(q.s.InTx(q.ctx, func(tx *Tx) error { return tx.Enqueue(q.ctx, &l, Envelope{To: "a@example.com"}) }))
	q.letters[l.ID] = &modelLetter{State: state, Due: due}
}

// end takes back what is in leases that have ended.
func (q *queue) end() {
	for _, l := range q.letters {
		if l.Lease != 0 && q.until[l.Lease] <= q.now {
			*l = modelLetter{State: LetterDeferred, Due: l.Due, Attempts: l.Attempts + 1}
		}
	}
}

// claim claims, and may never hear what it got.
func (q *queue) claim(owner string, n, spare int, lost bool) {
	c := Claim{Owner: owner, Now: q.now, Until: q.now + 60, N: n, Spare: spare}
	for _, l := range q.hand[owner] {
		c.InHand = append(c.InHand, l.Lease())
	}
	for lease := range q.heard[owner] {
		if !slices.Contains(c.InHand, lease) {
			c.Over = append(c.Over, lease)
		}
	}
	for _, l := range q.letters {
		if l.Lease != 0 && q.owners[l.Lease] == owner && !slices.Contains(c.InHand, l.Lease) {
			q.until[l.Lease] = q.now // nobody knows of it
		}
	}
	q.end()
	free := map[LetterState]int{}
	for _, l := range q.letters {
		if l.Lease == 0 && l.State.Open() && l.Due <= q.now {
			free[l.State]++
		}
	}
	urgent := min(free[LetterUrgent], n+spare)
	want := urgent + min(free[LetterDue]+free[LetterDeferred], max(0, min(n, n+spare-urgent)))
	var got []Claimed
	q.must(q.s.InTx(q.ctx, func(tx *Tx) (err error) {
		got, err = tx.ClaimLetters(q.ctx, c)
		return err
	}))
	if len(got) != want {
		q.rt.Fatalf("%s claimed %d letters of %d", owner, len(got), want)
	}
	for _, l := range got {
		m := q.letters[l.ID]
		if m == nil || m.Lease != 0 || !m.State.Open() || m.Due > q.now || l.Was() != m.State || l.Attempts != m.Attempts+1 {
			q.rt.Fatalf("%s claimed %+v, which is %+v", owner, l.Letter, m)
		}
		m.Lease = l.row.lease
		q.until[m.Lease], q.owners[m.Lease] = c.Until, owner
		if !lost {
			q.hand[owner][l.ID] = l.Letter
			q.heard[owner][l.row.lease] = true
		}
	}
}

// verdict says what came of a letter in hand, and whether its lease was lost.
func (q *queue) verdict(owner string, l Letter, state LetterState, due Micros) {
	delete(q.hand[owner], l.ID)
	m := q.letters[l.ID]
	ours := m != nil && m.Lease == l.row.lease
	lost := false
	err := q.s.InTx(q.ctx, func(tx *Tx) error {
		if !state.Open() {
			return tx.EndLetters(q.ctx, []Letter{l}, state, q.now)
		}
		leased, err := tx.Leased(q.ctx, []int64{l.ID})
		now, ok := leased[l.ID]
		if lost = !ok || now.Owner != owner || now.row.lease != l.row.lease; lost || err != nil {
			return err
		}
		if state == LetterDue {
			return tx.PostponeLetter(q.ctx, now, due)
		}
		return tx.DeferLetter(q.ctx, now, due)
	})
	if errors.Is(err, ErrNotFound) {
		lost, err = true, nil
	}
	if q.must(err); lost == ours {
		q.rt.Fatalf("%s on letter %+v, %+v: lost is %v", owner, l, m, lost)
	}
	switch {
	case lost:
	case !state.Open():
		*m = modelLetter{State: state, Due: q.now, Attempts: m.Attempts + 1}
	case state == LetterDue:
		m.Due, m.Lease = due, 0
	default:
		*m = modelLetter{State: LetterDeferred, Due: due, Attempts: m.Attempts + 1}
	}
}

// move holds, releases, hurries or drops a letter, as staff do; a freeze holds
// one that is being sent too.
func (q *queue) move(id int64, how string) {
	m := q.letters[id]
	q.must(q.s.InTx(q.ctx, func(tx *Tx) error {
		l, err := tx.Letter(q.ctx, id)
		if err != nil {
			return err
		}
		switch how {
		case "drop":
			return tx.DropLetter(q.ctx, l)
		case "hold":
			return tx.MoveLetter(q.ctx, &l, LetterHeld, q.now)
		}
		return tx.MoveLetter(q.ctx, &l, LetterUrgent, q.now)
	}))
	if m.Lease != 0 {
		m.Attempts++
	}
	switch m.Lease, m.Due = 0, q.now; how {
	case "drop":
		delete(q.letters, id)
	case "hold":
		m.State = LetterHeld
	default:
		m.State = LetterUrgent
	}
}

// check compares every row, the leased ones, what is due and the counters.
func (q *queue) check() {
	want, leased, counts, due := map[int64]modelLetter{}, []int64{}, map[string]int64{}, false
	for id, l := range q.letters {
		want[id] = *l
		state := l.State
		if l.Lease != 0 {
			state = LetterSending
			leased = append(leased, id)
		}
		if name := state.counter(); name != "" {
			counts[state.String()]++
		}
		due = due || l.State.Open() && (l.Lease == 0 && l.Due <= q.now)
	}
	rows, err := q.s.Letters(q.ctx, 0, 1000)
	q.must(err)
	got := map[int64]modelLetter{}
	for _, l := range rows {
		got[l.ID] = modelLetter{l.row.state, l.row.due, l.row.attempts, l.row.lease}
		if in := l.row.lease; in != 0 && (l.State != LetterSending || l.Owner != q.owners[in] || l.DueAt != q.until[in] || l.Attempts != l.row.attempts+1) {
			q.rt.Fatalf("%+v is in lease %d of %s until %d", l, in, q.owners[in], q.until[in])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		q.rt.Fatalf("-want +got\n%s", diff)
	}
	sending, err := q.s.LettersIn(q.ctx, []LetterState{LetterSending}, 0, 0, 1000)
	q.must(err)
	ids := []int64{}
	for i, l := range sending {
		if i > 0 && (sending[i-1].DueAt < l.DueAt || sending[i-1].DueAt == l.DueAt && sending[i-1].ID < l.ID) {
			q.rt.Fatalf("%d stands before %d", sending[i-1].ID, l.ID)
		}
		ids = append(ids, l.ID)
	}
	slices.Sort(ids)
	if slices.Sort(leased); !slices.Equal(ids, leased) {
		q.rt.Fatalf("%v are being sent, not %v", ids, leased)
	}
	c, err := q.s.Counters(q.ctx)
	if q.must(err); fmt.Sprint(c.Letters) != fmt.Sprint(counts) {
		q.rt.Fatalf("%v are counted, not %v", c.Letters, counts)
	}
	if any, err := q.s.AnyDue(q.ctx, q.now); err != nil || due && !any {
		q.rt.Fatalf("something is due: %v, %v", any, err)
	}
}

// TestLeasesOfAQueue claims, judges, holds, releases and drops letters at
// random, with two senders, one of which may be away for longer than its leases:
// no letter is in two leases, none is lost, and whoever lost a lease is told.
func TestLeasesOfAQueue(t *testing.T) {
	s := open(t, t.TempDir())
	rapid.Check(t, func(rt *rapid.T) {
		q := &queue{
			s: s, rt: rt, ctx: context.Background(), now: 1000, letters: map[int64]*modelLetter{}, until: map[int64]Micros{}, owners: map[int64]string{},
			hand: map[string]map[int64]Letter{"a": {}, "b": {}}, heard: map[string]map[int64]bool{"a": {}, "b": {}},
		}
		q.must(s.InTx(q.ctx, func(tx *Tx) error { return tx.DropLetters(q.ctx, 1, 0) }))
		q.must(s.InTx(q.ctx, func(tx *Tx) error {
			all, err := tx.leases(q.ctx)
			return errors.Join(err, tx.dropLeases(q.ctx, all[:max(0, len(all)-1)]))
		}))
		for range rapid.IntRange(1, 40).Draw(rt, "acts") {
			q.act()
			q.check()
		}
	})
}

// act does something that may be done.
func (q *queue) act() {
	owner := rapid.SampledFrom([]string{"a", "b"}).Draw(q.rt, "owner")
	switch rapid.IntRange(0, 7).Draw(q.rt, "act") {
	case 0, 1:
		for range rapid.IntRange(1, 12).Draw(q.rt, "letters") {
			q.enqueue(rapid.SampledFrom([]LetterState{LetterDue, LetterDue, LetterUrgent}).Draw(q.rt, "state"), q.now+Micros(rapid.IntRange(-9, 9).Draw(q.rt, "due")))
		}
	case 2, 3:
		q.claim(owner, rapid.IntRange(1, 10).Draw(q.rt, "n"), rapid.IntRange(0, 3).Draw(q.rt, "spare"), rapid.IntRange(0, 9).Draw(q.rt, "lost") == 0)
	case 4, 5:
		for _, id := range ids(q.hand[owner]) {
			if rapid.Bool().Draw(q.rt, "verdict") {
				state := rapid.SampledFrom([]LetterState{LetterDelivered, LetterRefused, LetterDeferred, LetterDue}).Draw(q.rt, "of")
				q.verdict(owner, q.hand[owner][id], state, q.now+Micros(rapid.IntRange(0, 30).Draw(q.rt, "later")))
			}
		}
	case 6:
		for _, id := range ids(q.letters) {
			if l := q.letters[id]; (l.State.Open() || l.State == LetterHeld) && rapid.IntRange(0, 5).Draw(q.rt, "move") == 0 {
				q.move(id, rapid.SampledFrom([]string{"drop", "hold", "release"}).Draw(q.rt, "how"))
			}
		}
	default:
		q.now += Micros(rapid.IntRange(1, 40).Draw(q.rt, "pass"))
		if rapid.Bool().Draw(q.rt, "renew") {
			q.must(q.s.InTx(q.ctx, func(tx *Tx) error { return tx.RenewLeases(q.ctx, owner, q.now+60) }))
			for lease, of := range q.owners {
				if of == owner {
					q.until[lease] = q.now + 60
				}
			}
		}
	}
}

// ids are the keys in their order.
func ids[T any](of map[int64]T) (out []int64) {
	for id := range of {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// TestChangedBeforeItIsClaimed: whoever claims has looked before a letter is
// held, frozen or dropped, and looks again.
func TestChangedBeforeItIsClaimed(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	for name, change := range map[string]func(tx *Tx, l Letter) error{
		"held":   func(tx *Tx, l Letter) error { return tx.MoveLetter(ctx, &l, LetterHeld, 2) },
		"frozen": func(tx *Tx, _ Letter) error { return tx.HoldLetters(ctx, 1, true, 2) },
		"gone":   func(tx *Tx, _ Letter) error { return tx.DropLetters(ctx, 1, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			l := Letter{SubscriberID: 1, Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
			if err := s.InTx(ctx, func(tx *Tx) error { return tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"}) }); err != nil {
				t.Fatal(err)
			}
			l, err := s.Letter(ctx, l.ID)
			if err != nil {
				t.Fatal(err)
			}
			old, err := s.leases(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.InTx(ctx, func(tx *Tx) error { return change(tx, l) }); err != nil {
				t.Fatal(err)
			}
			err = s.InTx(ctx, func(tx *Tx) error {
				if err := tx.takeTurn(ctx, lease{id: old.next(), owner: "a", until: 9, letters: spans{{l.ID, l.ID}}}); !errors.Is(err, errConflict) {
					t.Errorf("claiming what was read before: %v", err)
				}
				return context.Canceled
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if turns, err := s.leases(ctx); err != nil || len(turns) != 1 {
				t.Errorf("%d turns are kept, %v", len(turns), err)
			}
		})
	}
}

// TestChangedWhileItIsClaimed: a letter that was read before it was claimed is
// changed as one that is being sent, or not at all. It can only happen on a
// server: an embedded store has one writer.
func TestChangedWhileItIsClaimed(t *testing.T) {
	s := open(t, t.TempDir())
	if !s.OnServer() {
		t.Skip("an embedded store has one writer")
	}
	ctx := t.Context()
	for i, change := range []func(tx *Tx, letters []Letter) error{
		func(tx *Tx, letters []Letter) error { return tx.DropLetter(ctx, letters[0]) },
		func(tx *Tx, letters []Letter) error {
			if err := tx.DropLetter(ctx, letters[1]); err != nil { // it takes the turn
				return err
			}
			return tx.DropLetter(ctx, letters[0])
		},
		func(tx *Tx, letters []Letter) error {
			if err := tx.unclaimed(ctx, letters...); err != nil {
				return err
			}
			return tx.moveLetter(ctx, &letters[0], LetterHeld, 1, withCard)
		},
	} {
		card := int64(i + 1)
		if err := s.InTx(ctx, func(tx *Tx) error {
			for _, due := range []Micros{1, 50} {
				l := Letter{SubscriberID: card, Kind: "x", ToMasked: "x", State: LetterDue, DueAt: due, CreatedAt: 1}
				if err := tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		tries := 0
		if err := s.InTx(ctx, func(tx *Tx) error {
			tries++
			letters, err := tx.LettersOf(ctx, card)
			if err != nil {
				return err
			}
			if tries == 1 { // before the turn is taken, and after the letters were read
				claimOnly(t, s, letters[0].ID)
			}
			return change(tx, letters)
		}); err != nil {
			t.Fatal(err)
		}
		if tries != 2 {
			t.Errorf("change %d took %d tries", i, tries)
		}
		c, err := s.Counters(ctx)
		if want := []string{"map[due:1]", "map[due:1]", "map[due:2 held:1]"}[i]; err != nil || fmt.Sprint(c.Letters) != want {
			t.Errorf("after change %d %v are counted, %v; want %v", i, c.Letters, err, want)
		}
	}
}

// claimOnly claims the one letter that is due at 10.
func claimOnly(t *testing.T, s *Store, id int64) {
	t.Helper()
	var got []Claimed
	err := s.InTx(t.Context(), func(tx *Tx) (err error) {
		got, err = tx.ClaimLetters(t.Context(), Claim{Owner: "a", Now: 10, Until: 90, N: 5})
		return err
	})
	if err != nil || len(got) != 1 || got[0].ID != id {
		t.Fatalf("claimed %v, %v", got, err)
	}
}

// TestLeaseOfAnOlderVersion: the row of a letter says itself that it is being
// sent. It is due again when that ends, and ends as any other.
func TestLeaseOfAnOlderVersion(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	l := Letter{Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
	if err := s.InTx(ctx, func(tx *Tx) error {
		tx.add(LetterDue.counter(), -1)
		tx.add(LetterSending.counter(), 1)
		return tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"})
	}); err != nil {
		t.Fatal(err)
	}
	s.ddl(t, "UPDATE outbox SET state = 4, owner = 'old', due_at = 50, attempts = 1")
	if got, err := s.Letter(ctx, l.ID); err != nil || got.State != LetterSending {
		t.Fatalf("%+v, %v", got, err)
	}
	claim := func(now Micros) (got []Claimed) {
		t.Helper()
		if err := s.InTx(ctx, func(tx *Tx) (err error) {
			got, err = tx.ClaimLetters(ctx, Claim{Owner: "new", Now: now, Until: 90, N: 5})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := claim(49); len(got) != 0 {
		t.Errorf("claimed before its lease has ended: %v", got)
	}
	got := claim(50)
	if len(got) != 1 || got[0].Attempts != 2 {
		t.Fatalf("claimed %v", got)
	}
	if err := s.InTx(ctx, func(tx *Tx) error { return tx.EndLetters(ctx, []Letter{got[0].Letter}, LetterDelivered, 60) }); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Letter(ctx, l.ID); err != nil || got.State != LetterDelivered || got.Attempts != 2 || got.Owner != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if c, err := s.Counters(ctx); err != nil || c.OpenLetters() != 0 {
		t.Errorf("%v, %v", c.Letters, err)
	}
}
