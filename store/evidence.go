package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
)

// Kind is the kind of an act of consent or its withdrawal.
type Kind int8

// The kinds. A tombstone keeps SignedUp, Confirmation and Erasure.
const (
	SignedUp       Kind = 1 // the person (or an import) signed up
	Confirmation   Kind = 2 // the person confirmed, here or elsewhere
	Erasure        Kind = 3
	LetterSent     Kind = 4 // a confirmation mail was handed over
	Withdrawal     Kind = 5 // one list or all
	Resubscription Kind = 6 // staff or a form asked for a confirmed sign-up
	Addition       Kind = 7 // an import added a list or data
	Freezing       Kind = 8
	Unfreezing     Kind = 9
	Correction     Kind = 10
	Restoration    Kind = 11 // staff took back an unsubscribing of theirs at once
)

var kindNames = map[Kind]string{
	SignedUp: "signed up", Confirmation: "confirmed", Erasure: "erased", LetterSent: "confirmation mail",
	Withdrawal: "unsubscribed", Resubscription: "resubscription asked", Addition: "imported",
	Freezing: "frozen", Unfreezing: "unfrozen", Correction: "corrected", Restoration: "unsubscribing undone",
}

// String is the word of the time line.
func (k Kind) String() string { return kindNames[k] }

// EvidenceAct is the sealed part of an act.
type EvidenceAct struct {
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	Notice    string `json:"notice,omitempty"`     // hex of the notice's SHA-256
	MessageID string `json:"message_id,omitempty"` // of the confirmation mail
	List      string `json:"list,omitempty"`
	By        string `json:"by,omitempty"`   // staff, "contact" or "import"
	Note      string `json:"note,omitempty"` // how the person asked, why it was done
}

// Evidence is one act: when and what in plain, the rest sealed under the address.
type Evidence struct {
	SubscriberID int64
	N            int64 // 1, 2, 3 … of this card
	Kind         Kind
	At           Micros
	Sealed       []byte
	Act          EvidenceAct // after Open, and for AddEvidence
}

// Prepare numbers and seals an act of a card, before or in a transaction.
func (k EvidenceKey) Prepare(c *Contact, kind Kind, at Micros, act EvidenceAct) (*Evidence, error) {
	c.Acts++
	e := &Evidence{SubscriberID: c.SubscriberID, N: c.Acts, Kind: kind, At: at, Act: act}
	var err error
	e.Sealed, err = k.seal(e)
	return e, err
}

// InsertEvidence appends a prepared act.
func (tx *Tx) InsertEvidence(ctx context.Context, e *Evidence) error {
	return tx.InsertEvidences(ctx, []*Evidence{e})
}

// InsertEvidences appends prepared acts, with few statements.
func (tx *Tx) InsertEvidences(ctx context.Context, es []*Evidence) error {
	rows := make([][]any, len(es))
	for i, e := range es {
		rows[i] = []any{e.SubscriberID, e.N, e.Kind, e.At, e.Sealed}
	}
	return tx.insertAll(ctx, `INSERT INTO evidence (subscriber_id, n, kind, at, sealed)`, rows)
}

// AddEvidence appends an act to a card. The caller saves the contact after it:
// the contact's version guards the numbering.
func (tx *Tx) AddEvidence(ctx context.Context, key EvidenceKey, c *Contact, kind Kind, at Micros, act EvidenceAct) error {
	e, err := key.Prepare(c, kind, at, act)
	if err != nil {
		return err
	}
	return tx.InsertEvidence(ctx, e)
}

// EvidenceOf reads a card's acts in their order, sealed.
func (q queries) EvidenceOf(ctx context.Context, id int64) ([]*Evidence, error) {
	var out []*Evidence
	err := q.each(ctx, func(rows *sql.Rows) error {
		e := &Evidence{SubscriberID: id}
		out = append(out, e)
		return rows.Scan(&e.N, &e.Kind, &e.At, &e.Sealed)
	}, `SELECT n, kind, at, sealed FROM evidence WHERE subscriber_id = ? ORDER BY n`, id)
	return out, err
}

// KeepEvidence removes all acts of a card but those numbered.
func (tx *Tx) KeepEvidence(ctx context.Context, id int64, keep ...int64) error {
	args := []any{id}
	for _, n := range keep {
		args = append(args, n)
	}
	for len(args) < 4 {
		args = append(args, int64(0))
	}
	_, err := tx.exec(ctx, `DELETE FROM evidence WHERE subscriber_id = ? AND n NOT IN (?, ?, ?)`, args...)
	return err
}

// AddNotice keeps a consent text once, and returns what evidence names it by.
func (tx *Tx) AddNotice(ctx context.Context, text string, at Micros) (string, error) {
	sum := sha256.Sum256([]byte(text))
	var n int
	err := tx.get(ctx, []any{&n}, `SELECT COUNT(*) FROM notices WHERE notice_id = ?`, sum[:])
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO notices (notice_id, body, created_at) VALUES (?, ?, ?)`, sum[:], text, at)
	}
	return hex.EncodeToString(sum[:]), err
}

// Notice reads a consent text by what evidence names it by.
func (q queries) Notice(ctx context.Context, id string) (string, error) {
	key, err := hex.DecodeString(id)
	if err != nil || id == "" {
		return "", ErrNotFound
	}
	var text string
	err = q.get(ctx, []any{&text}, `SELECT body FROM notices WHERE notice_id = ?`, key)
	return text, err
}
