package store

import (
	"context"
	"errors"
)

// Settings that processes on one store tell each other by.
const (
	SettingPublicURL = "public_url" // under which the web pages were last served
	SettingRoute     = "mail_route" // capture, direct or relay: how mail was last sent
	SettingCompany   = "company"
	SettingFrom      = "from"
	SettingFromName  = "from_name"
	SettingBounce    = "bounce_domain" // of the addresses that mail comes back to; "" when nobody takes it
	// SettingEvidenceKept is how long the evidence of the erased is kept.
	SettingEvidenceKept = "evidence_kept"
	SettingVerified     = "log_verified" // how the last walk through the log ended
)

// Setting reads a setting; "" when it was never set.
func (q queries) Setting(ctx context.Context, name string) (string, error) {
	var value string
	err := q.get(ctx, []any{&value}, `SELECT value FROM settings WHERE name = ?`, name)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return value, err
}

// SetSetting keeps a setting.
func (tx *Tx) SetSetting(ctx context.Context, name, value string) error {
	n, err := tx.exec(ctx, `UPDATE settings SET value = ? WHERE name = ?`, value, name)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO settings (name, value) VALUES (?, ?)`, name, value)
	}
	return err
}
