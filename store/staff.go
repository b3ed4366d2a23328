package store

import (
	"context"
	"errors"
)

// Staffer is one of the company's staff. A row is never removed: the audit
// names who acted, also after they left.
type Staffer struct {
	ID        int64  `db:"staff_id"`
	Name      string `db:"name"`
	Role      string `db:"role"`
	Enabled   bool   `db:"enabled"`
	CreatedAt Micros `db:"created_at"`
	Version   int64  `db:"version"`
}

// StaffKey is a public SSH key of staff. A removed one keeps its row: a key is
// one person's for good.
type StaffKey struct {
	Fingerprint string `db:"fingerprint"` // SHA256:…
	StaffID     int64  `db:"staff_id"`
	Line        string `db:"line"` // as in authorized_keys, without a comment
	AddedAt     Micros `db:"added_at"`
	RemovedAt   Micros `db:"removed_at"` // 0 while it signs in
}

const staffColumns = `SELECT staff_id, name, role, enabled, created_at, version FROM staff`

// Staff reads all staff by name.
func (q queries) Staff(ctx context.Context) ([]Staffer, error) {
	var out []Staffer
	err := q.all(ctx, &out, staffColumns+` ORDER BY name`)
	return out, err
}

// AnyStaff tells whether there are staff.
func (q queries) AnyStaff(ctx context.Context) (bool, error) {
	var id int64
	err := q.get(ctx, []any{&id}, `SELECT staff_id FROM staff LIMIT 1`)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (s *Staffer) fields() []any {
	return []any{&s.ID, &s.Name, &s.Role, &s.Enabled, &s.CreatedAt, &s.Version}
}

// StafferNamed finds one of staff by name.
func (q queries) StafferNamed(ctx context.Context, name string) (Staffer, error) {
	var s Staffer
	err := q.get(ctx, s.fields(), staffColumns+` WHERE name = ?`, name)
	return s, err
}

// StafferByID finds one of staff.
func (q queries) StafferByID(ctx context.Context, id int64) (Staffer, error) {
	var s Staffer
	err := q.get(ctx, s.fields(), staffColumns+` WHERE staff_id = ?`, id)
	return s, err
}

// AddStaffer makes a row; ErrTaken when the name is.
func (tx *Tx) AddStaffer(ctx context.Context, s *Staffer) error {
	id, err := tx.NextIDs(ctx, "staff", 1)
	if err != nil {
		return err
	}
	s.ID, s.Version = id, 1
	_, err = tx.exec(ctx, `INSERT INTO staff (staff_id, name, role, enabled, created_at, version) VALUES (?, ?, ?, ?, ?, ?)`,
		s.ID, s.Name, s.Role, s.Enabled, s.CreatedAt, s.Version)
	return err
}

// SaveStaffer writes role and state, guarded by what was read.
func (tx *Tx) SaveStaffer(ctx context.Context, s *Staffer) error {
	err := tx.one(ctx, `UPDATE staff SET role = ?, enabled = ?, version = version + 1 WHERE staff_id = ? AND version = ?`, s.Role, s.Enabled, s.ID, s.Version)
	s.Version++
	return err
}

// GuardStaff makes changes of staff happen one after the other, also on
// several servers: each writes the one row that all of them read.
func (tx *Tx) GuardStaff(ctx context.Context) error {
	n, err := tx.exec(ctx, `UPDATE sequences SET next_id = next_id + 1 WHERE name = 'staff changes'`)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO sequences (name, next_id) VALUES ('staff changes', 1)`)
	}
	return err
}

const keyColumns = `SELECT fingerprint, staff_id, line, added_at, removed_at FROM staff_keys`

// StaffKeys reads all keys that sign in, in the order that they were added.
func (q queries) StaffKeys(ctx context.Context) ([]StaffKey, error) {
	var out []StaffKey
	err := q.all(ctx, &out, keyColumns+` WHERE removed_at = 0 ORDER BY added_at, fingerprint`)
	return out, err
}

// KeysOfStaffer reads the keys that one of staff signs in with.
func (q queries) KeysOfStaffer(ctx context.Context, id int64) ([]StaffKey, error) {
	var out []StaffKey
	err := q.all(ctx, &out, keyColumns+` WHERE staff_id = ? AND removed_at = 0 ORDER BY added_at, fingerprint`, id)
	return out, err
}

// StaffKey finds a key by its fingerprint, a removed one as well.
func (q queries) StaffKey(ctx context.Context, fingerprint string) (StaffKey, error) {
	var k StaffKey
	err := q.get(ctx, []any{&k.Fingerprint, &k.StaffID, &k.Line, &k.AddedAt, &k.RemovedAt}, keyColumns+` WHERE fingerprint = ?`, fingerprint)
	return k, err
}

// AddStaffKey keeps a key, or brings back one that was removed.
func (tx *Tx) AddStaffKey(ctx context.Context, k StaffKey) error {
	n, err := tx.exec(ctx, `UPDATE staff_keys SET added_at = ?, removed_at = 0 WHERE fingerprint = ? AND staff_id = ?`, k.AddedAt, k.Fingerprint, k.StaffID)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO staff_keys (fingerprint, staff_id, line, added_at) VALUES (?, ?, ?, ?)`, k.Fingerprint, k.StaffID, k.Line, k.AddedAt)
	}
	return err
}

// RemoveStaffKey ends a key.
func (tx *Tx) RemoveStaffKey(ctx context.Context, fingerprint string, at Micros) error {
	return tx.one(ctx, `UPDATE staff_keys SET removed_at = ? WHERE fingerprint = ? AND removed_at = 0`, at, fingerprint)
}
