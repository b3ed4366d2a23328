package mta

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
	"github.com/google/go-cmp/cmp"

	"kartotek/ports"
)

// freePort returns a port that stays free on all of the addresses, for who knows it; loopback has many.
func freePort(t *testing.T, ips ...string) string {
	t.Helper()
	port, release, err := ports.Hold(ips...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

// directWith makes the route to servers on loopback.
func directWith(t *testing.T, zones map[string]mockdns.Zone, port string, opts ...DirectOption) *Direct {
	t.Helper()
	d, err := NewDirect(append([]DirectOption{WithResolver(&mockdns.Resolver{Zones: zones}), WithHelo("us.test")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	d.port = port
	d.deaf = func(netip.Addr) bool { return false }
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// three servers of one domain, on 127.0.0.1, .2 and .3.
var threeServers = map[string]mockdns.Zone{
	"example.dk.": {MX: []net.MX{{Host: "mx1.test.", Pref: 10}, {Host: "mx2.test.", Pref: 20}, {Host: "mx3.test.", Pref: 30}}},
	"mx1.test.":   {A: []string{"127.0.0.1"}},
	"mx2.test.":   {A: []string{"127.0.0.2"}},
	"mx3.test.":   {A: []string{"127.0.0.3"}},
}

func TestDirectGoesDownTheList(t *testing.T) {
	later := smtpErr(451, [3]int{4, 7, 1}, "later")
	never := smtpErr(550, [3]int{5, 1, 1}, "nobody here")
	tests := []struct {
		name     string
		servers  [3]*receiver // nil: nothing listens there
		got      [3]int       // messages
		state    State
		code     int
		enhanced string
		words    string
		host     string
	}{
		{"the best", [3]*receiver{{}, {}, {}}, [3]int{1, 0, 0}, Delivered, 250, "2.0.0", "OK", "mx1.test"},
		{"the best is down", [3]*receiver{nil, {}, {}}, [3]int{0, 1, 0}, Delivered, 250, "2.0.0", "OK", "mx2.test"},
		{"4xx", [3]*receiver{{rcpt: later}, {data: later}, {}}, [3]int{0, 0, 1}, Delivered, 250, "2.0.0", "OK", "mx3.test"},
		{"5xx is final", [3]*receiver{{rcpt: never}, {}, {}}, [3]int{}, Refused, 550, "5.1.1", "nobody here", "mx1.test"},
		{"all down", [3]*receiver{}, [3]int{}, Deferred, 0, "4.4.1", "refused the connection", "mx3.test"},
		{"words beat silence", [3]*receiver{{rcpt: later}, nil, nil}, [3]int{}, Deferred, 451, "4.7.1", "later", "mx1.test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			port := freePort(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
			for i, r := range tt.servers {
				if r != nil {
					r.addr = fmt.Sprintf("127.0.0.%d:%s", i+1, port)
					startReceiver(t, r)
				}
			}
			v := deliver(t, directWith(t, threeServers, port), testLetter())
			checkVerdict(t, v, tt.state, tt.code, tt.enhanced, tt.words)
			if v.Host != tt.host {
				t.Errorf("host %q, want %q", v.Host, tt.host)
			}
			var got [3]int
			for i, r := range tt.servers {
				if r != nil {
					got[i] = len(r.messages())
				}
			}
			if diff := cmp.Diff(tt.got, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What may have arrived at the first server must not go to the second.
func TestDirectStopsWhenItMayHaveArrived(t *testing.T) {
	addr := scripted(t, func(c *scriptConn) { c.welcome(); c.accept(); c.until(".\r") })
	_, port, _ := net.SplitHostPort(addr)
	second := startReceiver(t, &receiver{addr: "127.0.0.2:" + port})
	v := deliver(t, directWith(t, threeServers, port), testLetter())
	checkVerdict(t, v, Deferred, 0, "4.4.2", "may have arrived")
	if n := len(second.messages()); n != 0 {
		t.Errorf("the second server got %d", n)
	}
}

func TestDirectAddresses(t *testing.T) {
	ips := []string{"127.0.0.1"}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = l.Close()
		ips = append(ips, "::1")
	}
	for _, ip := range ips {
		t.Run(ip, func(t *testing.T) {
			zone := mockdns.Zone{A: []string{"127.0.0.9"}} // nothing listens there
			if strings.Contains(ip, ":") {
				zone.AAAA = []string{ip}
			} else {
				zone.A = append(zone.A, ip)
			}
			port := freePort(t, append([]string{ip}, "127.0.0.9")...)
			rcv := startReceiver(t, &receiver{addr: net.JoinHostPort(ip, port)})
			d := directWith(t, map[string]mockdns.Zone{"example.dk.": zone}, port)
			checkVerdict(t, deliver(t, d, testLetter()), Delivered, 250, "2.0.0", "OK")
			if n := len(rcv.messages()); n != 1 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

func TestAlternate(t *testing.T) {
	var found []net.IPAddr
	for _, ip := range []string{
		"192.0.2.1", "192.0.2.2", "127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "fe80::1", "::ffff:127.0.0.1",
		"2001:db8::1", "10.0.0.1", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6",
	} {
		found = append(found, net.IPAddr{IP: net.ParseIP(ip)})
	}
	var got []string
	for _, a := range alternate(found, neverMail) {
		got = append(got, a.String())
	}
	want := []string{"2001:db8::1", "192.0.2.1", "192.0.2.2", "10.0.0.1", "192.0.2.3", "192.0.2.4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A domain whose servers are nowhere, or here where no stranger's mail belongs, is refused at once.
func TestDirectNowhere(t *testing.T) {
	zones := map[string]mockdns.Zone{
		"gone.test.":  {MX: []net.MX{{Host: "none.test.", Pref: 1}, {Host: "here.test.", Pref: 2}}},
		"here.test.":  {A: []string{"127.0.0.1"}, AAAA: []string{"::1"}},
		"half.test.":  {MX: []net.MX{{Host: "none.test.", Pref: 1}, {Host: "shaky.test.", Pref: 2}}},
		"shaky.test.": {Err: errServfail},
		"null.test.":  {MX: []net.MX{{Host: "."}}},
	}
	d := directWith(t, zones, "1")
	d.deaf = neverMail
	for domain, want := range map[string]Verdict{
		"gone.test": {State: Refused, Enhanced: "5.4.4", Reply: "no address that mail may go to"},
		"half.test": {State: Deferred, Enhanced: "4.4.1", Reply: "can't be looked up"},
		"null.test": {State: Refused, Enhanced: "5.1.10", Reply: "null MX"},
		"none.test": {State: Refused, Enhanced: "5.1.2", Reply: "does not exist"},
	} {
		l := testLetter()
		l.To = "marie.jensen@" + domain
		checkVerdict(t, deliver(t, d, l), want.State, 0, want.Enhanced, want.Reply)
	}
}

func TestDirectTLS(t *testing.T) {
	valid, roots := certificate(t, "mx1.test", time.Now().Add(time.Hour))
	wrong, _ := certificate(t, "other.test", time.Now().Add(time.Hour))
	expired, _ := certificate(t, "mx1.test", time.Now().Add(-24*time.Hour))
	roots.AddCert(leaf(t, expired)) // so that only its age speaks against it
	zones := map[string]mockdns.Zone{
		"example.dk.": {MX: []net.MX{{Host: "mx1.test.", Pref: 10}}},
		"mx1.test.":   {A: []string{"127.0.0.1"}},
	}
	tests := []struct {
		name  string
		opts  []DirectOption
		setup []func(*smtp.Server)
		tls   string
		words string // when deferred
	}{
		{"offered, any certificate", nil, []func(*smtp.Server){withTLS(wrong)}, "TLS 1.3", ""},
		{"offered, a certificate of yesterday", nil, []func(*smtp.Server){withTLS(expired)}, "TLS 1.3", ""},
		{"not offered", nil, nil, "", ""},
		{"required for others", []DirectOption{WithRequiredTLS("other.dk")}, nil, "", ""},
		{"required and valid", []DirectOption{WithRequiredTLS("Example.DK")}, []func(*smtp.Server){withTLS(valid)}, "TLS 1.3, certificate checked", ""},
		{"required, a certificate of yesterday", []DirectOption{WithRequiredTLS("example.dk")}, []func(*smtp.Server){withTLS(expired)}, "", "can't be trusted"},
		{"required, certificate of another", []DirectOption{WithRequiredTLS("example.dk")}, []func(*smtp.Server){withTLS(wrong)}, "", "can't be trusted"},
		{"required of all, not offered", []DirectOption{WithRequiredTLS("*")}, nil, "", "no TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rcv := startReceiver(t, &receiver{}, tt.setup...)
			_, port, _ := net.SplitHostPort(rcv.addr)
			d := directWith(t, zones, port, tt.opts...)
			d.door.roots = roots
			v := deliver(t, d, testLetter())
			if tt.words != "" {
				checkVerdict(t, v, Deferred, 0, "4.7.5", tt.words)
				return
			}
			checkVerdict(t, v, Delivered, 250, "2.0.0", "OK")
			if v.TLS != tt.tls || rcv.messages()[0].TLS != (tt.tls != "") {
				t.Errorf("TLS %q, want %q", v.TLS, tt.tls)
			}
		})
	}
}

func TestDirectForgetsServers(t *testing.T) {
	d := directWith(t, nil, "1")
	for i := range 3 * manyPools {
		d.leave(d.enter(poolKey{fmt.Sprint(i), tlsOpportunistic}))
	}
	if n, gates := len(d.pools), len(d.hosts.byName); n > manyPools || gates > manyPools {
		t.Errorf("%d servers and %d gates are remembered", n, gates)
	}
}

func TestNewDirect(t *testing.T) {
	if _, err := NewDirect(WithHelo("no name\r\n")); err == nil {
		t.Error("a bad name to introduce ourselves by was taken")
	}
	d, err := NewDirect()
	if err != nil || d.Name() != "direct" {
		t.Errorf("%v, %v", d, err)
	}
}
