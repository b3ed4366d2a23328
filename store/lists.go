package store

import (
	"context"
	"database/sql"
	"fmt"
)

// List is a list of contacts, with its counters.
type List struct {
	ID        int64  `db:"list_id"`
	Name      string `db:"name"`
	Slug      string `db:"slug"`
	CreatedAt Micros `db:"created_at"`
	// FromName and FromAddress are the sender of its letters; empty for the company's.
	FromName    string `db:"from_name"`
	FromAddress string `db:"from_address"`
}

const listColumns = `list_id, name, slug, created_at, from_name, from_address`

func (l *List) columns() []any {
	return []any{&l.ID, &l.Name, &l.Slug, &l.CreatedAt, &l.FromName, &l.FromAddress}
}

// Lists reads all lists by name.
func (q queries) Lists(ctx context.Context) ([]List, error) {
	var out []List
	err := q.all(ctx, &out, `SELECT `+listColumns+` FROM lists ORDER BY name`)
	return out, err
}

// ListByName finds a list by its name, or else by its slug.
func (q queries) ListByName(ctx context.Context, name string) (List, error) {
	var l List
	err := q.get(ctx, l.columns(),
		`SELECT `+listColumns+` FROM lists WHERE name = ? OR slug = ? ORDER BY CASE WHEN name = ? THEN 0 ELSE 1 END LIMIT 1`, name, name, name)
	return l, err
}

// ListByID finds a list.
func (q queries) ListByID(ctx context.Context, id int64) (List, error) {
	var l List
	err := q.get(ctx, l.columns(), `SELECT `+listColumns+` FROM lists WHERE list_id = ?`, id)
	return l, err
}

// AddList makes a list; ErrTaken when the name or the slug is.
func (tx *Tx) AddList(ctx context.Context, l *List) error {
	id, err := tx.NextIDs(ctx, "lists", 1)
	if err != nil {
		return err
	}
	l.ID = id
	_, err = tx.exec(ctx, `INSERT INTO lists (list_id, name, slug, created_at) VALUES (?, ?, ?, ?)`, l.ID, l.Name, l.Slug, l.CreatedAt)
	return err
}

// SetListSender keeps who a list's letters come from.
func (tx *Tx) SetListSender(ctx context.Context, id int64, name, address string) error {
	return tx.one(ctx, `UPDATE lists SET from_name = ?, from_address = ? WHERE list_id = ?`, name, address, id)
}

// Membership is a contact's place on a list.
type Membership struct {
	SubscriberID int64
	ListID       int64
	List         string
	Status       string
	Since        Micros
	LeftAt       Micros // when the person last left it and has not confirmed since; 0 when they never did

	before string
}

// Leave ends a subscription; a later sign-up that isn't confirmed does not
// make it forgotten.
func (m *Membership) Leave(at Micros) { m.Status, m.Since, m.LeftAt = Left, at, at }

// Memberships reads the lists of some contacts.
func (q queries) Memberships(ctx context.Context, ids ...int64) (map[int64][]*Membership, error) {
	out := make(map[int64][]*Membership, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), 500)
		args := make([]any, 0, 500)
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		ids = ids[n:]
		marks, args := inList(args)
		err := q.each(ctx, func(rows *sql.Rows) error {
			m := &Membership{}
			var status int
			if err := rows.Scan(&m.SubscriberID, &m.ListID, &m.List, &status, &m.Since, &m.LeftAt); err != nil {
				return err
			}
			m.Status = statusNames[status]
			m.before = m.Status
			out[m.SubscriberID] = append(out[m.SubscriberID], m)
			return nil
		}, `SELECT m.subscriber_id, m.list_id, l.name, m.status, m.since, m.left_at FROM memberships m JOIN lists l ON l.list_id = m.list_id
 WHERE m.subscriber_id IN (`+marks+`) ORDER BY m.subscriber_id, m.list_id`, args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// AddMembership puts a contact on a list.
func (tx *Tx) AddMembership(ctx context.Context, c *Contact, m *Membership) error {
	return tx.AddMemberships(ctx, []*Contact{c}, []*Membership{m})
}

// AddMemberships puts each contact on the list of the membership at its place,
// with few statements.
func (tx *Tx) AddMemberships(ctx context.Context, cs []*Contact, ms []*Membership) error {
	rows := newRows(len(ms), 8)
	defer rows.done()
	for i, m := range ms {
		c := cs[i]
		rows.add(c.SubscriberID, m.ListID, statusCodes[m.Status], m.Since, c.LastSeenAt, c.Rating, nullable(c.Source), foundAs(c.Permission, m.Status))
	}
	if err := tx.insertAll(ctx, `INSERT INTO memberships (subscriber_id, list_id, status, since, last_seen_at, rating, source, found_as)`, rows.all); err != nil {
		return err
	}
	type kind struct {
		list   int64
		status string
	}
	of := map[kind]int64{}
	for _, m := range ms {
		of[kind{m.ListID, m.Status}]++
		m.before = m.Status
	}
	for k, n := range of {
		tx.add(listCounter(k.list, k.status), n)
	}
	return nil
}

// SaveMembership writes a changed status; the contact's version guards it.
func (tx *Tx) SaveMembership(ctx context.Context, m *Membership) error {
	err := tx.one(ctx, `UPDATE memberships SET status = ?, since = ?, left_at = ?,
 found_as = COALESCE((SELECT permission FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id AND c.permission = ?), 0) WHERE subscriber_id = ? AND list_id = ?`,
		statusCodes[m.Status], m.Since, m.LeftAt, statusCodes[m.Status], m.SubscriberID, m.ListID)
	if err == nil {
		tx.add(listCounter(m.ListID, m.before), -1)
		tx.add(listCounter(m.ListID, m.Status), 1)
		m.before = m.Status
	}
	return err
}

// RemoveMembership takes a contact off a list without a trace.
func (tx *Tx) RemoveMembership(ctx context.Context, m *Membership) error {
	err := tx.one(ctx, `DELETE FROM memberships WHERE subscriber_id = ? AND list_id = ?`, m.SubscriberID, m.ListID)
	if err == nil {
		tx.add(listCounter(m.ListID, m.before), -1)
	}
	return err
}

func listCounter(id int64, status string) string { return fmt.Sprintf("list/%d/%s", id, status) }
