package flows

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kartotek/store"
)

// TestSettingsThatChange: who serves leaves a trace when letters go another way
// from then on, with the settings' names.
func TestSettingsThatChange(t *testing.T) {
	d := newDesk(t)
	keep := func(route, company string) {
		t.Helper()
		d.must(d.KeepSettings(t.Context(), "root", map[string]string{store.SettingRoute: route, store.SettingCompany: company}))
	}
	keep("capture", "Example")
	keep("capture", "Example")
	rows, err := d.Audit(t.Context(), anna, AuditFilter{What: "settings"}, 0, 10)
	if d.must(err); len(rows) != 0 {
		t.Errorf("nothing changed: %+v", rows)
	}
	keep("direct", "Example")
	rows, err = d.Audit(t.Context(), anna, AuditFilter{What: "settings"}, 0, 10)
	if d.must(err); len(rows) != 1 || rows[0].From != "serve (root)" || !strings.Contains(rows[0].Why, store.SettingRoute) || strings.Contains(rows[0].Why, store.SettingCompany) {
		t.Errorf("%+v", rows)
	}
	if route, err := d.store.Setting(t.Context(), store.SettingRoute); err != nil || route != "direct" {
		t.Errorf("%q, %v", route, err)
	}
}

// TestTickGoesOn: what fails for one part of the clock's work keeps the others
// from nothing.
func TestTickGoesOn(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.must(d.store.InTx(ctx, func(tx *store.Tx) error { return tx.SetSetting(ctx, store.SettingEvidenceKept, "for long") }))
	left := filepath.Join(d.cfg.Exports, exportPrefix+"77-left.json")
	d.must(os.MkdirAll(d.cfg.Exports, 0o700))
	d.must(os.WriteFile(left, []byte("{}"), 0o600))
	if err := d.Tick(ctx); err == nil || !strings.Contains(err.Error(), "2y or 18m") {
		t.Errorf("the failure: %v", err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the export of nobody: %v", err)
	}
}
