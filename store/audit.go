package store

import (
	"context"
	"errors"

	"kartotek/store/ledger"
)

// AuditRow is one act of staff, a contact or the clock. It never holds
// anything personal of a contact: the SubscriberID stands for the person.
type AuditRow struct {
	ID           int64  `db:"audit_id"`
	At           Micros `db:"at"`
	Actor        string `db:"actor"`
	Role         string `db:"role"`
	Door         string `db:"door"`
	Act          string `db:"act"`
	SubscriberID int64  `db:"subscriber_id"`
	Why          string `db:"why"`
	Dropped      int64  `db:"dropped"` // how many acts lost their evidence by it

	Salt  []byte `db:"salt"` // of the commitment in the log
	Batch int64  `db:"batch_id"`
	Place int64  `db:"place"`
}

const auditColumns = `audit_id, at, actor, role, door, act, subscriber_id, why, dropped, salt, batch_id, place`

// Record is the row's canonical record, which the log commits to. A field is
// added to it only under a new name: those without it stay as they are.
func (r *AuditRow) Record() []byte {
	var o ledger.Object
	o.Text("act", r.Act)
	o.Text("at", r.At.record())
	o.Int("dropped", r.Dropped)
	o.Text("from", r.Door)
	o.Int("number", r.ID)
	o.Text("role", r.Role)
	o.Int("subscriber_id", r.SubscriberID)
	o.Text("type", "audit")
	o.Text("who", r.Actor)
	o.Text("why", r.Why)
	return o.Bytes()
}

// Leaf is the row's leaf in the log.
func (r *AuditRow) Leaf() []byte {
	var salt ledger.Salt
	copy(salt[:], r.Salt)
	return ledger.Audit(r.ID, ledger.Commit(salt, r.Record()))
}

// AddAudit appends a row, and its leaf to the log.
func (tx *Tx) AddAudit(ctx context.Context, r AuditRow) error {
	id, err := tx.NextIDs(ctx, "audit", 1)
	if err != nil {
		return err
	}
	return tx.addAudit(ctx, id, r)
}

// AddSetback appends the row of a restore, and to the log what was lost by it.
func (tx *Tx) AddSetback(ctx context.Context, r AuditRow, s ledger.Setback) error {
	id, err := tx.NextIDs(ctx, "audit", 1)
	if err != nil {
		return err
	}
	s.Audit = id
	if _, err := tx.appendLeaf(ctx, s.Leaf()); err != nil {
		return err
	}
	return tx.addAudit(ctx, id, r)
}

func (tx *Tx) addAudit(ctx context.Context, id int64, r AuditRow) error {
	salt := ledger.NewSalt()
	r.ID, r.Salt = id, salt[:]
	at, err := tx.appendLeaf(ctx, r.Leaf())
	if err != nil {
		return err
	}
	return tx.fresh(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, r.At, r.Actor, r.Role, r.Door, r.Act, r.SubscriberID, r.Why, r.Dropped, r.Salt, at.Batch, at.Place)
}

// AuditQuery narrows a reading of the audit; zero fields do not.
type AuditQuery struct {
	Actor, Act   string
	SubscriberID int64
	Since, Until Micros // from Since on, before Until
	Before       int64  // the rows that follow the one of this number, which may not be there
	Limit        int
}

// Audit reads rows, newest first. What is narrowed to is found by an index
// that ends in the time, so a page is as quick anywhere.
func (q queries) Audit(ctx context.Context, a AuditQuery) ([]AuditRow, error) {
	where, args := `at <= ? AND (at < ? OR audit_id < ?)`, []any{}
	last, below := Micros(1<<63-1), int64(1<<63-1)
	if a.Until != 0 {
		last, below = a.Until-1, 1<<63-1
	}
	if a.Before != 0 {
		var at Micros
		err := q.get(ctx, []any{&at}, `SELECT at FROM audit WHERE audit_id <= ? ORDER BY audit_id DESC LIMIT 1`, a.Before)
		if err == nil && at <= last {
			last, below = at, a.Before
		} else if err != nil {
			return nil, orNothing(err)
		}
	}
	args = append(args, last, last, below)
	for _, narrow := range []struct {
		on    bool
		where string
		arg   any
	}{
		{a.Since != 0, `at >= ?`, a.Since},
		{a.Actor != "", `actor = ?`, a.Actor},
		{a.Act != "", `act = ?`, a.Act},
		{a.SubscriberID != 0, `subscriber_id = ?`, a.SubscriberID},
	} {
		if narrow.on {
			where, args = where+` AND `+narrow.where, append(args, narrow.arg)
		}
	}
	var out []AuditRow
	err := q.all(ctx, &out, `SELECT `+auditColumns+` FROM audit WHERE `+where+` ORDER BY at DESC, audit_id DESC LIMIT ?`, append(args, a.Limit)...)
	return out, err
}

// orNothing makes what isn't there no error.
func orNothing(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// AuditFrom reads rows in the order of their numbers, from one on.
func (q queries) AuditFrom(ctx context.Context, id int64, limit int) ([]AuditRow, error) {
	var out []AuditRow
	err := q.all(ctx, &out, `SELECT `+auditColumns+` FROM audit WHERE audit_id >= ? ORDER BY audit_id LIMIT ?`, id, limit)
	return out, err
}
