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

// end takes back what is in leases that have ended, but for those in hand.
func (q *queue) end(inHand []int64) {
	for _, l := range q.letters {
		if l.Lease != 0 && q.until[l.Lease] <= q.now && !slices.Contains(inHand, l.Lease) {
			*l = modelLetter{State: LetterDeferred, Due: l.Due, Attempts: l.Attempts + 1}
		}
	}
}

// inHand are the leases of letters that an owner has in hand, as far as he knows.
func (q *queue) inHand(owner string) (out []int64) {
	for _, l := range q.hand[owner] {
		if !slices.Contains(out, l.Lease()) {
			out = append(out, l.Lease())
		}
	}
	return out
}

// claim claims, and may never hear what it got.
func (q *queue) claim(owner string, n, spare int, lost bool) {
	c := Claim{Owner: owner, Now: q.now, Until: q.now + 60, N: n, Spare: spare, InHand: q.inHand(owner)}
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
	q.end(c.InHand)
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
	if any, err := q.s.AnyDue(q.ctx, q.now, 1, 0); err != nil || due && !any {
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
			return errors.Join(err, tx.dropLeases(q.ctx, all[:max(0, len(all)-1)], orMost(Micros(0))))
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
			held := q.inHand(owner)
			q.must(q.s.InTx(q.ctx, func(tx *Tx) error { return tx.RenewLeases(q.ctx, held, q.now+60) }))
			for _, lease := range held {
				q.until[lease] = q.now + 60
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
