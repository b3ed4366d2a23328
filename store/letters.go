package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
)

// MoveLetter holds a letter that waits, lets a held one go on, or makes one due
// at another time, guarded by what was read: whoever claimed it in between makes
// the transaction start again.
func (tx *Tx) MoveLetter(ctx context.Context, l *Letter, state LetterState, due Micros) error {
	if err := tx.unclaimed(ctx, *l); err != nil {
		return err
	}
	return tx.moveLetter(ctx, l, state, due, "")
}

// unclaimed keeps letters that wait from being claimed, as they were read, while
// the transaction changes them: their rows don't tell of a claim. Of who claims
// at the same moment one starts again, and so does the transaction when one of
// the letters was claimed since it was read.
func (tx *Tx) unclaimed(ctx context.Context, letters ...Letter) error {
	waits := func(l Letter) bool { return l.State.Open() && l.row.lease == 0 }
	if !slices.ContainsFunc(letters, waits) {
		return nil
	}
	if tx.turn == nil {
		all, err := tx.takeTurn(ctx)
		if err != nil {
			return err
		}
		turn := all[len(all)-1]
		rest, before := all.without(func(l lease) bool { return len(l.letters) == 0 && l.id != turn.id })
		if err := tx.dropLeases(ctx, before, 0); err != nil {
			return err
		}
		tx.turn = rest.finder()
	}
	if slices.ContainsFunc(letters, func(l Letter) bool { return waits(l) && tx.turn.of(l.ID, l.LastLease) != nil }) {
		return errConflict
	}
	return nil
}

// moveLetter takes a letter that is leased out of that: the attempt counts.
func (tx *Tx) moveLetter(ctx context.Context, l *Letter, state LetterState, due Micros, owner string) error {
	r := l.row
	left := cmp.Or(r.lease, l.LastLease)
	if err := tx.one(ctx, `UPDATE outbox SET state = ?, due_at = ?, owner = ?, attempts = ?, last_lease = ? WHERE letter_id = ? AND state = ? AND due_at = ? AND owner = ? AND attempts = ? AND last_lease = ?`,
		state, due, owner, l.Attempts, left, l.ID, r.state, r.due, r.owner, r.attempts, l.LastLease); err != nil {
		return err
	}
	tx.add(l.State.counter(), -1)
	tx.add(state.counter(), 1)
	l.State, l.DueAt, l.Owner, l.LastLease = state, due, owner, left
	l.leased(nil)
	return nil
}

// withCard owns the letters that are held because their card is frozen.
const withCard = "card"

// HoldLetters stops the letters of a card that were not sent, or lets those go
// on that it stopped: what staff hold stays held.
func (tx *Tx) HoldLetters(ctx context.Context, id int64, hold bool, now Micros) error {
	letters, err := tx.LettersOf(ctx, id)
	if err == nil && hold {
		err = tx.unclaimed(ctx, letters...)
	}
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

// DropLetters removes a card's letters: in every state, or with a list only
// those of it that were not sent.
func (tx *Tx) DropLetters(ctx context.Context, id, listID int64) error {
	letters, err := tx.LettersOf(ctx, id)
	if err != nil {
		return err
	}
	for _, l := range letters {
		if listID != 0 && (l.ListID != listID || !l.State.Open() && l.State != LetterHeld) {
			continue
		}
		if err := tx.DropLetter(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// DropLetter removes a letter, its text and what was said about it for good.
func (tx *Tx) DropLetter(ctx context.Context, l Letter) error {
	if err := tx.unclaimed(ctx, l); err != nil {
		return err
	}
	if name := l.State.counter(); name != "" {
		tx.add(name, -1)
	}
	for _, query := range []string{`DELETE FROM bodies WHERE letter_id = ?`, `DELETE FROM attempts WHERE letter_id = ?`} {
		if _, err := tx.exec(ctx, query, l.ID); err != nil {
			return err
		}
	}
	return tx.one(ctx, `DELETE FROM outbox WHERE letter_id = ? AND state = ? AND due_at = ? AND last_lease = ?`, l.ID, l.row.state, l.row.due, l.LastLease)
}

// Leased reads which of some letters are being sent, by whom, without their
// last attempts.
func (q queries) Leased(ctx context.Context, ids []int64) (map[int64]Letter, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	f, err := q.finder(ctx)
	if err != nil {
		return nil, err
	}
	in, args := inList(anys(ids))
	out := make(map[int64]Letter, len(ids))
	err = q.each(ctx, func(rows *sql.Rows) error {
		var l Letter
		err := rows.Scan(&l.ID, &l.SubscriberID, &l.ListID, &l.Kind, &l.ToMasked, &l.State, &l.DueAt, &l.Attempts, &l.Owner, &l.CreatedAt, &l.LastLease)
		if l.leased(f.of(l.ID, l.LastLease)); l.row.lease != 0 {
			out[l.ID] = l
		}
		return err
	}, `SELECT letter_id, subscriber_id, list_id, kind, to_masked, state, due_at, attempts, owner, created_at, last_lease FROM outbox WHERE letter_id IN (`+in+`)`, args...)
	return out, err
}

// CardsOf reads which cards some letters belong to now.
func (q queries) CardsOf(ctx context.Context, letters []int64) (map[int64]int64, error) {
	if len(letters) == 0 {
		return nil, nil
	}
	in, args := inList(anys(letters))
	out := make(map[int64]int64, len(letters))
	err := q.each(ctx, func(rows *sql.Rows) error {
		var letter, card int64
		err := rows.Scan(&letter, &card)
		out[letter] = card
		return err
	}, `SELECT letter_id, subscriber_id FROM outbox WHERE letter_id IN (`+in+`)`, args...)
	return out, err
}

// PostponeLetter gives a leased letter back that nobody was asked to take, to
// wait as it did before: the attempt doesn't count.
func (tx *Tx) PostponeLetter(ctx context.Context, l Letter, due Micros) error {
	state := l.row.state
	if state == LetterSending {
		state = LetterDeferred
	}
	tx.add(LetterSending.counter(), -1)
	tx.add(state.counter(), 1)
	return tx.leave(ctx, l, state, due, l.row.attempts, 0)
}

// DeferLetter makes a leased letter due again at another time.
func (tx *Tx) DeferLetter(ctx context.Context, l Letter, due Micros) error {
	tx.add(LetterSending.counter(), -1)
	tx.add(LetterDeferred.counter(), 1)
	tx.add(CountDeferred, 1)
	return tx.leave(ctx, l, LetterDeferred, due, l.Attempts, l.Attempts)
}

// leave takes a letter out of its lease; tried is the number of the attempt
// that tells of it, or 0 for the one before.
func (tx *Tx) leave(ctx context.Context, l Letter, state LetterState, due Micros, attempts, tried int) error {
	return tx.one(ctx, `UPDATE outbox SET state = ?, due_at = ?, owner = '', attempts = ?, tried = CASE WHEN ? > 0 THEN ? ELSE tried END, last_lease = ?
 WHERE letter_id = ? AND state <= ? AND attempts = ? AND last_lease < ?`,
		state, due, attempts, tried, tried, l.row.lease, l.ID, LetterSending, l.row.attempts, l.row.lease)
}

// EndLetters writes a final state to leased letters, all in the same attempt;
// their bodies go. The attempts are written apart. [ErrNotFound] when one of
// them is not leased any more: then nothing of the transaction may be kept.
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
	// Whoever takes a letter out of its lease counts the attempt.
	attempt, before := letters[0].Attempts, letters[0].row.attempts
	changed, err := tx.onEach(ctx, `UPDATE outbox SET state = ?, due_at = ?, done_at = ?, attempts = ?, tried = ?, owner = '' WHERE attempts = ? AND state <= ? AND letter_id`,
		[]any{state, at, at, attempt, attempt, before, LetterSending}, ids)
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
