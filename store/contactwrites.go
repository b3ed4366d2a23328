package store

import (
	"context"
	"strings"
)

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// bytesOrNull keeps nothing as NULL, which every driver makes of it then.
func bytesOrNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

const insertContact = `INSERT INTO contacts (subscriber_id, newest, address_key, mobile_key, permission, frozen, email_masked, mobile_masked,
 source, rating, opens, clicks, updates, signed_up_at, confirmed_at, withdrawn_at, deleted_at, forget_at, last_seen_at,
 predecessor, successor, acts, version, score, scored_at, rate_at, sealed)`

// AddContact inserts a contact. When somebody else has made a card of its
// address since the transaction looked, the transaction starts again.
func (tx *Tx) AddContact(ctx context.Context, c *Contact) error {
	return tx.AddContacts(ctx, []*Contact{c})
}

// AddContacts inserts contacts as AddContact does, with few statements.
func (tx *Tx) AddContacts(ctx context.Context, cs []*Contact) error {
	if err := tx.samePeppers(ctx); err != nil {
		return err
	}
	rows := newRows(len(cs), 27)
	defer rows.done()
	for _, c := range cs {
		c.Version = 1
		if err := tx.refit(c); err != nil {
			return err
		}
		rows.add(
			c.SubscriberID, c.newest(), c.AddressKey, bytesOrNull(c.MobileKey), c.Permission, c.Frozen, c.EmailMasked, c.MobileMasked,
			nullable(c.Source), c.Rating, c.Opens, c.Clicks, c.Updates, c.SignedUpAt, c.ConfirmedAt, c.WithdrawnAt, c.DeletedAt, c.ForgetAt, c.LastSeenAt,
			c.Predecessor, c.Successor, c.Acts, c.Version, c.Score, c.ScoredAt, c.RateAt, bytesOrNull(c.Sealed),
		)
	}
	if err := tx.insertAll(ctx, insertContact, rows.all); err != nil {
		return err
	}
	type kind struct {
		permission Permission
		source     string
		rating     Rating
	}
	of := map[kind]int64{}
	for _, c := range cs {
		if c.Permission == Deleted {
			tx.erased(c)
		}
		of[kind{c.Permission, c.Source, c.Rating}]++
		tx.countAct(c)
		c.read()
	}
	for k, n := range of {
		tx.count(k.permission, k.source, k.rating, n)
	}
	return nil
}

// countAct counts who is erased and who comes back, before c.read.
func (tx *Tx) countAct(c *Contact) {
	switch {
	case c.Permission == Deleted && c.before != Deleted:
		tx.add(CountErased, 1)
	case c.Permission == Confirmed && (c.withdrawn != 0 && c.WithdrawnAt == 0 && c.ConfirmedAt != c.confirmed || c.before == Unknown && c.Predecessor != 0):
		tx.add(CountResubscribed, 1)
	}
}

// SaveContact writes a contact back, guarded by the version that was read:
// when somebody else was faster, the transaction starts again.
func (tx *Tx) SaveContact(ctx context.Context, c *Contact) error {
	if err := tx.refit(c); err != nil {
		return err
	}
	err := tx.one(ctx, `UPDATE contacts SET newest = ?, mobile_key = ?, permission = ?, frozen = ?, email_masked = ?, mobile_masked = ?, source = ?, rating = ?,
 opens = ?, clicks = ?, updates = ?, signed_up_at = ?, confirmed_at = ?, withdrawn_at = ?, deleted_at = ?, forget_at = ?, last_seen_at = ?,
 predecessor = ?, successor = ?, acts = ?, score = ?, scored_at = ?, rate_at = ?, sealed = ?, version = version + 1 WHERE subscriber_id = ? AND version = ?`,
		c.newest(), bytesOrNull(c.MobileKey), c.Permission, c.Frozen, c.EmailMasked, c.MobileMasked, nullable(c.Source), c.Rating, c.Opens, c.Clicks, c.Updates,
		c.SignedUpAt, c.ConfirmedAt, c.WithdrawnAt, c.DeletedAt, c.ForgetAt, c.LastSeenAt, c.Predecessor, c.Successor, c.Acts, c.Score, c.ScoredAt, c.RateAt, bytesOrNull(c.Sealed), c.SubscriberID, c.Version)
	if err != nil {
		return err
	}
	if err := tx.moveMemberships(ctx, c); err != nil {
		return err
	}
	if c.Permission == Deleted && c.before != Deleted {
		tx.erased(c)
		if err := tx.DropActivity(ctx, c.SubscriberID); err != nil {
			return err
		}
	}
	tx.count(c.before, c.source, c.rated, -1)
	tx.count(c.Permission, c.Source, c.Rating, 1)
	tx.countAct(c)
	c.Version++
	c.read()
	return nil
}

// Touch makes the transaction start again when a contact was changed since it was
// read, and others that read it before: of what was read beside it nothing is
// older or newer than it.
func (tx *Tx) Touch(ctx context.Context, c *Contact) error {
	err := tx.one(ctx, `UPDATE contacts SET version = version + 1 WHERE subscriber_id = ? AND version = ?`, c.SubscriberID, c.Version)
	if err == nil {
		c.Version++
	}
	return err
}

// moveMemberships makes memberships carry what they are browsed by of their
// contact. It writes what has changed alone: each column is in some indexes.
func (tx *Tx) moveMemberships(ctx context.Context, c *Contact) error {
	var set []string
	var args []any
	change := func(changed bool, column string, values ...any) {
		if changed {
			set, args = append(set, column), append(args, values...)
		}
	}
	change(c.seen != c.LastSeenAt, "last_seen_at = ?", c.LastSeenAt)
	change(c.rated != c.Rating, "rating = ?", c.Rating)
	change(c.source != c.Source, "source = ?", nullable(c.Source))
	change(c.before != c.Permission, "found_as = CASE WHEN status = ? THEN status ELSE 0 END", c.Permission)
	if len(set) == 0 {
		return nil
	}
	_, err := tx.exec(ctx, `UPDATE memberships SET `+strings.Join(set, ", ")+` WHERE subscriber_id = ?`, append(args, c.SubscriberID)...)
	return err
}

// RemoveContact takes the row away for good: a sign-up that nobody confirmed.
func (tx *Tx) RemoveContact(ctx context.Context, c *Contact) error {
	if err := tx.one(ctx, `DELETE FROM contacts WHERE subscriber_id = ? AND version = ?`, c.SubscriberID, c.Version); err != nil {
		return err
	}
	tx.count(c.before, c.source, c.rated, -1)
	return tx.DropActivity(ctx, c.SubscriberID)
}
