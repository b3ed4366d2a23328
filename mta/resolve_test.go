package mta

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/google/go-cmp/cmp"
)

// counting counts the questions for MX.
type counting struct {
	Resolver
	asked atomic.Int32
}

func (c *counting) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	c.asked.Add(1)
	return c.Resolver.LookupMX(ctx, domain)
}

var (
	errServfail = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	errSlow     = &net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true}
)

// worldOfNames is a name service with a domain of each kind.
func worldOfNames() map[string]mockdns.Zone {
	var many []net.MX
	for i := range 50 {
		many = append(many, net.MX{Host: fmt.Sprintf("mx%02d.test.", i), Pref: uint16(i)})
	}
	return map[string]mockdns.Zone{
		"sorted.test.":    {MX: []net.MX{{Host: "C.test.", Pref: 30}, {Host: "a.test.", Pref: 10}, {Host: "b.test.", Pref: 20}}},
		"doubled.test.":   {MX: []net.MX{{Host: "a.test.", Pref: 10}, {Host: "a.test.", Pref: 20}}},
		"implicit.test.":  {A: []string{"192.0.2.1"}},
		"implicit6.test.": {AAAA: []string{"2001:db8::1"}},
		"alias.test.":     {CNAME: "sorted.test."},
		"loop.test.":      {Err: errServfail}, // as a name server answers to a ring of aliases
		"null.test.":      {MX: []net.MX{{Host: ".", Pref: 0}}},
		"junk.test.":      {MX: []net.MX{{Host: "a b.test.", Pref: 0}, {Host: "x_\r\n.test.", Pref: 1}}},
		"mixed.test.":     {MX: []net.MX{{Host: ".", Pref: 0}, {Host: "a.test.", Pref: 1}}},
		"servfail.test.":  {Err: errServfail},
		"timeout.test.":   {Err: errSlow},
		"backup.test.":    {MX: []net.MX{{Host: "a.test.", Pref: 10}, {Host: "us.test.", Pref: 20}, {Host: "b.test.", Pref: 20}, {Host: "c.test.", Pref: 30}}},
		"ours.test.":      {MX: []net.MX{{Host: "us.test.", Pref: 10}, {Host: "b.test.", Pref: 20}}},
		"us.test.":        {A: []string{"192.0.2.1"}},
		"many.test.":      {MX: many},
		"empty.test.":     {TXT: []string{"nothing else"}},
	}
}

func TestFindExchangers(t *testing.T) {
	tests := []struct {
		domain   string
		hosts    []string
		state    State
		enhanced string
	}{
		{domain: "sorted.test", hosts: []string{"a.test", "b.test", "c.test"}},
		{domain: "doubled.test", hosts: []string{"a.test"}},
		{domain: "implicit.test", hosts: []string{"implicit.test"}},
		{domain: "implicit6.test", hosts: []string{"implicit6.test"}},
		{domain: "alias.test", hosts: []string{"a.test", "b.test", "c.test"}},
		{domain: "mixed.test", hosts: []string{"a.test"}},
		{domain: "backup.test", hosts: []string{"a.test"}},
		{domain: "loop.test", state: Deferred, enhanced: "4.4.3"},
		{domain: "null.test", state: Refused, enhanced: "5.1.10"},
		{domain: "junk.test", state: Refused, enhanced: "5.4.4"},
		{domain: "servfail.test", state: Deferred, enhanced: "4.4.3"},
		{domain: "timeout.test", state: Deferred, enhanced: "4.4.3"},
		{domain: "nxdomain.test", state: Refused, enhanced: "5.1.2"},
		{domain: "empty.test", state: Refused, enhanced: "5.1.2"},
		{domain: "ours.test", state: Refused, enhanced: "5.4.6"},
		{domain: "us.test", state: Refused, enhanced: "5.4.6"},
	}
	e := newExchangers(&mockdns.Resolver{Zones: worldOfNames()}, "us.test")
	for _, tt := range tests {
		t.Run(tt.domain, func(t *testing.T) {
			for range 2 { // the second time from what is kept
				hosts, no := e.find(context.Background(), tt.domain)
				if diff := cmp.Diff(tt.hosts, hosts); diff != "" {
					t.Error(diff)
				}
				if tt.state == "" && no != nil || tt.state != "" && (no == nil || no.State != tt.state || no.Enhanced != tt.enhanced) {
					t.Errorf("verdict %+v, want %s %s", no, tt.state, tt.enhanced)
				}
			}
		})
	}
	if hosts, _ := e.find(context.Background(), "many.test"); len(hosts) != maxMX {
		t.Errorf("%d hosts of 50", len(hosts))
	}
}

func TestTiesAtRandom(t *testing.T) {
	zones := map[string]mockdns.Zone{"ties.test.": {MX: []net.MX{
		{Host: "a.test.", Pref: 10}, {Host: "b.test.", Pref: 10}, {Host: "c.test.", Pref: 10}, {Host: "z.test.", Pref: 20},
	}}}
	e := newExchangers(&mockdns.Resolver{Zones: zones}, "")
	first := map[string]bool{}
	for range 200 {
		hosts, no := e.find(context.Background(), "ties.test")
		if no != nil || len(hosts) != 4 || hosts[3] != "z.test" {
			t.Fatal(hosts, no)
		}
		first[hosts[0]] = true
	}
	if len(first) != 3 {
		t.Errorf("in 200 look-ups only %v came first", first)
	}
}

func TestAnswersAreKept(t *testing.T) {
	zones := map[string]mockdns.Zone{
		"good.test.": {MX: []net.MX{{Host: "a.test.", Pref: 10}}},
		"null.test.": {MX: []net.MX{{Host: ".", Pref: 0}}},
		"bad.test.":  {Err: errServfail},
	}
	resolver := &counting{Resolver: &mockdns.Resolver{Zones: zones}}
	e := newExchangers(resolver, "")
	now := time.Now()
	e.now = func() time.Time { return now }
	ask := func(domain string, want int32) {
		t.Helper()
		before := resolver.asked.Load()
		e.find(context.Background(), domain)
		e.find(context.Background(), domain)
		if n := resolver.asked.Load() - before; n != want {
			t.Errorf("%s: asked %d times, want %d", domain, n, want)
		}
	}
	ask("good.test", 1)
	ask("null.test", 1)
	ask("bad.test", 2) // trouble is never kept
	now = now.Add(mxKept + time.Second)
	ask("good.test", 1)
	for i := range 3 * maxDomains / 2 {
		e.keep(fmt.Sprint(i), mxAnswer{})
	}
	if n := len(e.kept); n > maxDomains {
		t.Errorf("%d answers kept", n)
	}
	if hosts, no := e.find(context.Background(), "good.test"); no != nil || len(hosts) != 1 {
		t.Errorf("not found again: %v %v", hosts, no)
	}
}

// The system's own resolver fits.
var _ Resolver = net.DefaultResolver

func TestUsableSortsStably(t *testing.T) {
	got := usable([]*net.MX{{Host: "b.", Pref: 1}, {Host: "a.", Pref: 1}, {Host: "c.", Pref: 0}})
	var hosts []string
	for _, m := range got {
		hosts = append(hosts, m.Host)
	}
	if !slices.Equal(hosts, []string{"c", "b", "a"}) {
		t.Error(hosts)
	}
}
