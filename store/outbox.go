package store

import (
	"context"
	"database/sql"
	"errors"
)

// The states of a letter. Open ones are due, deferred or being sent, which
// their due time, attempts and owner tell.
const (
	LetterOpen      = 1
	LetterDelivered = 2
	LetterRefused   = 3
	LetterHeld      = 4
)

// Letter is a row of the outbox; its body lies sealed in a table of its own.
type Letter struct {
	ID           int64  `db:"letter_id"`
	SubscriberID int64  `db:"subscriber_id"`
	Kind         string `db:"kind"`
	ToMasked     string `db:"to_masked"`
	State        int    `db:"state"`
	DueAt        Micros `db:"due_at"`
	Attempts     int    `db:"attempts"`
	Owner        string `db:"owner"`
	CreatedAt    Micros `db:"created_at"`
	DoneAt       Micros `db:"done_at"`
	Code         int    `db:"code"`
	Reply        string `db:"reply"`
	Host         string `db:"host"`
	TLS          string `db:"tls"`
}

// Envelope is what is sealed of a letter.
type Envelope struct {
	From      string `json:"from"`
	To        string `json:"to"`
	MessageID string `json:"message_id"`
	ListID    int64  `json:"list_id"`
	Data      []byte `json:"data"`
}

const letterColumns = `letter_id, subscriber_id, kind, to_masked, state, due_at, attempts, owner, created_at, done_at, code, reply, host, tls`

// Enqueue puts a letter into the outbox.
func (tx *Tx) Enqueue(ctx context.Context, l *Letter, e Envelope) error {
	id, err := tx.NextIDs(ctx, "letters", 1)
	if err != nil {
		return err
	}
	l.ID, l.State = id, LetterOpen
	sealed, err := tx.keys.seal(sealLetter, id, e)
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `INSERT INTO outbox (letter_id, subscriber_id, kind, to_masked, state, due_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		l.ID, l.SubscriberID, l.Kind, l.ToMasked, l.State, l.DueAt, l.CreatedAt); err != nil {
		return err
	}
	tx.add(countOpen, 1)
	_, err = tx.exec(ctx, `INSERT INTO bodies (letter_id, sealed) VALUES (?, ?)`, l.ID, sealed)
	return err
}

// DueLetters reads up to n letters that are due; a lease that ran out is due again.
func (q queries) DueLetters(ctx context.Context, now Micros, n int) ([]Letter, error) {
	var out []Letter
	err := q.all(ctx, &out, `SELECT `+letterColumns+` FROM outbox WHERE state = ? AND due_at <= ? ORDER BY due_at, letter_id LIMIT ?`, LetterOpen, now, n)
	return out, err
}

// ClaimLetter leases a letter that DueLetters told of, and counts the attempt.
// It reports false when somebody else was faster.
func (tx *Tx) ClaimLetter(ctx context.Context, l *Letter, owner string, until Micros) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE outbox SET owner = ?, due_at = ?, attempts = attempts + 1 WHERE letter_id = ? AND state = ? AND due_at = ? AND owner = ?`,
		owner, until, l.ID, LetterOpen, l.DueAt, l.Owner)
	if n == 1 {
		l.Owner, l.DueAt = owner, until
		l.Attempts++
	}
	return n == 1, err
}

// Envelope unseals a letter; ErrNotFound when it is gone or done.
func (q queries) Envelope(ctx context.Context, id int64) (Envelope, error) {
	var e Envelope
	var sealed []byte
	if err := q.get(ctx, []any{&sealed}, `SELECT sealed FROM bodies WHERE letter_id = ?`, id); err != nil {
		return e, err
	}
	return e, q.keys.open(sealLetter, id, sealed, &e)
}

// MarkLetter writes a verdict, fenced by the owner of the lease: ErrNotFound
// when it is another's by now, or the letter was removed. With a final state
// the body goes.
func (tx *Tx) MarkLetter(ctx context.Context, l Letter, owner string) error {
	n, err := tx.exec(ctx, `UPDATE outbox SET state = ?, due_at = ?, done_at = ?, code = ?, reply = ?, host = ?, tls = ?, owner = '' WHERE letter_id = ? AND owner = ? AND state = ?`,
		l.State, l.DueAt, l.DoneAt, l.Code, l.Reply, l.Host, l.TLS, l.ID, owner, LetterOpen)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	switch l.State {
	case LetterOpen:
		tx.add(CountDeferred, 1)
		return nil
	case LetterDelivered:
		tx.add(CountDelivered, 1)
	case LetterRefused:
		tx.add(CountRefused, 1)
	}
	tx.add(countOpen, -1)
	return tx.one(ctx, `DELETE FROM bodies WHERE letter_id = ?`, l.ID)
}

// Letter reads one row of the outbox.
func (q queries) Letter(ctx context.Context, id int64) (Letter, error) {
	var out []Letter
	err := q.all(ctx, &out, `SELECT `+letterColumns+` FROM outbox WHERE letter_id = ?`, id)
	if err == nil && len(out) == 0 {
		return Letter{}, ErrNotFound
	}
	if err != nil {
		return Letter{}, err
	}
	return out[0], nil
}

// Letters reads the outbox, newest first, with ids below before (0: all),
// of one state, or of any when it is 0.
func (q queries) Letters(ctx context.Context, state int, before int64, limit int) ([]Letter, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	var out []Letter
	err := q.all(ctx, &out, `SELECT `+letterColumns+` FROM outbox WHERE letter_id < ? AND (? = 0 OR state = ?) ORDER BY letter_id DESC LIMIT ?`, before, state, state, limit)
	return out, err
}

// LettersOf reads the letters of a card, oldest first.
func (q queries) LettersOf(ctx context.Context, id int64) ([]Letter, error) {
	var out []Letter
	err := q.all(ctx, &out, `SELECT `+letterColumns+` FROM outbox WHERE subscriber_id = ? ORDER BY letter_id`, id)
	return out, err
}

// DropLetters removes a card's letters: in every state, or with a list only
// those of it that were not sent.
func (tx *Tx) DropLetters(ctx context.Context, id, listID int64) error {
	letters, err := tx.LettersOf(ctx, id)
	if err != nil {
		return err
	}
	for _, l := range letters {
		if listID != 0 {
			if l.State != LetterOpen && l.State != LetterHeld {
				continue
			}
			if e, err := tx.Envelope(ctx, l.ID); err != nil || e.ListID != listID {
				if err != nil && !errors.Is(err, ErrNotFound) {
					return err
				}
				continue
			}
		}
		if err := tx.dropLetter(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// HoldLetters stops the letters of a card that were not sent, or lets them go on.
func (tx *Tx) HoldLetters(ctx context.Context, id int64, hold bool, now Micros) error {
	from, to, delta := LetterOpen, LetterHeld, int64(-1)
	if !hold {
		from, to, delta = LetterHeld, LetterOpen, 1
	}
	n, err := tx.exec(ctx, `UPDATE outbox SET state = ?, owner = '', due_at = ? WHERE subscriber_id = ? AND state = ?`, to, now, id, from)
	tx.add(countOpen, delta*n)
	tx.add(countHeld, -delta*n)
	return err
}

func (tx *Tx) dropLetter(ctx context.Context, l Letter) error {
	switch l.State {
	case LetterOpen:
		tx.add(countOpen, -1)
	case LetterHeld:
		tx.add(countHeld, -1)
	}
	if _, err := tx.exec(ctx, `DELETE FROM bodies WHERE letter_id = ?`, l.ID); err != nil {
		return err
	}
	return tx.one(ctx, `DELETE FROM outbox WHERE letter_id = ?`, l.ID)
}

// Captured is a mail that the capture route kept.
type Captured struct {
	Number   int64
	At       Micros
	ToMasked string
	Sealed   []byte
}

// AddCaptured keeps a mail, sealed, and returns its number.
func (tx *Tx) AddCaptured(ctx context.Context, to Address, at Micros, data []byte) (int64, error) {
	number, err := tx.NextIDs(ctx, "mailbox", 1)
	if err != nil {
		return 0, err
	}
	sealed, err := tx.keys.sealBytes(sealMail, number, data)
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, `INSERT INTO mailbox (number, address_key, at, to_masked, sealed) VALUES (?, ?, ?, ?, ?)`, number, tx.keys.AddressKey(to), at, to.Masked(), sealed)
	return number, err
}

// CapturedMails reads the newest mails, or with a number just that one.
func (q queries) CapturedMails(ctx context.Context, number int64, limit int) ([]Captured, error) {
	var out []Captured
	scan := func(rows *sql.Rows) error {
		var c Captured
		err := rows.Scan(&c.Number, &c.At, &c.ToMasked, &c.Sealed)
		out = append(out, c)
		return err
	}
	if number != 0 {
		err := q.each(ctx, scan, `SELECT number, at, to_masked, sealed FROM mailbox WHERE number = ?`, number)
		return out, err
	}
	err := q.each(ctx, scan, `SELECT number, at, to_masked, sealed FROM mailbox ORDER BY number DESC LIMIT ?`, limit)
	return out, err
}

// OpenCaptured unseals a mail.
func (q queries) OpenCaptured(c Captured) ([]byte, error) {
	return q.keys.openBytes(sealMail, c.Number, c.Sealed)
}

// DropCaptured removes the mails that were sent to an address.
func (tx *Tx) DropCaptured(ctx context.Context, addressKey []byte) error {
	_, err := tx.exec(ctx, `DELETE FROM mailbox WHERE address_key = ?`, addressKey)
	return err
}
