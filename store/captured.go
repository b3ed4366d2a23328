package store

import (
	"context"
	"database/sql"
)

// Captured is a mail that the capture route kept.
type Captured struct {
	Number   int64
	At       Micros
	ToMasked string
	Sealed   []byte
}

// AddCaptured keeps a mail to the address of a card, sealed, and returns its
// number. Touching the card guards it against an erasure at the same moment,
// which would leave the mail behind.
func (tx *Tx) AddCaptured(ctx context.Context, c *Contact, to Address, at Micros, data []byte) (int64, error) {
	if err := tx.Touch(ctx, c); err != nil {
		return 0, err
	}
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
