package store

import "context"

// MoveLetter holds a letter that waits, lets a held one go on, or makes one due
// at another time, guarded by what was read: whoever claimed it in between makes
// the transaction start again.
func (tx *Tx) MoveLetter(ctx context.Context, l *Letter, state int, due Micros) error {
	if err := tx.one(ctx, `UPDATE outbox SET state = ?, due_at = ?, owner = '' WHERE letter_id = ? AND state = ? AND due_at = ? AND owner = ?`,
		state, due, l.ID, l.State, l.DueAt, l.Owner); err != nil {
		return err
	}
	names := map[int]string{LetterOpen: countOpen, LetterHeld: countHeld}
	tx.add(names[l.State], -1)
	tx.add(names[state], 1)
	l.State, l.DueAt, l.Owner = state, due, ""
	return nil
}

// DropLetter removes a letter and its text for good.
func (tx *Tx) DropLetter(ctx context.Context, l Letter) error { return tx.dropLetter(ctx, l) }
