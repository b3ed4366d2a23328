package store

import (
	"context"
	"database/sql"
)

// Returned is how mail to an address has come back. It names nobody: it is kept
// under the address key.
type Returned struct {
	HardAt Micros // when the address was last said not to take mail; 0 when it never was
	Soft   int64  // how often a letter came back for another reason
	LastAt Micros
	Status string // of RFC 3463, the last one
}

// Returned reads how mail to an address has come back; ErrNotFound when it never did.
func (q queries) Returned(ctx context.Context, addressKey []byte) (Returned, error) {
	var r Returned
	err := q.get(ctx, []any{&r.HardAt, &r.Soft, &r.LastAt, &r.Status}, `SELECT hard_at, soft, last_at, status FROM returned WHERE address_key = ?`, addressKey)
	return r, err
}

// NoteReturned counts a letter that came back; hard says that the address takes no mail.
func (tx *Tx) NoteReturned(ctx context.Context, addressKey []byte, hard bool, at Micros, status string) error {
	var hardAt Micros
	soft := 1
	if hard {
		hardAt, soft = at, 0
	}
	n, err := tx.exec(ctx, `UPDATE returned SET hard_at = CASE WHEN ? > 0 THEN ? ELSE hard_at END, soft = soft + ?, last_at = ?, status = ? WHERE address_key = ?`,
		hardAt, hardAt, soft, at, status, addressKey)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO returned (address_key, hard_at, soft, last_at, status) VALUES (?, ?, ?, ?, ?)`, addressKey, hardAt, soft, at, status)
	}
	return err
}

// ForgetReturned lets mail go to an address again; false when nothing was known.
func (tx *Tx) ForgetReturned(ctx context.Context, addressKey []byte) (bool, error) {
	n, err := tx.exec(ctx, `DELETE FROM returned WHERE address_key = ?`, addressKey)
	return n > 0, err
}

// DropOldReturned removes what was noted before a time, at most n.
func (tx *Tx) DropOldReturned(ctx context.Context, before Micros, n int) error {
	var keys []any
	if err := tx.each(ctx, func(rows *sql.Rows) error {
		var key []byte
		err := rows.Scan(&key)
		keys = append(keys, key)
		return err
	}, `SELECT address_key FROM returned WHERE last_at < ? LIMIT ?`, before, n); err != nil || len(keys) == 0 {
		return err
	}
	in, args := inList(keys)
	_, err := tx.exec(ctx, `DELETE FROM returned WHERE last_at < ? AND address_key IN (`+in+`)`, append([]any{before}, args...)...)
	return err
}

// ReturnLetter notes that a letter which was handed over came back, with what
// the report says as one more attempt. It reports false when the letter was not
// handed over, or has come back before.
func (tx *Tx) ReturnLetter(ctx context.Context, l Letter, a Attempt) (bool, error) {
	if l.State != LetterDelivered {
		return false, nil
	}
	a.LetterID, a.N, a.State = l.ID, l.Attempts+1, LetterRefused
	if err := tx.one(ctx, `UPDATE outbox SET state = ?, due_at = ?, tried = ? WHERE letter_id = ? AND state = ?`, LetterRefused, a.At, a.N, l.ID, LetterDelivered); err != nil {
		return false, err
	}
	tx.add(CountReturned, 1)
	return true, tx.AddAttempts(ctx, []Attempt{a})
}

// Alarm is something about the sending of mail that staff must look at.
type Alarm struct {
	Kind    string `db:"kind"`
	N       int64  `db:"n"`
	FirstAt Micros `db:"first_at"`
	LastAt  Micros `db:"last_at"`
	Words   string `db:"words"` // the server's last ones, about nobody
}

// RaiseAlarm counts an alarm of a kind.
func (tx *Tx) RaiseAlarm(ctx context.Context, kind string, at Micros, words string) error {
	n, err := tx.exec(ctx, `UPDATE alarms SET n = n + 1, last_at = ?, words = ? WHERE kind = ?`, at, words, kind)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO alarms (kind, n, first_at, last_at, words) VALUES (?, 1, ?, ?, ?)`, kind, at, at, words)
	}
	return err
}

// ClearAlarms removes the alarms that were raised up to a time.
func (tx *Tx) ClearAlarms(ctx context.Context, upTo Micros) (int64, error) {
	return tx.exec(ctx, `DELETE FROM alarms WHERE last_at <= ?`, upTo)
}

// Alarms reads the alarms that nobody has cleared.
func (q queries) Alarms(ctx context.Context) ([]Alarm, error) {
	var out []Alarm
	err := q.all(ctx, &out, `SELECT kind, n, first_at, last_at, words FROM alarms ORDER BY kind`)
	return out, err
}
