package store

import (
	"context"
	"database/sql"
	"encoding/binary"
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

// has tells whether a letter is in a lease still.
func (l lease) has(id, lastLease int64) bool { return lastLease < l.id && l.letters.has(id) }

// span is some ids in a row.
type span struct{ first, last int64 }

func (s span) size() int { return int(s.last-s.first) + 1 }

// spans are ids in their order.
type spans []span

// spansOf makes them of ids in their order.
func spansOf(ids []any) (out spans) {
	for _, v := range ids {
		id := v.(int64)
		if n := len(out); n > 0 && out[n-1].last == id-1 {
			out[n-1].last = id
			continue
		}
		out = append(out, span{id, id})
	}
	return out
}

func (s spans) has(id int64) bool {
	_, found := slices.BinarySearchFunc(s, id, func(s span, id int64) int {
		switch {
		case s.last < id:
			return -1
		case s.first > id:
			return 1
		}
		return 0
	})
	return found
}

func (s spans) size() (n int) {
	for _, x := range s {
		n += x.size()
	}
	return n
}

// ids are all of them, as arguments of a query.
func (s spans) ids() []any {
	out := make([]any, 0, s.size())
	for _, x := range s {
		for id := x.first; id <= x.last; id++ {
			out = append(out, id)
		}
	}
	return out
}

// maxLeased bounds what is read as one lease: a damaged one must not fill memory.
const maxLeased = 1 << 20

// bytes are the spans as a row holds them: how far each begins behind the one
// before, and how long it is.
func (s spans) bytes() []byte {
	out, at := []byte{}, int64(0)
	for _, x := range s {
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(x.first-at)), uint64(x.size()))
		at = x.last
	}
	return out
}

// parseSpans reads them; [ErrDamaged] when they are none.
func parseSpans(text []byte) (out spans, err error) {
	at, all := int64(0), uint64(0)
	for len(text) > 0 {
		gap, n := binary.Uvarint(text)
		size, m := binary.Uvarint(text[max(n, 0):])
		if all += size; n <= 0 || m <= 0 || gap == 0 || gap > 1<<62 || size == 0 || size > maxLeased || all > maxLeased || at > 1<<62 {
			return nil, ErrDamaged
		}
		first := at + int64(gap)
		at = first + int64(size) - 1
		out, text = append(out, span{first, at}), text[n+m:]
	}
	return out, nil
}

// leases are those that haven't been ended, oldest first. The newest stays until
// there is a newer one: its number is the turn that whoever claims takes.
type leases []lease

func (q queries) leases(ctx context.Context) (out leases, err error) {
	err = q.each(ctx, func(rows *sql.Rows) error {
		var l lease
		var letters []byte
		err := rows.Scan(&l.id, &l.owner, &l.until, &letters)
		if err == nil {
			l.letters, err = parseSpans(letters)
		}
		out = append(out, l)
		return err
	}, `SELECT lease_id, owner, until_at, letters FROM leases ORDER BY lease_id`)
	return out, err
}

// next is the number of the lease that follows.
func (all leases) next() int64 {
	if len(all) == 0 {
		return 1
	}
	return all[len(all)-1].id + 1
}

// of is the lease that a letter is in, if it is in one.
func (all leases) of(id, lastLease int64) (lease, bool) {
	for _, l := range all {
		if l.has(id, lastLease) {
			return l, true
		}
	}
	return lease{}, false
}

// size is how many letters they had.
func (all leases) size() (n int) {
	for _, l := range all {
		n += l.letters.size()
	}
	return n
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

// cut is a span of letters that are leased, unless a lease of this number or a
// later one was the last they were in.
type cut struct {
	span
	lease int64
}

// cuts are n spans that hide most of the leased letters from a look at those
// that are due, and how many are in none of them. Leases beside each other make
// one: it shows those that were in one of them before.
func (all leases) cuts(n int) (out []cut, visible int) {
	var every []cut
	for _, l := range all {
		for _, s := range l.letters {
			every = append(every, cut{s, l.id})
			visible += s.size()
		}
	}
	slices.SortFunc(every, func(a, b cut) int { return int(max(-1, min(1, a.first-b.first))) })
	joined := every[:0]
	for _, c := range every {
		if i := len(joined) - 1; i >= 0 && c.first <= joined[i].last+1 {
			joined[i].last, joined[i].lease = max(joined[i].last, c.last), min(joined[i].lease, c.lease)
			continue
		}
		joined = append(joined, c)
	}
	slices.SortFunc(joined, func(a, b cut) int { return b.size() - a.size() })
	for i := range n {
		if i < len(joined) {
			out = append(out, joined[i])
			visible -= joined[i].size()
		} else {
			out = append(out, cut{}) // hides none
		}
	}
	return out, max(0, visible)
}

// takeTurn takes the turn to claim, with the letters that are claimed, if any.
// Of two that do so at once, having read the same leases, one starts again.
func (tx *Tx) takeTurn(ctx context.Context, l lease) error {
	return tx.fresh(ctx, `INSERT INTO leases (lease_id, owner, until_at, letters) VALUES (?, ?, ?, ?)`, l.id, l.owner, l.until, l.letters.bytes())
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

func (tx *Tx) dropLeases(ctx context.Context, gone leases) error {
	ids := make([]any, len(gone))
	for i, l := range gone {
		ids[i] = l.id
	}
	_, err := tx.onEach(ctx, `DELETE FROM leases WHERE lease_id`, nil, ids)
	return err
}

// RenewLeases moves the end of all leases of an owner.
func (tx *Tx) RenewLeases(ctx context.Context, owner string, until Micros) error {
	all, err := tx.leases(ctx)
	if err != nil {
		return err
	}
	var ids []any
	for _, l := range all {
		if l.owner == owner {
			ids = append(ids, l.id)
		}
	}
	_, err = tx.onEach(ctx, `UPDATE leases SET until_at = ? WHERE lease_id`, []any{until}, ids)
	return err
}
