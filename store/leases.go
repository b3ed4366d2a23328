package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// lease is what one claim took: until it ends, nobody else takes its letters.
// Their rows don't tell of it, for a claim that changed each of them would cost
// as much as a verdict does. What ends a letter's part in it is written in its
// row: another state, or the lease's number as the last one it was in.
type lease struct {
	id      int64
	owner   string
	until   Micros
	letters spans
}

// leases are those that haven't been ended, oldest first. The newest stays until
// there is a newer one: its number is the turn that whoever claims takes.
type leases []lease

func (q queries) leases(ctx context.Context) (leases, error) {
	out, damaged, err := q.readLeases(ctx)
	if err == nil && damaged != nil {
		err = fmt.Errorf("lease %d can't be read: %w", damaged[0], ErrDamaged)
	}
	return out, err
}

// readLeases reads leases, and tells the numbers of those that can't be read.
func (q queries) readLeases(ctx context.Context) (out leases, damaged []int64, err error) {
	err = q.each(ctx, func(rows *sql.Rows) error {
		var l lease
		var letters []byte
		if err := rows.Scan(&l.id, &l.owner, &l.until, &letters); err != nil {
			return err
		}
		var bad error
		if l.letters, bad = parseSpans(letters); bad != nil {
			damaged = append(damaged, l.id)
			return nil
		}
		out = append(out, l)
		return nil
	}, `SELECT lease_id, owner, until_at, letters FROM leases ORDER BY lease_id`)
	return out, damaged, err
}

// ended tells whether a letter may be in a lease that has ended, whose owner
// hasn't come back from it.
func (all leases) ended(now Micros) bool {
	return slices.ContainsFunc(all, func(l lease) bool { return l.until <= now && len(l.letters) > 0 })
}

// without splits the leases into those that go on and those that don't.
func (all leases) without(gone func(lease) bool) (rest, out leases) {
	for _, l := range all {
		if gone(l) {
			out = append(out, l)
		} else {
			rest = append(rest, l)
		}
	}
	return rest, out
}

// ids are their numbers, as arguments of a query.
func (all leases) ids() []any {
	out := make([]any, len(all))
	for i, l := range all {
		out[i] = l.id
	}
	return out
}

// finder tells which lease a letter is in.
type finder struct {
	spans []leasedSpan // by their first letters
	size  int          // letters that they have together
}

// leasedSpan is a span of letters that are leased, unless that lease or a later
// one was the last they were in.
type leasedSpan struct {
	span
	in    *lease
	reach int64 // the last letter of this span and all before it
}

func (all leases) finder() *finder {
	f := &finder{}
	for i := range all {
		for _, s := range all[i].letters {
			f.spans = append(f.spans, leasedSpan{span: s, in: &all[i]})
			f.size += s.size()
		}
	}
	slices.SortFunc(f.spans, func(a, b leasedSpan) int { return cmp.Compare(a.first, b.first) })
	reach := int64(0)
	for i := range f.spans {
		s := &f.spans[i]
		reach = max(reach, s.last)
		s.reach = reach
	}
	return f
}

func (q queries) finder(ctx context.Context) (*finder, error) {
	all, err := q.leases(ctx)
	return all.finder(), err
}

// of is the lease that a letter is in; nil when it is in none.
func (f *finder) of(id, lastLease int64) *lease {
	after, _ := slices.BinarySearchFunc(f.spans, id, func(s leasedSpan, id int64) int { return cmp.Compare(s.first, id+1) })
	for i := after - 1; i >= 0 && f.spans[i].reach >= id; i-- {
		if s := f.spans[i]; s.last >= id && lastLease < s.in.id {
			return s.in
		}
	}
	return nil
}

// cut is a span of letters that are leased, unless a lease of this number or a
// later one was the last they were in.
type cut struct {
	span
	lease int64
}

// cuts are n spans that hide most of the leased letters from a look at those
// that are due. Leases beside each other make one: it shows those that were in
// one of them before.
func (f *finder) cuts(n int) []cut {
	var joined []cut
	for _, s := range f.spans {
		if i := len(joined) - 1; i >= 0 && s.first <= joined[i].last+1 {
			joined[i].last, joined[i].lease = max(joined[i].last, s.last), min(joined[i].lease, s.in.id)
			continue
		}
		joined = append(joined, cut{s.span, s.in.id})
	}
	slices.SortFunc(joined, func(a, b cut) int { return b.size() - a.size() })
	for len(joined) < n {
		joined = append(joined, cut{}) // hides none
	}
	return joined[:n]
}

// takeTurn takes the turn to claim, which nobody else has before the transaction
// ends: letters that wait can't be claimed meanwhile. It tells the leases there
// are, the turn as the last of them. Of two that take it at once one starts again.
func (tx *Tx) takeTurn(ctx context.Context) (leases, error) {
	var newest int64
	if err := tx.get(ctx, []any{&newest}, `SELECT COALESCE(MAX(lease_id), 0) FROM leases`); err != nil {
		return nil, err
	}
	return tx.takeTurnAfter(ctx, newest)
}

// takeTurnAfter takes the turn after the one that was the newest. That one may
// have been followed by several meanwhile, of which only the last is kept.
func (tx *Tx) takeTurnAfter(ctx context.Context, newest int64) (leases, error) {
	turn := newest + 1
	if err := tx.fresh(ctx, `INSERT INTO leases (lease_id, owner, until_at, letters) VALUES (?, '', 0, ?)`, turn, []byte{}); err != nil {
		return nil, err
	}
	all, err := tx.leases(ctx)
	if err == nil && all[len(all)-1].id != turn {
		err = errConflict
	}
	return all, err
}

// giveLease makes the turn that was taken the lease of some letters.
func (tx *Tx) giveLease(ctx context.Context, l *lease) error {
	return tx.one(ctx, `UPDATE leases SET owner = ?, until_at = ?, letters = ? WHERE lease_id = ?`, l.owner, l.until, l.letters.bytes(), l.id)
}

// endLease takes back what its owner hasn't come back from: the attempt counts,
// and the letters wait for another where they stood.
func (tx *Tx) endLease(ctx context.Context, l lease) error {
	n, err := tx.onEach(ctx, `UPDATE outbox SET state = ?, attempts = attempts + 1, last_lease = ? WHERE state <= ? AND last_lease < ? AND letter_id`,
		[]any{LetterDeferred, l.id, LetterSending, l.id}, l.letters.ids())
	tx.add(LetterSending.counter(), -n)
	tx.add(LetterDeferred.counter(), n)
	return err
}

// dropLeases removes leases. One that has ended may have been renewed since it
// was read: then the transaction starts again.
func (tx *Tx) dropLeases(ctx context.Context, gone leases, now Micros) error {
	early, ended := gone.without(func(l lease) bool { return l.until <= now })
	n, err := tx.onEach(ctx, `DELETE FROM leases WHERE until_at <= ? AND lease_id`, []any{now}, ended.ids())
	if err == nil && int(n) != len(ended) {
		err = errConflict
	}
	if err != nil {
		return err
	}
	_, err = tx.onEach(ctx, `DELETE FROM leases WHERE lease_id`, nil, early.ids())
	return err
}

// RenewLeases moves the end of leases, by their numbers; those that are gone
// stay so.
func (tx *Tx) RenewLeases(ctx context.Context, numbers []int64, until Micros) error {
	_, err := tx.onEach(ctx, `UPDATE leases SET until_at = ? WHERE lease_id`, []any{until}, anys(numbers))
	return err
}
