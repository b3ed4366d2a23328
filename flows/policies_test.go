package flows

import (
	"testing"
	"time"
)

// TestPoliciesOfDomains keeps a policy until its time, the newest of each
// domain, and nothing that could be read without the domain's name.
func TestPoliciesOfDomains(t *testing.T) {
	d := newDesk(t)
	p := d.Policies()
	kept := func(domain, want string) {
		t.Helper()
		got, err := p.Kept(t.Context(), domain)
		if d.must(err); string(got) != want || want == "" && got != nil {
			t.Errorf("of %s %q is kept, not %q", domain, got, want)
		}
	}
	kept("example.dk", "")
	d.must(p.Keep(t.Context(), "example.dk", d.time.Add(time.Hour), []byte("first of example.dk")))
	d.must(p.Keep(t.Context(), "example.org", d.time.Add(3*time.Hour), []byte("other")))
	kept("example.dk", "first of example.dk")
	d.must(p.Keep(t.Context(), "example.dk", d.time.Add(2*time.Hour), []byte("second")))
	kept("example.dk", "second")
	d.pass(2 * time.Hour)
	kept("example.dk", "")
	d.must(d.Tick(t.Context()))
	kept("example.org", "other")
	d.pass(time.Hour)
	d.must(d.Tick(t.Context()))
	kept("example.org", "")
	d.check()
}
