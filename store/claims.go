package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Claimed is a letter that was leased, with its body.
type Claimed struct {
	Letter
	Envelope // after OpenClaimed
	// ListName is that of the letter's list; empty where there is none.
	ListName string

	sealed []byte
}

// Was is the state that a letter was claimed in.
func (c *Claimed) Was() LetterState { return c.row.state }

// OpenClaimed unseals a letter; the error names it by its number alone. It is
// [ErrDamaged] where there is nothing to unseal.
func (k *Keys) OpenClaimed(c *Claimed) error {
	if c.sealed == nil {
		return fmt.Errorf("letter %d has no body: %w", c.ID, ErrDamaged)
	}
	err := k.openEnvelope(c.ID, c.sealed, &c.Envelope)
	c.sealed = nil
	if err != nil {
		return fmt.Errorf("opening letter %d: %w", c.ID, err)
	}
	return nil
}

// dueQuery finds what a sender may take, but for most of what is leased.
var dueQuery = func() string {
	arm := `SELECT * FROM (SELECT letter_id, state, due_at, last_lease FROM outbox WHERE state = %d AND due_at <= ?
 AND CASE WHEN letter_id BETWEEN ? AND ? AND last_lease < ? THEN 1 WHEN letter_id BETWEEN ? AND ? AND last_lease < ? THEN 1 ELSE 0 END = 0 ORDER BY due_at, letter_id LIMIT ?) q%d`
	var arms []string
	for _, s := range dueStates {
		arms = append(arms, fmt.Sprintf(arm, s, s))
	}
	return strings.Join(arms, " UNION ALL ")
}()

// dueStates are those of letters that a sender may take. A lease of an older
// version, which rows tell of themselves, may have run out.
var dueStates = []LetterState{LetterUrgent, LetterSending, LetterDeferred, LetterDue}

// dueLetter is a letter that can be claimed, as far as that needs it.
type dueLetter struct {
	id        int64
	state     LetterState
	due       Micros
	lastLease int64
}

// A look at what is due passes by some letters that are leased; where that isn't
// enough, it is repeated and passes by more.
const lookBehind, lookFurther = 64, 8

// waiting reads of each state as many letters as are asked for that are due at
// a time and in none of the leases.
func (q queries) waiting(ctx context.Context, f *finder, now Micros, n map[LetterState]int) ([]dueLetter, error) {
	cuts := f.cuts(2)
	for behind := lookBehind; ; behind *= lookFurther {
		out, short, err := q.waitingBehind(ctx, f, cuts, min(behind, f.size), now, n)
		if err != nil || !short || behind >= f.size {
			return out, err
		}
	}
}

// waitingBehind reads so many more than are asked for of each state, for those
// that are leased and not cut. It reports short when more were in the way.
func (q queries) waitingBehind(ctx context.Context, f *finder, cuts []cut, behind int, now Micros, n map[LetterState]int) (out []dueLetter, short bool, err error) {
	var args []any
	for _, s := range dueStates {
		args = append(args, now, cuts[0].first, cuts[0].last, cuts[0].lease, cuts[1].first, cuts[1].last, cuts[1].lease)
		if n[s] == 0 {
			args = append(args, 0)
		} else {
			args = append(args, n[s]+behind)
		}
	}
	read, found := map[LetterState]int{}, map[LetterState]int{}
	err = q.each(ctx, func(rows *sql.Rows) error {
		var l dueLetter
		if err := rows.Scan(&l.id, &l.state, &l.due, &l.lastLease); err != nil {
			return err
		}
		read[l.state]++
		if found[l.state] < n[l.state] && f.of(l.id, l.lastLease) == nil {
			found[l.state]++
			out = append(out, l)
		}
		return nil
	}, dueQuery, args...)
	for s, most := range n {
		short = short || found[s] < most && read[s] == most+behind
	}
	return out, short, err
}

// due reads up to n letters that are due at a time, and up to spare more that
// are urgent. The urgent ones come first, then the others, repeated attempts
// and first ones in turn.
func (q queries) due(ctx context.Context, f *finder, now Micros, n, spare int) ([]dueLetter, error) {
	found, err := q.waiting(ctx, f, now, map[LetterState]int{LetterUrgent: n + spare, LetterSending: n, LetterDeferred: n, LetterDue: n})
	if err != nil {
		return nil, err
	}
	var urgent, again, fresh, out []dueLetter
	for _, l := range found {
		switch l.state {
		case LetterUrgent:
			urgent = append(urgent, l)
		case LetterDue:
			fresh = append(fresh, l)
		default:
			again = append(again, l)
		}
	}
	for len(again)+len(fresh) > 0 {
		if len(again) > 0 {
			out, again = append(out, again[0]), again[1:]
		}
		if len(fresh) > 0 {
			out, fresh = append(out, fresh[0]), fresh[1:]
		}
	}
	room := max(0, min(n, n+spare-len(urgent)))
	return append(urgent, out[:min(room, len(out))]...), nil
}

// AnyDue tells whether a sender that asks for up to n letters, and up to spare
// more that are urgent, would find anything to claim; it takes no lock.
func (q queries) AnyDue(ctx context.Context, now Micros, n, spare int) (bool, error) {
	all, err := q.leases(ctx)
	if err != nil || all.ended(now) {
		return err == nil, err
	}
	rows, err := q.due(ctx, all.finder(), now, min(n, 1), min(spare, 1))
	return len(rows) > 0, err
}

// Claim is what a sender asks for.
type Claim struct {
	Owner string
	Now   Micros
	Until Micros // the end of the lease
	N     int    // up to so many letters that are due
	Spare int    // up to so many more that are urgent
	// InHand are the leases, by [Letter.Lease], of letters that have no verdict
	// yet; Over are those of earlier claims whose letters all have one. Another
	// one of the owner was kept, and the answer lost.
	InHand, Over []int64
}

// gone tells whether a lease is over, or has ended. One that its owner is late
// to renew is his until another takes it: the letters are under way.
func (c Claim) gone(l lease) bool {
	if l.owner == c.Owner {
		return !slices.Contains(c.InHand, l.id)
	}
	return l.until <= c.Now
}

// ClaimLetters leases letters that are due to their claimer. The lease counts
// as an attempt with each. Of two that claim at once, one starts again. What is
// sealed of them is opened with [Keys.OpenClaimed], once the transaction is
// kept.
func (tx *Tx) ClaimLetters(ctx context.Context, c Claim) ([]Claimed, error) {
	all, err := tx.takeTurn(ctx)
	if err != nil {
		return nil, err
	}
	turn := len(all) - 1
	rest, gone := all[:turn].without(c.gone)
	for _, l := range gone {
		if slices.Contains(c.Over, l.id) {
			continue // none is left in it
		}
		if err := tx.endLease(ctx, l); err != nil {
			return nil, err
		}
	}
	if err := tx.dropLeases(ctx, gone, c.Now); err != nil {
		return nil, err
	}
	found, err := tx.due(ctx, rest.finder(), c.Now, c.N, c.Spare)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	ids := make([]any, len(found))
	for i, l := range found {
		ids[i] = l.id
		tx.add(l.state.counter(), -1)
		tx.add(LetterSending.counter(), 1)
	}
	slices.SortFunc(ids, func(a, b any) int { return cmp.Compare(a.(int64), b.(int64)) })
	in := lease{id: all[turn].id, owner: c.Owner, until: c.Until, letters: spansOf(ids)}
	if err := tx.giveLease(ctx, &in); err != nil {
		return nil, err
	}
	return tx.readClaimed(ctx, &in, found, ids)
}

// readClaimed reads the letters of a lease, in the order in which they were found.
func (tx *Tx) readClaimed(ctx context.Context, in *lease, found []dueLetter, ids []any) ([]Claimed, error) {
	among, args := among(ids)
	byID := make(map[int64]*Claimed, len(found))
	if err := tx.each(ctx, func(rows *sql.Rows) error {
		c := &Claimed{}
		err := rows.Scan(&c.ID, &c.SubscriberID, &c.ListID, &c.Kind, &c.Letter.State, &c.DueAt, &c.Owner, &c.Attempts, &c.CreatedAt, &c.LastLease, &c.ListName, &c.sealed)
		c.leased(in)
		byID[c.ID] = c
		return err
	}, `SELECT o.letter_id, o.subscriber_id, o.list_id, o.kind, o.state, o.due_at, o.owner, o.attempts, o.created_at, o.last_lease, COALESCE(l.name, ''), b.sealed
 FROM outbox o LEFT JOIN bodies b ON b.letter_id = o.letter_id LEFT JOIN lists l ON l.list_id = o.list_id WHERE o.letter_id`+among, args...); err != nil {
		return nil, err
	}
	out := make([]Claimed, 0, len(found))
	for _, l := range found {
		c := byID[l.id]
		if c == nil {
			return nil, fmt.Errorf("letter %d is in an index alone: %w", l.id, ErrDamaged)
		}
		out = append(out, *c)
	}
	return out, nil
}
