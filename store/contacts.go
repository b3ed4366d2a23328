package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kartotek/store/ledger"
)

// Person is the personal data of a contact: one sealed value.
type Person struct {
	Email     string     `json:"email"`
	Mobile    string     `json:"mobile,omitempty"`
	FirstName string     `json:"first_name,omitempty"`
	LastName  string     `json:"last_name,omitempty"`
	Language  string     `json:"language,omitempty"`
	Country   string     `json:"country,omitempty"`
	City      string     `json:"city,omitempty"`
	Own       []OwnField `json:"own,omitempty"`
}

// OwnField is one of the company's own fields.
type OwnField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// json is what encoding/json reads a person from, in a room as far as it fits.
func (p *Person) json(r *room) []byte {
	own := ledger.ListIn(r[1024:1792])
	for _, f := range p.Own {
		o := ledger.ObjectIn(r[1792:])
		o.Text("name", f.Name)
		o.Text("value", f.Value)
		own.Add(o)
	}
	o := ledger.ObjectIn(r[:1024])
	o.Text("city", p.City)
	o.Text("country", p.Country)
	o.Text("email", p.Email)
	o.Text("first_name", p.FirstName)
	o.Text("language", p.Language)
	o.Text("last_name", p.LastName)
	o.Text("mobile", p.Mobile)
	o.List("own", own)
	return o.Bytes()
}

// Address is the person's canonical email address.
func (p Person) Address() Address { return Address{p.Email} }

// Number is the person's mobile number in E.164; zero when there is none.
func (p Person) Number() Address { return Address{p.Mobile} }

// Contact is a row of contacts. Zero times, ids and texts stand for "not kept".
type Contact struct {
	SubscriberID int64
	AddressKey   []byte
	MobileKey    []byte
	Permission   Permission
	Frozen       bool
	EmailMasked  string
	MobileMasked string
	Source       string
	Rating       Rating
	Opens        int64
	Clicks       int64
	Updates      int64
	SignedUpAt   Micros
	ConfirmedAt  Micros
	WithdrawnAt  Micros // when the person last withdrew all consent
	DeletedAt    Micros
	ForgetAt     Micros // a pending sign-up is forgotten after this
	LastSeenAt   Micros
	Predecessor  int64
	Successor    int64
	Acts         int64 // how many rows of evidence there are: the next one's number
	Version      int64
	Sealed       []byte

	Score    float64 // points of the MailRating, as of ScoredAt
	ScoredAt Micros  // the last event that gave points, or when the card was made; 0 when there was none
	RateAt   Micros  // time alone changes the rating then; 0 for never

	before    Permission // as it was read: for the counters
	source    string
	seen      Micros
	withdrawn Micros
	confirmed Micros
	rated     Rating
}

const contactColumns = `c.subscriber_id, c.address_key, c.mobile_key, c.permission, c.frozen, c.email_masked, c.mobile_masked,
 COALESCE(c.source, ''), c.rating, c.opens, c.clicks, c.updates, c.signed_up_at, c.confirmed_at, c.withdrawn_at, c.deleted_at,
 c.forget_at, c.last_seen_at, c.predecessor, c.successor, c.acts, c.version, c.score, c.scored_at, c.rate_at`

func (c *Contact) fields() []any {
	return []any{
		&c.SubscriberID, &c.AddressKey, &c.MobileKey, &c.Permission, &c.Frozen, &c.EmailMasked, &c.MobileMasked,
		&c.Source, &c.Rating, &c.Opens, &c.Clicks, &c.Updates, &c.SignedUpAt, &c.ConfirmedAt, &c.WithdrawnAt, &c.DeletedAt,
		&c.ForgetAt, &c.LastSeenAt, &c.Predecessor, &c.Successor, &c.Acts, &c.Version, &c.Score, &c.ScoredAt, &c.RateAt,
	}
}

func (c *Contact) read() {
	c.before, c.source, c.rated, c.seen, c.withdrawn, c.confirmed = c.Permission, c.Source, c.Rating, c.LastSeenAt, c.WithdrawnAt, c.ConfirmedAt
}

// Contact reads one contact whole, its sealed value included.
func (q queries) Contact(ctx context.Context, id int64) (*Contact, error) {
	c := &Contact{}
	err := q.get(ctx, append(c.fields(), &c.Sealed), `SELECT `+contactColumns+`, c.sealed FROM contacts c WHERE c.subscriber_id = ?`, id)
	c.read()
	return c, err
}

// Contacts reads some cards; those that are gone are not among them.
func (q queries) Contacts(ctx context.Context, ids []int64) (map[int64]*Contact, error) {
	in, args := inList(anys(ids))
	out := make(map[int64]*Contact, len(ids))
	err := q.each(ctx, func(rows *sql.Rows) error {
		c := &Contact{}
		err := rows.Scan(append(c.fields(), &c.Sealed)...)
		c.read()
		out[c.SubscriberID] = c
		return err
	}, `SELECT `+contactColumns+`, c.sealed FROM contacts c WHERE c.subscriber_id IN (`+in+`)`, args...)
	return out, err
}

// TakeActs numbers a further act on each of some cards, as often as a card is
// named: the acts are the caller's to add. Of the cards it reads what an act
// needs, the SubscriberID, the address key and how many acts there were before,
// and nothing else. Tombstones and cards that are gone are not among them. The
// rows are written before they are read, so that they stay as they were read.
func (tx *Tx) TakeActs(ctx context.Context, ids []int64) (map[int64]*Contact, error) {
	acts := make(map[int64]int64, len(ids))
	for _, id := range ids {
		acts[id]++
	}
	byActs := map[int64][]any{}
	for id, n := range acts {
		byActs[n] = append(byActs[n], id)
	}
	out := make(map[int64]*Contact, len(acts))
	for n, ids := range byActs {
		slices.SortFunc(ids, func(a, b any) int { return cmp.Compare(a.(int64), b.(int64)) }) // two never wait for each other crosswise
		in, args := inList(ids)
		changed, err := tx.exec(ctx, `UPDATE contacts SET acts = acts + ?, version = version + 1 WHERE subscriber_id IN (`+in+`) AND permission <> ?`,
			append(append([]any{n}, args...), Deleted)...)
		if err != nil {
			return nil, err
		}
		if changed == 0 {
			continue
		}
		if err := tx.each(ctx, func(rows *sql.Rows) error {
			c := &Contact{}
			err := rows.Scan(&c.SubscriberID, &c.AddressKey, &c.Acts)
			c.Acts -= n
			out[c.SubscriberID] = c
			return err
		}, `SELECT subscriber_id, address_key, acts FROM contacts WHERE subscriber_id IN (`+in+`) AND permission <> ?`, append(args, Deleted)...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Live reads the live contact of an address; ErrNotFound when there is none.
func (q queries) Live(ctx context.Context, addressKey []byte) (*Contact, error) {
	c := &Contact{}
	err := q.get(ctx, append(c.fields(), &c.Sealed), `SELECT `+contactColumns+`, c.sealed FROM contacts c WHERE c.address_key = ? AND c.newest = 1 AND c.permission <> ?`, addressKey, Deleted)
	c.read()
	return c, err
}

// Newest reads the card of an address that acts are about: the live one, or
// else the last tombstone; ErrNotFound when there is neither.
func (q queries) Newest(ctx context.Context, addressKey []byte) (*Contact, error) {
	c := &Contact{}
	err := q.get(ctx, append(c.fields(), &c.Sealed), `SELECT `+contactColumns+`, c.sealed FROM contacts c WHERE c.address_key = ? AND c.newest = 1`, addressKey)
	c.read()
	return c, err
}

// ByAddress reads the live card and the tombstones of an address, newest first.
func (q queries) ByAddress(ctx context.Context, addressKey []byte) ([]*Contact, error) {
	return q.contacts(ctx, `SELECT `+contactColumns+` FROM contacts c WHERE c.address_key = ? ORDER BY c.subscriber_id DESC`, addressKey)
}

// ByMobile reads the live cards of a number, newest first.
func (q queries) ByMobile(ctx context.Context, mobileKey []byte) ([]*Contact, error) {
	return q.contacts(ctx, `SELECT `+contactColumns+` FROM contacts c WHERE c.mobile_key = ? ORDER BY c.subscriber_id DESC`, mobileKey)
}

func (q queries) contacts(ctx context.Context, query string, args ...any) ([]*Contact, error) {
	var out []*Contact
	err := q.each(ctx, func(rows *sql.Rows) error {
		c := &Contact{}
		out = append(out, c)
		return rows.Scan(c.fields()...)
	}, query, args...)
	return out, err
}

// Open unseals a contact's personal data; a tombstone has none.
func (q queries) Open(c *Contact) (Person, error) {
	var p Person
	if len(c.Sealed) == 0 {
		return p, nil
	}
	err := q.keys.open(sealContact, c.SubscriberID, c.Sealed, &p)
	return p, err
}

// Seal puts personal data into the contact: the sealed value, the masked
// forms beside it, and the keys that it is found by.
func (q queries) Seal(c *Contact, p Person) error {
	room := rooms.Get().(*room)
	defer rooms.Put(room)
	sealed, err := q.keys.sealBytes(sealContact, c.SubscriberID, p.json(room))
	if err != nil {
		return err
	}
	c.Sealed, c.EmailMasked, c.MobileMasked = sealed, p.Address().Masked(), p.Number().Masked()
	c.AddressKey, c.MobileKey = q.keys.AddressKey(p.Address()), nil
	if p.Mobile != "" {
		c.MobileKey = q.keys.AddressKey(p.Number())
	}
	return nil
}

// newest marks the one card of an address that acts are about: the live one, or
// else the last tombstone. Every new card takes that place, a suppression as
// much as a sign-up, so that of two at the same moment one finds it taken.
func (c *Contact) newest() any {
	if c.Successor != 0 {
		return nil
	}
	return 1
}

// KnownState is what an import needs to know of an address.
type KnownState struct {
	ID         int64 // the live contact, or the last tombstone
	Permission Permission
	Withdrawn  bool // the person has once withdrawn everything
}

// Known tells of each address key who is known by it. A missing key is nobody.
func (q queries) Known(ctx context.Context, keys [][]byte) (map[string]KnownState, error) {
	out := make(map[string]KnownState, len(keys))
	for len(keys) > 0 {
		n := min(len(keys), 500)
		args := make([]any, 0, 500)
		for _, k := range keys[:n] {
			args = append(args, k)
		}
		keys = keys[n:]
		marks, args := inList(args)
		err := q.each(ctx, func(rows *sql.Rows) error {
			var key []byte
			var s KnownState
			var withdrawn Micros
			if err := rows.Scan(&key, &s.ID, &s.Permission, &withdrawn); err != nil {
				return err
			}
			s.Withdrawn = withdrawn > 0
			out[string(key)] = s
			return nil
		}, `SELECT address_key, subscriber_id, permission, withdrawn_at FROM contacts WHERE newest = 1 AND address_key IN (`+marks+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// anys are numbers as arguments of a query.
func anys(ids []int64) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

// inList makes the place holders of an IN list. Lists are filled up to a few
// sizes by repeating their last value, so that few statements are prepared.
func inList(args []any) (string, []any) {
	size := 500
	for _, s := range []int{1, 10, 25, 50, 100, 250} {
		if len(args) <= s {
			size = s
			break
		}
	}
	for len(args) < size {
		args = append(args, args[len(args)-1])
	}
	return strings.Repeat("?, ", len(args)-1) + "?", args
}

// IDsOf lists every card, live or not, of an address.
func (q queries) IDsOf(ctx context.Context, addressKey []byte) ([]int64, error) {
	var out []int64
	err := q.each(ctx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	}, `SELECT subscriber_id FROM contacts WHERE address_key = ? ORDER BY subscriber_id DESC`, addressKey)
	return out, err
}

// IDsAfter lists up to n SubscriberIDs above one, in order: of every card.
func (q queries) IDsAfter(ctx context.Context, after int64, n int) ([]int64, error) {
	var out []int64
	err := q.each(ctx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	}, `SELECT subscriber_id FROM contacts WHERE subscriber_id > ? ORDER BY subscriber_id LIMIT ?`, after, n)
	return out, err
}

// Exists tells whether a card holds personal data: one that is gone or a
// tombstone does not.
func (q queries) Exists(ctx context.Context, id int64) (bool, error) {
	var n int64
	err := q.get(ctx, []any{&n}, `SELECT COUNT(*) FROM contacts WHERE subscriber_id = ? AND permission <> ?`, id, Deleted)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, fmt.Errorf("looking for a card: %w", err)
	}
	return n > 0, nil
}

// Tombstone is what stays of a contact that was erased at a time.
func (c *Contact) Tombstone(at Micros) Contact {
	return Contact{
		SubscriberID: c.SubscriberID, AddressKey: c.AddressKey, Permission: Deleted,
		SignedUpAt: c.SignedUpAt, ConfirmedAt: c.ConfirmedAt, DeletedAt: at, LastSeenAt: at,
		Predecessor: c.Predecessor, Successor: c.Successor, Acts: c.Acts, Version: c.Version,
		before: c.before, source: c.source, rated: c.rated, seen: c.seen, withdrawn: c.withdrawn, confirmed: c.confirmed,
	}
}

// TombstonesBefore lists tombstones that were made before a time and are last
// seen at some: up to limit, the oldest first.
func (q queries) TombstonesBefore(ctx context.Context, at Micros, limit int) ([]int64, error) {
	var out []int64
	err := q.each(ctx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	}, `SELECT subscriber_id FROM contacts WHERE permission = ? AND rating = 0 AND last_seen_at > 0 AND last_seen_at <= ? ORDER BY last_seen_at, subscriber_id LIMIT ?`, Deleted, at, limit)
	return out, err
}
