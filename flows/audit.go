package flows

import (
	"context"
	"time"
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

// Audit reads who did what, newest first, with numbers below before (0: all);
// a SubscriberID other than 0 narrows it to one card.
func (s *Service) Audit(ctx context.Context, a Actor, id, before int64, limit int) ([]AuditEntry, error) {
	if err := may(a, doAudit); err != nil {
		return nil, err
	}
	rows, err := s.store.Audit(ctx, id, before, limit)
	out := make([]AuditEntry, len(rows))
	for i, r := range rows {
		out[i] = AuditEntry{ID: r.ID, At: seconds(r.At), Actor: r.Actor, Role: r.Role, From: r.Door, Act: r.Act, SubscriberID: keptID(r.SubscriberID), Why: r.Why}
	}
	return out, err
}
