package flows

import (
	"context"
	"time"

	"kartotek/store"
)

// AuditEntry is one act, as doors show it.
type AuditEntry struct {
	ID           int64     `json:"number"`
	At           time.Time `json:"at"`
	Actor        string    `json:"who"`
	Role         string    `json:"role"`
	From         string    `json:"from"`
	Act          string    `json:"act"`
	SubscriberID *int64    `json:"subscriber_id"`
	Why          string    `json:"why"`
}

// AuditFilter narrows the audit; zero fields do not.
type AuditFilter struct {
	Who, What    string
	SubscriberID int64
	Since, Until time.Time // from Since on, before Until
}

// Audit reads who did what, newest first, from the row that follows the one
// numbered before (0: the newest).
func (s *Service) Audit(ctx context.Context, a Actor, f AuditFilter, before int64, limit int) ([]AuditEntry, error) {
	if err := s.allow(ctx, a, doAudit); err != nil {
		return nil, err
	}
	rows, err := s.store.Audit(ctx, store.AuditQuery{
		Actor: f.Who, Act: f.What, SubscriberID: f.SubscriberID, Since: store.At(f.Since), Until: store.At(f.Until), Before: before, Limit: limit,
	})
	out := make([]AuditEntry, len(rows))
	for i, r := range rows {
		out[i] = AuditEntry{ID: r.ID, At: seconds(r.At), Actor: r.Actor, Role: r.Role, From: r.Door, Act: r.Act, SubscriberID: keptID(r.SubscriberID), Why: r.Why}
	}
	return out, err
}
