package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"slices"
	"strconv"

	"kartotek/store/ledger"
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
	MailReturned   Kind = 20 // a letter was not delivered
)

var kindNames = map[Kind]string{
	SignedUp: "signed up", Confirmation: "confirmed", Erasure: "erased", LetterSent: "confirmation mail",
	Withdrawal: "unsubscribed", Resubscription: "resubscription asked", Addition: "imported",
	Freezing: "frozen", Unfreezing: "unfrozen", Correction: "corrected", Restoration: "unsubscribing undone",
	MailReturned: "mail came back",
}

// String is the word of the time line.
func (k Kind) String() string { return kindNames[k] }

// recordNames are what a kind is called in the records that the log commits
// to: once written, never changed.
var recordNames = map[Kind]string{
	SignedUp: "sign_up", Confirmation: "confirm", Erasure: "erase", LetterSent: "confirmation_mail",
	Withdrawal: "unsubscribe", Resubscription: "resubscribe", Addition: "import",
	Freezing: "freeze", Unfreezing: "unfreeze", Correction: "correct", Restoration: "undo_unsubscribe", MailReturned: "mail_returned",
}

// RecordName is what the kind is called in records.
func (k Kind) RecordName() string {
	if name, ok := recordNames[k]; ok {
		return name
	}
	return "kind_" + strconv.Itoa(int(k))
}

// EvidenceAct is the sealed part of an act.
type EvidenceAct struct {
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	Notice    string `json:"notice,omitempty"`     // hex of the notice's SHA-256
	MessageID string `json:"message_id,omitempty"` // of the confirmation mail
	List      string `json:"list,omitempty"`
	By        string `json:"by,omitempty"`   // staff, "contact" or "import"
	Note      string `json:"note,omitempty"` // how the person asked, why it was done
	Handed    Handed `json:"handed,omitzero"`
	// Kept, of an erasure, numbers the acts whose evidence stays; the others' went with it.
	Kept []int64 `json:"kept,omitempty"`
}

// Handed tells how the confirmation mail of an act was handed over; zero when
// that is not known.
type Handed struct {
	At     Micros `json:"at,omitempty"`
	Server string `json:"server,omitempty"` // that took it
	Reply  string `json:"reply,omitempty"`  // its last words
	Digest string `json:"digest,omitempty"` // hex of the message's SHA-256
}

// json is what encoding/json would read an act from. It appends it to a buffer.
func (a *EvidenceAct) json(buffer []byte) []byte {
	o := ledger.ObjectIn(buffer[len(buffer):cap(buffer)])
	o.Text("by", a.By)
	if a.Handed != (Handed{}) {
		var h ledger.Object
		h.Int("at", int64(a.Handed.At))
		h.Text("digest", a.Handed.Digest)
		h.Text("reply", a.Handed.Reply)
		h.Text("server", a.Handed.Server)
		o.Object("handed", h)
	}
	o.Text("ip", a.IP)
	o.Ints("kept", a.Kept)
	o.Text("list", a.List)
	o.Text("message_id", a.MessageID)
	o.Text("note", a.Note)
	o.Text("notice", a.Notice)
	o.Text("user_agent", a.UserAgent)
	return append(buffer, o.Bytes()...)
}

// Evidence is one act: when and what in plain, the rest sealed under the address.
type Evidence struct {
	SubscriberID int64
	N            int64 // 1, 2, 3 … of this card
	Kind         Kind
	At           Micros
	Sealed       []byte
	Leaf         LeafPlace
	Act          EvidenceAct // after Open, and for AddEvidence
	Salt         ledger.Salt // likewise

	leaf []byte // in the log, for InsertEvidence
}

// Record is the act's canonical record, which the log commits to; address is
// the one that the act is of. docs/proof.md describes it.
func (e *Evidence) Record(address Address) []byte { return e.recordIn(nil, address) }

// recordIn writes it into a buffer, as far as that has room.
func (e *Evidence) recordIn(buffer []byte, address Address) []byte {
	a := &e.Act
	o := ledger.ObjectIn(buffer)
	o.Text("act", e.Kind.RecordName())
	o.Text("address", address.canonical)
	o.Text("at", e.At.record())
	o.Text("by", a.By)
	o.Text("handed_over_at", a.Handed.At.record())
	o.Text("ip", a.IP)
	o.Ints("kept", a.Kept)
	o.Text("list", a.List)
	o.Text("mail_sha256", a.Handed.Digest)
	o.Text("message_id", a.MessageID)
	o.Text("note", a.Note)
	o.Text("notice_sha256", a.Notice)
	o.Int("number", e.N)
	o.Text("server", a.Handed.Server)
	o.Text("server_reply", a.Handed.Reply)
	o.Int("subscriber_id", e.SubscriberID)
	o.Text("type", "evidence")
	o.Text("user_agent", a.UserAgent)
	return o.Bytes()
}

// record writes a time as records have it; "" for none.
func (m Micros) record() string {
	if m == 0 {
		return ""
	}
	return ledger.FormTime(m.Time())
}

// Prepare numbers and seals an act of a card, before or in a transaction.
func (k EvidenceKey) Prepare(c *Contact, kind Kind, at Micros, act EvidenceAct) *Evidence {
	c.Acts++
	e := &Evidence{SubscriberID: c.SubscriberID, N: c.Acts, Kind: kind, At: at, Act: act, Salt: ledger.NewSalt()}
	room := rooms.Get().(*room)
	defer rooms.Put(room)
	e.Sealed = k.seal(e, room)
	e.leaf = ledger.Evidence(ledger.Commit(e.Salt, e.recordIn(room[:], k.address)), e.SealedDigest())
	return e
}

// SealedDigest is the digest of the row as it lies sealed.
func (e *Evidence) SealedDigest() ledger.Digest {
	return ledger.Sealed(e.SubscriberID, e.N, int64(e.Kind), int64(e.At), e.Sealed)
}

// InsertEvidence appends a prepared act, and its leaf to the log.
func (tx *Tx) InsertEvidence(ctx context.Context, e *Evidence) error {
	return tx.InsertEvidences(ctx, []*Evidence{e})
}

// InsertEvidences appends prepared acts, with few statements.
func (tx *Tx) InsertEvidences(ctx context.Context, es []*Evidence) (err error) {
	rows := newRows(len(es), 7)
	defer rows.done()
	tx.leaves = slices.Grow(tx.leaves, min(len(es), batchLeaves)*ledger.EvidenceSize)
	for _, e := range es {
		if e.Leaf, err = tx.appendLeaf(ctx, e.leaf); err != nil {
			return err
		}
		rows.add(e.SubscriberID, e.N, e.Kind, e.At, e.Sealed, e.Leaf.Batch, e.Leaf.Place)
	}
	return tx.insertAll(ctx, `INSERT INTO evidence (subscriber_id, n, kind, at, sealed, batch_id, place)`, rows.all)
}

// AddEvidence appends an act to a card. The caller saves the contact after it:
// the contact's version guards the numbering.
func (tx *Tx) AddEvidence(ctx context.Context, key EvidenceKey, c *Contact, kind Kind, at Micros, act EvidenceAct) error {
	return tx.InsertEvidence(ctx, key.Prepare(c, kind, at, act))
}

// EvidenceOf reads a card's acts in their order, sealed.
func (q queries) EvidenceOf(ctx context.Context, id int64) ([]*Evidence, error) {
	var out []*Evidence
	err := q.each(ctx, func(rows *sql.Rows) error {
		e := &Evidence{SubscriberID: id}
		out = append(out, e)
		return rows.Scan(&e.N, &e.Kind, &e.At, &e.Sealed, &e.Leaf.Batch, &e.Leaf.Place)
	}, `SELECT n, kind, at, sealed, batch_id, place FROM evidence WHERE subscriber_id = ? ORDER BY n`, id)
	return out, err
}

// KeepEvidence removes all acts of a card but those numbered, and tells how
// many went: the audit row of what removed them has to say so, or the log
// misses them. Their leaves stay, and say nothing without the salts.
func (tx *Tx) KeepEvidence(ctx context.Context, id int64, keep ...int64) (int64, error) {
	args := []any{id}
	for _, n := range keep {
		args = append(args, n)
	}
	for len(args) < 4 {
		args = append(args, int64(0))
	}
	return tx.exec(ctx, `DELETE FROM evidence WHERE subscriber_id = ? AND n NOT IN (?, ?, ?)`, args...)
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
