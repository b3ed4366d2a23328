package store

import "context"

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
}

// AddAudit appends a row.
func (tx *Tx) AddAudit(ctx context.Context, r AuditRow) error {
	id, err := tx.NextIDs(ctx, "audit", 1)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO audit (audit_id, at, actor, role, door, act, subscriber_id, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id, r.At, r.Actor, r.Role, r.Door, r.Act, r.SubscriberID, r.Why)
	return err
}

// Audit reads rows, newest first, with ids below before (0: from the newest).
// A SubscriberID other than 0 narrows them to one card.
func (q queries) Audit(ctx context.Context, subscriberID, before int64, limit int) ([]AuditRow, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	var out []AuditRow
	const columns = `SELECT audit_id, at, actor, role, door, act, subscriber_id, why FROM audit WHERE `
	var err error
	if subscriberID != 0 {
		err = q.all(ctx, &out, columns+`subscriber_id = ? AND audit_id < ? ORDER BY audit_id DESC LIMIT ?`, subscriberID, before, limit)
	} else {
		err = q.all(ctx, &out, columns+`audit_id < ? ORDER BY audit_id DESC LIMIT ?`, before, limit)
	}
	return out, err
}
