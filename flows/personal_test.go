package flows

import (
	"testing"

	"kartotek/store"
)

// TestPersonal: nothing that tells of anybody gets into a text for the audit,
// in whatever signs it stands; dates, times and tickets' numbers do.
func TestPersonal(t *testing.T) {
	for _, text := range []string{
		"is it marie@example.dk?", "[marie.jensen@example.dk]", "(mailto:marie.jensen@example.dk)", "marie@example.dk,she asked",
		"from 192.0.2.7:443", "ip=192.0.2.7", "[2001:db8::7]:25", "at 2001:db8:0:0:0:0:0:7.", "20-12-34-56", "+45 20 12 34 56", "20 12 34 56",
	} {
		if personal("the reason", text, store.Person{}) == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, text := range []string{
		"asked on 2026-11-22 at 10:15:40", "by letter of 22.11.2026", "on 22/11/2026", "ticket 20123456", "version 1.2.3", "news @ home",
	} {
		if err := personal("the reason", text, store.Person{}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
