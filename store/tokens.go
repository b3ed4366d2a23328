package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// Purpose binds a token to the one thing that it is for.
type Purpose int8

// The purposes of tokens.
const (
	ForConfirm     Purpose = 1 // single use
	ForUnsubscribe Purpose = 2 // may be used again: leaving twice is leaving
)

// TokenData is the sealed part of a token.
type TokenData struct {
	Address     string `json:"address,omitempty"` // only where no contact holds it: a resubscription beside a tombstone
	Lang        string `json:"lang,omitempty"`
	Notice      string `json:"notice,omitempty"`
	MessageID   string `json:"message_id,omitempty"`
	Resubscribe bool   `json:"resubscribe,omitempty"`
	Asked       string `json:"asked,omitempty"` // how the person asked, by staff
	By          string `json:"by,omitempty"`
	IP          string `json:"ip,omitempty"` // of the web form that asked
	UserAgent   string `json:"user_agent,omitempty"`
	Handed      Handed `json:"handed,omitzero"` // how the letter with the link was handed over
}

// Token is what a link in a mail carries. The store keeps its SHA-256 only.
type Token struct {
	Hash         []byte
	Purpose      Purpose
	SubscriberID int64
	ListID       int64
	CreatedAt    Micros
	ExpiresAt    Micros
	UsedAt       Micros
	Data         TokenData

	sealed []byte // as it was read
}

// NewToken makes the secret of a link: 32 random bytes in URL-safe base64.
func NewToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func tokenHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// sealPlace binds a token's sealed part to its row.
func sealPlace(hash []byte) int64 { return int64(binary.BigEndian.Uint64(hash)) }

// AddToken keeps a token; its secret goes into the letter and nowhere else.
func (tx *Tx) AddToken(ctx context.Context, secret string, t Token) error {
	t.Hash = tokenHash(secret)
	sealed, err := tx.keys.seal(sealToken, sealPlace(t.Hash), t.Data)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO tokens (token_hash, purpose, subscriber_id, list_id, created_at, expires_at, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		t.Hash, t.Purpose, t.SubscriberID, t.ListID, t.CreatedAt, t.ExpiresAt, sealed)
	if err == nil && t.Purpose == ForConfirm {
		tx.add(CountAsked, 1)
	}
	return err
}

// Token reads the token of a secret, bound to its purpose; ErrNotFound for any other.
func (q queries) Token(ctx context.Context, secret string, purpose Purpose) (*Token, error) {
	t := &Token{Hash: tokenHash(secret), Purpose: purpose}
	var sealed []byte
	err := q.get(ctx, []any{&t.SubscriberID, &t.ListID, &t.CreatedAt, &t.ExpiresAt, &t.UsedAt, &sealed},
		`SELECT subscriber_id, list_id, created_at, expires_at, used_at, sealed FROM tokens WHERE token_hash = ? AND purpose = ?`, t.Hash, purpose)
	if err != nil {
		return nil, err
	}
	t.sealed = sealed
	return t, q.keys.open(sealToken, sealPlace(t.Hash), sealed, &t.Data)
}

// UseToken marks a token used, once: of two that try, one starts again. The
// address in it goes at once.
func (tx *Tx) UseToken(ctx context.Context, t *Token, at Micros) error {
	kept := t.Data
	kept.Address, kept.Asked, kept.IP, kept.UserAgent, kept.Handed = "", "", "", "", Handed{}
	sealed, err := tx.keys.seal(sealToken, sealPlace(t.Hash), kept)
	if err != nil {
		return err
	}
	if t.Purpose == ForConfirm {
		tx.add(CountGiven, 1)
	}
	return tx.one(ctx, `UPDATE tokens SET used_at = ?, sealed = ? WHERE token_hash = ? AND used_at = 0 AND sealed = ?`, at, sealed, t.Hash, t.sealed)
}

// HandedLetter is a letter that was handed over, for the confirmation that it
// asks for.
type HandedLetter struct {
	SubscriberID int64
	MessageID    string
	Handed       Handed
}

// NoteHanded notes on the confirmations that letters ask for how the letters
// were handed over; those that are gone or used are left alone.
func (tx *Tx) NoteHanded(ctx context.Context, letters []HandedLetter) error {
	type waiting struct {
		hash, sealed []byte
		id           int64
	}
	var all []waiting
	ids := make([]any, len(letters))
	for i, l := range letters {
		ids[i] = l.SubscriberID
	}
	in, args := inList(ids)
	err := tx.each(ctx, func(rows *sql.Rows) error {
		var w waiting
		err := rows.Scan(&w.hash, &w.sealed, &w.id)
		all = append(all, w)
		return err
	}, `SELECT token_hash, sealed, subscriber_id FROM tokens WHERE subscriber_id IN (`+in+`) AND purpose = ? AND used_at = 0`, append(args, ForConfirm)...)
	if err != nil {
		return err
	}
	for _, w := range all {
		var data TokenData
		if err := tx.keys.open(sealToken, sealPlace(w.hash), w.sealed, &data); err != nil {
			return err
		}
		i := slices.IndexFunc(letters, func(l HandedLetter) bool { return l.SubscriberID == w.id && l.MessageID == data.MessageID })
		if i < 0 {
			continue
		}
		data.Handed = letters[i].Handed
		sealed, err := tx.keys.seal(sealToken, sealPlace(w.hash), data)
		if err != nil {
			return err
		}
		if err := tx.one(ctx, `UPDATE tokens SET sealed = ? WHERE token_hash = ? AND used_at = 0`, sealed, w.hash); err != nil {
			return err
		}
	}
	return nil
}

// WaitingUntil tells until when a confirmation of the card is waited for; 0 when none is.
func (q queries) WaitingUntil(ctx context.Context, id int64, now Micros) (Micros, error) {
	var until Micros
	err := q.get(ctx, []any{&until}, `SELECT COALESCE(MAX(expires_at), 0) FROM tokens WHERE subscriber_id = ? AND purpose = ? AND used_at = 0 AND expires_at > ?`,
		id, ForConfirm, now)
	return until, err
}

// WaitingLists are the lists that confirmations of a card are still open for.
func (q queries) WaitingLists(ctx context.Context, id int64) (lists []int64, err error) {
	err = q.each(ctx, func(rows *sql.Rows) error {
		var list int64
		err := rows.Scan(&list)
		lists = append(lists, list)
		return err
	}, `SELECT DISTINCT list_id FROM tokens WHERE subscriber_id = ? AND purpose = ? AND used_at = 0`, id, ForConfirm)
	return lists, err
}

// DropTokens removes the tokens of a card: all of them, or with a list only
// the confirmations of that list that are still open.
func (tx *Tx) DropTokens(ctx context.Context, id, listID int64) error {
	if listID == 0 {
		_, err := tx.exec(ctx, `DELETE FROM tokens WHERE subscriber_id = ?`, id)
		return err
	}
	_, err := tx.exec(ctx, `DELETE FROM tokens WHERE subscriber_id = ? AND list_id = ? AND purpose = ? AND used_at = 0`, id, listID, ForConfirm)
	return err
}

// ExpiredTokens reads up to n tokens that ended before now, without their sealed part.
func (q queries) ExpiredTokens(ctx context.Context, now Micros, n int) ([]Token, error) {
	var out []Token
	err := q.each(ctx, func(rows *sql.Rows) error {
		var t Token
		err := rows.Scan(&t.Hash, &t.Purpose, &t.SubscriberID, &t.ListID, &t.ExpiresAt, &t.UsedAt)
		out = append(out, t)
		return err
	}, `SELECT token_hash, purpose, subscriber_id, list_id, expires_at, used_at FROM tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT ?`, now, n)
	return out, err
}

// PutOffToken moves the end of a token.
func (tx *Tx) PutOffToken(ctx context.Context, t Token, until Micros) error {
	_, err := tx.exec(ctx, `UPDATE tokens SET expires_at = ? WHERE token_hash = ? AND used_at = 0`, until, t.Hash)
	return err
}

// DropToken removes one token; it may be gone already.
func (tx *Tx) DropToken(ctx context.Context, t Token) error {
	_, err := tx.exec(ctx, `DELETE FROM tokens WHERE token_hash = ?`, t.Hash)
	return err
}

// MoveWaiting gives what waited beside a tombstone, its links and letters, to
// the card that the person came back under.
func (tx *Tx) MoveWaiting(ctx context.Context, from, to int64) error {
	if _, err := tx.exec(ctx, `UPDATE tokens SET subscriber_id = ? WHERE subscriber_id = ?`, to, from); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `UPDATE outbox SET subscriber_id = ? WHERE subscriber_id = ?`, to, from)
	return err
}
