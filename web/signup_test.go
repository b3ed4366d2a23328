package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/flows"
	"kartotek/web"
)

func TestSignUp(t *testing.T) {
	d := newDoor(t)
	form := d.filled(t, "marie@example.dk")
	form.Set("first_name", " Ma\r\nrie\u202e ")
	r := formRequest("/signup/garden?lang=da", form)
	r.RemoteAddr = "[2001:db8::7%eth0]:5000"
	r.Header.Set("User-Agent", "Browser/1 "+strings.Repeat("é", 400))
	// A company's own page may hold the form: another origin makes no difference.
	r.Header.Set("Origin", "https://shop.example.com")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := d.do(t, r)
	wantStatus(t, w, http.StatusOK)
	wantText(t, w, "Kig i din indbakke", "<bdi>marie@example.dk</bdi>")
	want := []flows.SignUp{{
		Slug: "garden", Address: "marie@example.dk", FirstName: "Ma  rie", Lang: "da", Notice: theNotice, Agreed: true,
		Client: flows.Client{IP: "2001:db8::7", UserAgent: "Browser/1 " + strings.Repeat("é", 195)},
	}}
	if diff := cmp.Diff(want, d.desk.signUps); diff != "" {
		t.Error(diff)
	}
}

func TestSignUpErrorsStandAtTheField(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(url.Values)
		status int
		texts  []string
	}{
		{"no address", func(f url.Values) { f.Set("address", "mar\"ie") }, 422, []string{`id="address-error"`, `aria-describedby="address-error"`, `value="mar&#34;ie"`, `href="#address"`}},
		{"not ticked", func(f url.Values) { f.Del("agreed") }, 422, []string{`id="agreed-error"`, `aria-describedby="agreed-error notice"`, `value="marie@example.dk"`}},
		{"both", func(f url.Values) { f.Del("agreed"); f.Del("address") }, 422, []string{`id="agreed-error"`, `id="address-error"`}},
		{"long name", func(f url.Values) { f.Set("first_name", strings.Repeat("å", 10_000)) }, 422, []string{`id="first-name-error"`, strings.Repeat("å", 10_000)}},
		{"another notice", func(f url.Values) { f.Set("notice", strings.Repeat("0", 64)) }, 409, []string{"Please read it below", `value="marie@example.dk"`, theNotice}},
		{"no notice", func(f url.Values) { f.Del("notice") }, 409, []string{"Please read it below"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDoor(t)
			form := d.filled(t, "marie@example.dk")
			test.change(form)
			w := d.post(t, "/signup/garden", form)
			wantStatus(t, w, test.status)
			wantText(t, w, append(test.texts, "<title>Error: ", `role="alert"`)...)
			if strings.Contains(w.Body.String(), " checked") {
				t.Error("the box is ticked")
			}
			if d.desk.changes() != 0 {
				t.Error("signed up all the same")
			}
		})
	}
}

func TestTrapCatchesRobotsSilently(t *testing.T) {
	d := newDoor(t)
	form := d.filled(t, "marie@example.dk")
	person := d.post(t, "/signup/garden", form).Body.String()
	form.Set("remarks", "buy this")
	robot := d.post(t, "/signup/garden", form)
	if robot.Code != http.StatusOK || robot.Body.String() != person {
		t.Error("a robot can tell that it was caught")
	}
	if len(d.desk.signUps) != 1 {
		t.Errorf("%d sign-ups", len(d.desk.signUps))
	}
}

// TestSignUpTakesAsLongForAll: neither what an address is nor a robot's catch
// shows in the time of the answer.
func TestSignUpTakesAsLongForAll(t *testing.T) {
	for work, want := range map[time.Duration]time.Duration{
		0: web.SignUpBeat, 30 * time.Millisecond: web.SignUpBeat, web.SignUpBeat + time.Millisecond: 2 * web.SignUpBeat,
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(t)
			d.Handler = web.Handler(web.Options{Desk: d.desk, Beat: web.SignUpBeat})
			form := d.filled(t, "marie@example.dk")
			d.desk.work = work
			began := time.Now()
			wantStatus(t, d.post(t, "/signup/garden", form), http.StatusOK)
			if took := time.Since(began); took != want {
				t.Errorf("%v of work take %v, want %v", work, took, want)
			}
			form.Set("remarks", "buy this")
			began = time.Now()
			d.post(t, "/signup/garden", form)
			if took := time.Since(began); took != web.SignUpBeat {
				t.Errorf("a robot waits %v", took)
			}
		})
	}
}

func TestSignUpsAreLimitedPerClient(t *testing.T) {
	d := newDoor(t)
	send := func(from string) int {
		r := formRequest("/signup/garden", d.filled(t, "marie@example.dk"))
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 1234).String()
		w := d.do(t, r)
		if w.Code == http.StatusTooManyRequests {
			if after := w.Header().Get("Retry-After"); after == "" || after == "0" || len(after) > 2 {
				t.Errorf("Retry-After: %q", after)
			}
			wantText(t, w, "too many sign-ups", `value="marie@example.dk"`)
		}
		return w.Code
	}
	for i := range 5 {
		if got := send(fmt.Sprintf("2001:db8:1:2::%x", i+1)); got != http.StatusOK {
			t.Fatalf("sign-up %d: %d", i, got)
		}
	}
	for from, want := range map[string]int{
		"2001:db8:1:2:ffff::9": 429, // the same /64
		"2001:db8:1:3::1":      200,
		"192.0.2.1":            200,
		"192.0.2.2":            200,
	} {
		if got := send(from); got != want {
			t.Errorf("%s: %d, want %d", from, got, want)
		}
	}
	if len(d.desk.signUps) != 8 {
		t.Errorf("%d sign-ups", len(d.desk.signUps))
	}
}

func TestForwardedFor(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no proxy", "198.51.100.7:1", nil, "198.51.100.7"},
		{"a stranger's claim", "198.51.100.7:1", []string{"203.0.113.9"}, "198.51.100.7"},
		{"a stranger claims to be a proxy", "198.51.100.7:1", []string{"203.0.113.9, 10.0.0.1"}, "198.51.100.7"},
		{"behind a proxy", "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"spoofed in front", "10.0.0.1:1", []string{"1.2.3.4, 203.0.113.9"}, "203.0.113.9"},
		{"spoofed with a proxy's address", "10.0.0.1:1", []string{"1.2.3.4, 10.9.9.9, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"spoofed in another line", "10.0.0.1:1", []string{"1.2.3.4", "203.0.113.9"}, "203.0.113.9"},
		{"IPv6 with port", "[fd00::1]:1", []string{"[2001:db8::5]:443"}, "2001:db8::5"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::5]"}, "2001:db8::5"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"the proxy itself", "10.0.0.1:1", nil, "10.0.0.1"},
		{"garbage", "10.0.0.1:1", []string{"203.0.113.9, unknown"}, ""},
		{"empty hops", "10.0.0.1:1", []string{"203.0.113.9, ,"}, "203.0.113.9"},
		{"no address", "@", []string{"203.0.113.9"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDoor(t, proxies...)
			r := formRequest("/confirm/open", url.Values{"act": {"confirm"}})
			r.RemoteAddr = test.remote
			r.Header["X-Forwarded-For"] = test.forwarded
			d.do(t, r)
			if got := d.desk.clients[0].IP; got != test.want {
				t.Errorf("client %q, want %q", got, test.want)
			}
		})
	}
}
