package flows

import (
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
