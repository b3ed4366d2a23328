package mta

import (
	"errors"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

func TestParseLimits(t *testing.T) {
	tests := map[string]struct {
		name string
		want Limits // the zero value: refused
	}{
		"Bücher.example connections=5":                            {"xn--bcher-kva.example", Limits{5, maxPerConn, 0}},
		"example.dk per-minute=60 connections=1 per-connection=7": {"example.dk", Limits{1, 7, 60}},
		"example.dk":                             {},
		"example.dk connections=0":               {},
		"example.dk connections=9999999":         {},
		"example.dk connections=1 connections=2": {},
		"example.dk per-hour=1":                  {},
		"exam ple.dk connections=1":              {},
		"example.dk\r\nx connections=1":          {},
		"":                                       {},
	}
	for text, tt := range tests {
		name, got, err := ParseLimits(text)
		if name != tt.name || got != tt.want && tt.name != "" || errors.Is(err, ErrLimits) != (tt.name == "") {
			t.Errorf("%q: %q %+v, %v", text, name, got, err)
		}
	}
}

// The resolver that was named is the one that is asked.
func TestResolverAt(t *testing.T) {
	srv, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{"only-there.test.": {A: []string{"192.0.2.9"}}}, silent{}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	r, err := ResolverAt(srv.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	hosts, no := newExchangers(r, "us.test").find(t.Context(), "only-there.test")
	if no != nil || len(hosts) != 1 || hosts[0] != "only-there.test" {
		t.Errorf("%v, %+v", hosts, no)
	}
	if _, no := newExchangers(r, "us.test").find(t.Context(), "nowhere.test"); no == nil || no.State != Refused || no.Enhanced != "5.1.2" {
		t.Errorf("a domain that isn't there: %+v", no)
	}
	for _, addr := range []string{"", "ns.example.dk", "192.0.2.1:dns", "192.0.2.1:0x35"} {
		if _, err := ResolverAt(addr); !errors.Is(err, ErrResolver) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}
