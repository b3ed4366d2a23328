package flows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/mta"
)

// TestDestinations: letters are counted by the server that was asked last, and
// the server with trouble comes first, with what it said last.
func TestDestinations(t *testing.T) {
	d := newDesk(t)
	for _, address := range []string{"one@example.com", "two@example.com", "three@example.com", "four@example.com"} {
		d.bring(address, Pending)
	}
	got, err := d.Spool().Claim(t.Context(), "me", 3, 0, time.Minute)
	if d.must(err); len(got) != 3 {
		t.Fatalf("claimed %d letters", len(got))
	}
	next := d.time.Add(time.Hour)
	for i, v := range []mta.Verdict{
		{State: mta.Deferred, Retry: next, Host: "mx1.hosting.test", Reply: "4.7.1 come back later"},
		{State: mta.Refused, Host: "mx1.hosting.test", Reply: "5.1.1 nobody here"},
		{State: mta.Delivered, Host: "mx2.hosting.test", Reply: "2.0.0 Ok"},
	} {
		v.At = d.time
		d.must(d.Spool().Mark(t.Context(), got[i], v))
	}
	all, err := d.Destinations(t.Context(), anna)
	d.must(err)
	if len(all) == 3 && all[0].Words != "4.7.1 come back later" && all[0].Words != "5.1.1 nobody here" {
		t.Errorf("the last words are %q", all[0].Words)
	}
	for i := range all {
		all[i].Words = ""
	}
	next = next.UTC()
	if diff := cmp.Diff([]Destination{
		{Host: "mx1.hosting.test", Deferred: 1, Refused: 1, Next: &next},
		{Waiting: 1},
		{Host: "mx2.hosting.test", Delivered: 1},
	}, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
