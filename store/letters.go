package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// MoveLetter holds a letter that waits, lets a held one go on, or makes one due
// at another time, guarded by what was read: whoever claimed it in between makes
// the transaction start again.
func (tx *Tx) MoveLetter(ctx context.Context, l *Letter, state LetterState, due Micros) error {
	return tx.moveLetter(ctx, l, state, due, "")
}

func (tx *Tx) moveLetter(ctx context.Context, l *Letter, state LetterState, due Micros, owner string) error {
	if err := tx.one(ctx, `UPDATE outbox SET state = ?, due_at = ?, owner = ? WHERE letter_id = ? AND state = ? AND due_at = ? AND owner = ?`,
		state, due, owner, l.ID, l.State, l.DueAt, l.Owner); err != nil {
		return err
	}
	tx.add(l.State.counter(), -1)
	tx.add(state.counter(), 1)
	l.State, l.DueAt, l.Owner = state, due, owner
	return nil
}

// withCard owns the letters that are held because their card is frozen.
const withCard = "card"

// HoldLetters stops the letters of a card that were not sent, or lets those go
// on that it stopped: what staff hold stays held.
func (tx *Tx) HoldLetters(ctx context.Context, id int64, hold bool, now Micros) error {
	letters, err := tx.LettersOf(ctx, id)
	if err != nil {
		return err
	}
	for _, l := range letters {
		switch {
		case hold && l.State.Open():
			err = tx.moveLetter(ctx, &l, LetterHeld, now, withCard)
		case !hold && l.State == LetterHeld && l.Owner == withCard:
			err = tx.MoveLetter(ctx, &l, LetterUrgent, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Claimed is a letter that was leased, with its body.
type Claimed struct {
	Letter
	Envelope // after OpenClaimed
	// ListName is that of the letter's list; empty where there is none.
	ListName string

	sealed []byte
}

// OpenClaimed unseals a letter; the error names it by its number alone.
func (k *Keys) OpenClaimed(c *Claimed) error {
	err := k.openEnvelope(c.ID, c.sealed, &c.Envelope)
	c.sealed = nil
	if err != nil {
		return fmt.Errorf("opening letter %d: %w", c.ID, err)
	}
	return nil
}

// dueQuery finds what a sender may take. A lease that ran out is due again.
var dueQuery = func() string {
	arm := `SELECT * FROM (SELECT letter_id, state FROM outbox WHERE state = %d AND due_at <= ? ORDER BY due_at, letter_id LIMIT ?) q%d`
	var arms []string
	for _, s := range []LetterState{LetterUrgent, LetterSending, LetterDeferred, LetterDue} {
		arms = append(arms, fmt.Sprintf(arm, s, s))
	}
	return strings.Join(arms, " UNION ALL ")
}()

// dueLetter is a letter that can be claimed, as far as that needs it.
type dueLetter struct {
	ID    int64
	State LetterState
}

// due reads the ids of up to n letters that are due at a time, and of up to
// spare more that are urgent. The urgent ones come first, then those whose
// sender died, then the others, repeated attempts and first ones in turn.
func (q queries) due(ctx context.Context, now Micros, n, spare int) ([]dueLetter, error) {
	var urgent, again, fresh, out []dueLetter
	err := q.each(ctx, func(rows *sql.Rows) error {
		var l dueLetter
		if err := rows.Scan(&l.ID, &l.State); err != nil {
			return err
		}
		switch l.State {
		case LetterUrgent:
			urgent = append(urgent, l)
		case LetterDue:
			fresh = append(fresh, l)
		default:
			again = append(again, l)
		}
		return nil
	}, dueQuery, now, n+spare, now, n, now, n, now, n)
	if err != nil {
		return nil, err
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

// AnyDue tells whether a sender would find anything to claim; it takes no lock.
func (q queries) AnyDue(ctx context.Context, now Micros) (bool, error) {
	rows, err := q.due(ctx, now, 1, 0)
	return len(rows) > 0, err
}

// ClaimLetters leases up to n letters that are due, and up to spare more that
// are urgent, to owner, and counts the attempts. Of two that claim at once, one
// starts again. What is sealed of them is opened with [Keys.OpenClaimed], once
// the transaction is kept.
func (tx *Tx) ClaimLetters(ctx context.Context, now Micros, n, spare int, owner string, until Micros) ([]Claimed, error) {
	found, err := tx.due(ctx, now, n, spare)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	ids := make([]any, len(found))
	for i, l := range found {
		ids[i] = l.ID
		tx.add(l.State.counter(), -1)
		tx.add(LetterSending.counter(), 1)
	}
	slices.SortFunc(ids, func(a, b any) int { return cmp.Compare(a.(int64), b.(int64)) })
	changed, err := tx.onEach(ctx, `UPDATE outbox SET state = ?, owner = ?, due_at = ?, attempts = attempts + 1 WHERE state <= ? AND due_at <= ? AND letter_id`,
		[]any{LetterSending, owner, until, LetterSending, now}, ids)
	if err != nil {
		return nil, err
	}
	if changed != int64(len(found)) {
		return nil, errConflict
	}
	among, args := among(ids)
	byID := make(map[int64]*Claimed, len(found))
	if err := tx.each(ctx, func(rows *sql.Rows) error {
		c := &Claimed{Letter: Letter{State: LetterSending, DueAt: until, Owner: owner}}
		err := rows.Scan(&c.ID, &c.SubscriberID, &c.ListID, &c.Kind, &c.Attempts, &c.CreatedAt, &c.ListName, &c.sealed)
		byID[c.ID] = c
		return err
	}, `SELECT o.letter_id, o.subscriber_id, o.list_id, o.kind, o.attempts, o.created_at, COALESCE(l.name, ''), b.sealed
 FROM outbox o JOIN bodies b ON b.letter_id = o.letter_id LEFT JOIN lists l ON l.list_id = o.list_id WHERE o.letter_id`+among, args...); err != nil {
		return nil, err
	}
	out := make([]Claimed, 0, len(found))
	for _, l := range found {
		c := byID[l.ID]
		if c == nil {
			return nil, fmt.Errorf("letter %d has no body: %w", l.ID, ErrDamaged)
		}
		c.Letter.State = l.State // what it was claimed as
		out = append(out, *c)
	}
	return out, nil
}

// RenewLeases moves the end of all leases of an owner.
func (tx *Tx) RenewLeases(ctx context.Context, owner string, until Micros) error {
	_, err := tx.exec(ctx, `UPDATE outbox SET due_at = ? WHERE state = ? AND owner = ?`, until, LetterSending, owner)
	return err
}

// Leased reads which of some letters are being sent, by whom, without their
// last attempts.
func (q queries) Leased(ctx context.Context, ids []int64) (map[int64]Letter, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	in, args := inList(list)
	out := make(map[int64]Letter, len(ids))
	err := q.each(ctx, func(rows *sql.Rows) error {
		l := Letter{State: LetterSending}
		err := rows.Scan(&l.ID, &l.SubscriberID, &l.ListID, &l.Kind, &l.ToMasked, &l.DueAt, &l.Attempts, &l.Owner, &l.CreatedAt)
		out[l.ID] = l
		return err
	}, `SELECT letter_id, subscriber_id, list_id, kind, to_masked, due_at, attempts, owner, created_at FROM outbox WHERE letter_id IN (`+in+`) AND state = ?`,
		append(args, LetterSending)...)
	return out, err
}

// PostponeLetter gives a leased letter back that nobody was asked to take, as
// one that waits in a state: the attempt doesn't count.
func (tx *Tx) PostponeLetter(ctx context.Context, l Letter, state LetterState, due Micros) error {
	tx.add(LetterSending.counter(), -1)
	tx.add(state.counter(), 1)
	return tx.one(ctx, `UPDATE outbox SET state = ?, due_at = ?, attempts = attempts - 1, owner = '' WHERE letter_id = ? AND owner = ? AND state = ?`,
		state, due, l.ID, l.Owner, LetterSending)
}

// DeferLetter makes a leased letter due again at another time.
func (tx *Tx) DeferLetter(ctx context.Context, l Letter, due Micros) error {
	tx.add(LetterSending.counter(), -1)
	tx.add(LetterDeferred.counter(), 1)
	tx.add(CountDeferred, 1)
	return tx.one(ctx, `UPDATE outbox SET state = ?, due_at = ?, tried = attempts, owner = '' WHERE letter_id = ? AND owner = ? AND state = ?`,
		LetterDeferred, due, l.ID, l.Owner, LetterSending)
}

// EndLetters writes a final state to leased letters, all of one owner; their
// bodies go. The attempts are written apart. [ErrNotFound] when one of them is
// not leased to that owner: then nothing of the transaction may be kept.
func (tx *Tx) EndLetters(ctx context.Context, letters []Letter, state LetterState, at Micros) error {
	if len(letters) == 0 {
		return nil
	}
	n := int64(len(letters))
	tx.add(LetterSending.counter(), -n)
	tx.add(map[LetterState]string{LetterDelivered: CountDelivered, LetterRefused: CountRefused}[state], n)
	ids := make([]any, n)
	for i, l := range letters {
		ids[i] = l.ID
	}
	changed, err := tx.onEach(ctx, `UPDATE outbox SET state = ?, due_at = ?, done_at = ?, tried = attempts, owner = '' WHERE owner = ? AND state = ? AND letter_id`,
		[]any{state, at, at, letters[0].Owner, LetterSending}, ids)
	if err == nil && changed != n {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	_, err = tx.onEach(ctx, `DELETE FROM bodies WHERE letter_id`, nil, ids)
	return err
}

// SealTalk seals the conversation of an attempt, before the transaction that
// writes it.
func (k *Keys) SealTalk(a *Attempt) (err error) {
	if len(a.Talk) > 0 {
		a.sealed, err = k.sealBytes(sealTalk, a.LetterID, packTalk(a.Talk))
	}
	return err
}

// AddAttempts notes what came of some attempts, with their conversations. One
// that was sealed before the keys were rotated is sealed again.
func (tx *Tx) AddAttempts(ctx context.Context, attempts []Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	now, err := tx.keys.fresh()
	if err != nil {
		return err
	}
	primary := now.primary()
	rows := make([][]any, len(attempts))
	for i := range attempts {
		a := &attempts[i]
		if keyIDOf(a.sealed) != primary {
			if err := tx.keys.SealTalk(a); err != nil {
				return err
			}
		}
		rows[i] = []any{a.LetterID, a.N, a.At, a.State, a.Code, a.Enhanced, a.Reply, a.Host, a.TLS, a.sealed}
	}
	return tx.insertAll(ctx, `INSERT INTO attempts (letter_id, n, at, state, code, enhanced, reply, host, tls, sealed)`, rows)
}
