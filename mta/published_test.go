package mta

import (
	"net"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

func TestCheckPublished(t *testing.T) {
	_, keys := testSigner(t)
	txt := published(t, keys)
	good := func() map[string]mockdns.Zone {
		zones := map[string]mockdns.Zone{
			"sender.test.":            {MX: mx("mx.sender.test.", 10)},
			"mx.sender.test.":         {A: []string{"192.0.2.9"}},
			"bounces.sender.test.":    {MX: mx("out.sender.test.", 10), TXT: []string{"other", "v=spf1 include:_spf.sender.test -all"}},
			"_spf.sender.test.":       {TXT: []string{"v=spf1 ip4:198.51.100.0/24 a:out.sender.test ?all"}},
			"out.sender.test.":        {A: []string{"192.0.2.7"}},
			"7.2.0.192.in-addr.arpa.": {PTR: []string{"out.sender.test."}},
			"_dmarc.sender.test.":     {TXT: []string{"v=DMARC1; p=reject"}},
		}
		for name, value := range txt {
			zones[name+"."] = mockdns.Zone{TXT: []string{value}}
		}
		return zones
	}
	set := func(name string, z mockdns.Zone) func(map[string]mockdns.Zone) {
		return func(zones map[string]mockdns.Zone) { zones[name] = z }
	}
	drop := func(name string) func(map[string]mockdns.Zone) {
		return func(zones map[string]mockdns.Zone) { delete(zones, name) }
	}
	rsa := keys[0].selector + "._domainkey.sender.test."
	tests := []struct {
		name, check, state, words, publish string
		change                             func(map[string]mockdns.Zone)
	}{
		{"all is well", "", "", "", "", nil},
		{"no SPF", "SPF", FoundMissing, "no SPF record", `bounces.sender.test. IN TXT ( "v=spf1 a:out.sender.test -all" )`, set("bounces.sender.test.", mockdns.Zone{MX: mx("out.sender.test.", 10)})},
		{"two SPF records", "SPF", FoundWrong, "several", "", set("bounces.sender.test.", mockdns.Zone{MX: mx("out.sender.test.", 10), TXT: []string{"v=spf1 a -all", "v=spf1 mx -all"}})},
		{"SPF of others", "SPF", FoundWrong, "192.0.2.7", "a:out.sender.test", set("_spf.sender.test.", mockdns.Zone{TXT: []string{"v=spf1 ip4:198.51.100.0/24 -all"}})},
		{"SPF through MX and redirect", "SPF", FoundOK, "", "", set("_spf.sender.test.", mockdns.Zone{TXT: []string{"v=spf1 redirect=bounces2.test"}})},
		{"SPF in a loop", "SPF", FoundUnknown, "", "", set("_spf.sender.test.", mockdns.Zone{TXT: []string{"v=spf1 include:_spf.sender.test"}})},
		{"no key", "DKIM", FoundMissing, "not published", "k=rsa", drop(rsa)},
		{"another key", "DKIM", FoundWrong, "another key", "k=rsa", set(rsa, mockdns.Zone{TXT: []string{"v=DKIM1; k=rsa; p=AAAA"}})},
		{"a key in white space", "DKIM", FoundOK, "", "", set(rsa, mockdns.Zone{TXT: []string{strings.Replace(txt[strings.TrimSuffix(rsa, ".")], "p=", "p= ", 1)}})},
		{"no DMARC", "DMARC", FoundMissing, "no DMARC", "p=quarantine", drop("_dmarc.sender.test.")},
		{"DMARC without a policy", "DMARC", FoundWrong, "", "", set("_dmarc.sender.test.", mockdns.Zone{TXT: []string{"v=DMARC1; rua=x"}})},
		{"no PTR", "PTR", FoundMissing, "no name", "", drop("7.2.0.192.in-addr.arpa.")},
		{"another PTR", "PTR", FoundWrong, "another name", "", set("7.2.0.192.in-addr.arpa.", mockdns.Zone{PTR: []string{"dsl-7.isp.test."}})},
		{"coming back to another machine", "MX", FoundOK, "another machine than out.sender.test", "", func(z map[string]mockdns.Zone) {
			z["bounces.sender.test."] = mockdns.Zone{MX: mx("mx.sender.test.", 10), TXT: []string{"v=spf1 a:out.sender.test -all"}}
		}},
		{"nowhere to come back to", "MX", FoundMissing, "nowhere to go", "bounces.sender.test. IN MX 10 out.sender.test.", set("bounces.sender.test.", mockdns.Zone{TXT: []string{"v=spf1 a:out.sender.test -all"}})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			zones := good()
			zones["bounces2.test."] = mockdns.Zone{TXT: []string{"v=spf1 mx:bounces.sender.test -all"}}
			if tt.change != nil {
				tt.change(zones)
			}
			found := CheckPublished(t.Context(), &mockdns.Resolver{Zones: zones}, Publication{From: "sender.test", Bounce: "bounces.sender.test", Keys: keys, Helo: "out.sender.test"})
			seen := false
			for _, f := range found {
				if f.Check == tt.check && f.State == tt.state {
					seen = seen || strings.Contains(f.Words, tt.words) && strings.Contains(f.Publish, tt.publish)
					continue
				}
				if f.State != FoundOK {
					t.Errorf("%+v", f)
				}
			}
			if tt.check != "" && !seen || len(found) < 6 {
				t.Errorf("%+v", found)
			}
		})
	}
}

func mx(host string, pref uint16) []net.MX { return []net.MX{{Host: host, Pref: pref}} }
