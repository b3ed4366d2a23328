package mta

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
	"github.com/foxcpp/go-mtasts"
	"github.com/google/go-cmp/cmp"
)

func TestParsePolicy(t *testing.T) {
	tests := []struct {
		name, text string
		want       *mtasts.Policy
	}{
		{
			"usual", "version: STSv1\r\nmode: enforce\r\nmx: MX1.test\r\nmx: *.test\r\nmax_age: 86400\r\n",
			&mtasts.Policy{Mode: mtasts.ModeEnforce, MaxAge: 86400, MX: []string{"mx1.test", "*.test"}},
		},
		{
			"loose", "version:STSv1\nmode :testing\nother: a: b\n\nmode: enforce\nmx:a.test\nmax_age:1",
			&mtasts.Policy{Mode: mtasts.ModeTesting, MaxAge: 1, MX: []string{"a.test"}},
		},
		{"none", "version: STSv1\nmode: none\nmax_age: 1\n", &mtasts.Policy{Mode: mtasts.ModeNone, MaxAge: 1}},
		{
			"for ever", "version: STSv1\nmode: none\nmax_age: 4294967295\n",
			&mtasts.Policy{Mode: mtasts.ModeNone, MaxAge: maxPolicyAge},
		},
		{"without servers", "version: STSv1\nmode: enforce\nmax_age: 1\n", nil},
		{"without age", "version: STSv1\nmode: none\n", nil},
		{"age below zero", "version: STSv1\nmode: none\nmax_age: -1\n", nil},
		{"another version", "version: STSv2\nmode: none\nmax_age: 1\n", nil},
		{"another mode", "version: STSv1\nmode: shrug\nmx: a\nmax_age: 1\n", nil},
		{"no policy", "<html>404</html>", nil},
		{"empty", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePolicy(tt.text)
			if (err == nil) != (tt.want != nil) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add("version: STSv1\r\nmode: enforce\r\nmx: *.test\r\nmax_age: 86400\r\n", "xn--blbrgrd-fxak7p.test")
	f.Add("mx: *.xn--\nversion:STSv1\nmode:testing\nmax_age:1", "a..b")
	f.Fuzz(func(t *testing.T, text, host string) {
		p, err := parsePolicy(text)
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > maxPolicyAge || p.Mode != mtasts.ModeNone && len(p.MX) == 0 {
			t.Errorf("%+v", p)
		}
		allowed(p, host)
	})
}

func TestAllowed(t *testing.T) {
	p := &mtasts.Policy{MX: []string{"mx.test", "*.example.test", "*", "blåbær.test", "*.xn--blbr-roah.test"}}
	for host, want := range map[string]bool{
		"mx.test": true, "a.example.test": true, "xn--blbr-roah.test": true, "xn--blbrgrd-fxak7p.xn--blbr-roah.test": true,
		"a.mx.test": false, "example.test": false, "a.b.example.test": false, "test": false, "": false,
	} {
		if got := allowed(p, host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// stsWorld is a domain with a policy on an HTTPS server, and a mail server.
type stsWorld struct {
	direct   *Direct
	zones    map[string]mockdns.Zone
	receiver *receiver
	policy   atomic.Pointer[http.HandlerFunc]
	fetched  atomic.Int32
}

func policyText(mode, mx string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: 86400\r\n", mode, mx)
	}
}

// newSTSWorld makes one whose mail server shows a certificate for certName, or offers no TLS.
func newSTSWorld(t *testing.T, certName string) *stsWorld {
	t.Helper()
	w := &stsWorld{receiver: &receiver{}}
	web, roots := certificate(t, "mta-sts.example.dk", time.Now().Add(time.Hour))
	var setup []func(*smtp.Server)
	if certName != "" {
		cert, _ := certificate(t, certName, time.Now().Add(time.Hour))
		roots.AddCert(leaf(t, cert))
		setup = append(setup, withTLS(cert))
	}
	startReceiver(t, w.receiver, setup...)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.fetched.Add(1)
		if r.Host != "mta-sts.example.dk" || r.URL.Path != "/.well-known/mta-sts.txt" {
			t.Errorf("asked for %s%s", r.Host, r.URL.Path)
		}
		(*w.policy.Load())(rw, r)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{web}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	w.zones = map[string]mockdns.Zone{
		"example.dk.":          {MX: []net.MX{{Host: "mx1.test.", Pref: 10}}},
		"mx1.test.":            {A: []string{"127.0.0.1"}},
		"mta-sts.example.dk.":  {A: []string{"127.0.0.1"}},
		"_mta-sts.example.dk.": {TXT: []string{"something else", "v=STSv1; id=1;"}},
	}
	_, port, _ := net.SplitHostPort(w.receiver.addr)
	w.direct = directWith(t, w.zones, port, func(d *Direct) { d.door.roots = roots })
	_, w.direct.httpsPort, _ = net.SplitHostPort(srv.Listener.Addr().String())
	return w
}

func (w *stsWorld) serve(h http.HandlerFunc) { w.policy.Store(&h) }

func TestMTASTS(t *testing.T) {
	tests := []struct {
		name     string
		cert     string // of the mail server
		policy   http.HandlerFunc
		state    State
		enhanced string
		words    string
	}{
		{"enforced and kept", "mx1.test", policyText("enforce", "mx1.test"), Delivered, "2.0.0", "OK"},
		{"enforced, certificate of another", "other.test", policyText("enforce", "*.test"), Deferred, "4.7.5", "can't be trusted"},
		{"enforced, no TLS", "", policyText("enforce", "mx1.test"), Deferred, "4.7.5", "no TLS"},
		{"enforced, other servers", "mx1.test", policyText("enforce", "mx2.test"), Deferred, "4.7.0", "MTA-STS"},
		{"testing", "", policyText("testing", "mx2.test"), Delivered, "2.0.0", "OK"},
		{"none", "", policyText("none", "mx2.test"), Delivered, "2.0.0", "OK"},
		{"redirected", "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://mta-sts.example.dk/other", http.StatusFound)
		}, Delivered, "2.0.0", "OK"},
		{"not found", "", http.NotFound, Delivered, "2.0.0", "OK"},
		{"not text", "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "version: STSv1\nmode: enforce\nmx: a\nmax_age: 1\n")
		}, Delivered, "2.0.0", "OK"},
		{"endless", "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for range 100 {
				fmt.Fprint(w, strings.Repeat("mx: mx2.test\n", 1000))
			}
		}, Delivered, "2.0.0", "OK"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newSTSWorld(t, tt.cert)
			w.serve(tt.policy)
			v := deliver(t, w.direct, testLetter())
			checkVerdict(t, v, tt.state, map[bool]int{true: 250}[tt.state == Delivered], tt.enhanced, tt.words)
			if w.fetched.Load() != 1 {
				t.Errorf("the policy was fetched %d times", w.fetched.Load())
			}
		})
	}
}

// A policy that was seen holds for as long as it said, whatever an attacker does to the name service or the web server.
func TestPolicyOutlivesItsServer(t *testing.T) {
	w := newSTSWorld(t, "other.test")
	w.serve(policyText("enforce", "mx1.test"))
	sts := w.direct.policy.sts
	now := time.Now()
	sts.now = func() time.Time { return now }
	check := func(why string) {
		t.Helper()
		now = now.Add(policyAsked + time.Second)
		if sts.enforced(context.Background(), "example.dk") == nil {
			t.Errorf("the policy is gone: %s", why)
		}
	}
	check("first seen")
	w.serve(http.NotFound)
	check("web server empty")
	w.zones["_mta-sts.example.dk."] = mockdns.Zone{TXT: []string{"v=STSv1; id=2;"}}
	check("renewed, web server empty")
	w.zones["_mta-sts.example.dk."] = mockdns.Zone{Err: errServfail}
	check("name service in trouble")
	delete(w.zones, "_mta-sts.example.dk.")
	check("record gone")
}

// lastingPolicies are policies that outlive a process; away tells that they can't be had.
type lastingPolicies struct {
	texts map[string][]byte
	until time.Time
	away  bool
}

func (p *lastingPolicies) Keep(_ context.Context, domain string, until time.Time, policy []byte) error {
	if p.away {
		return errServfail
	}
	p.texts[domain], p.until = policy, until
	return nil
}

func (p *lastingPolicies) Kept(_ context.Context, domain string) ([]byte, error) {
	if p.away {
		return nil, errServfail
	}
	return p.texts[domain], nil
}

// A policy that was seen holds after a restart too, and a place to keep policies that is away does no harm.
func TestPolicyOutlivesTheProcess(t *testing.T) {
	w := newSTSWorld(t, "mx1.test")
	w.serve(policyText("enforce", "mx1.test"))
	last := &lastingPolicies{texts: map[string][]byte{}}
	first := w.direct.policy.sts
	restarted := func(away bool) *stsPolicies {
		last.away = away
		return newSTS(first.resolver, first.client, last)
	}
	if restarted(true).enforced(t.Context(), "example.dk") == nil {
		t.Error("without a place to keep it there is no policy")
	}
	if restarted(false).enforced(t.Context(), "example.dk") == nil || time.Until(last.until).Round(time.Minute) != 24*time.Hour {
		t.Errorf("kept until %v: %s", last.until, last.texts["example.dk"])
	}
	w.serve(http.NotFound)
	delete(w.zones, "_mta-sts.example.dk.")
	if restarted(false).enforced(t.Context(), "example.dk") == nil {
		t.Error("the policy is gone with its process")
	}
	if restarted(true).enforced(t.Context(), "example.dk") != nil {
		t.Error("a policy out of nothing")
	}
	last.texts["example.dk"] = []byte(`{"policy": null}`)
	if restarted(false).enforced(t.Context(), "example.dk") != nil {
		t.Error("a policy out of what is none")
	}
}

// One process fetches a policy anew; another, whose own has ended, finds that one.
func TestPolicyFetchedByAnother(t *testing.T) {
	last := &lastingPolicies{texts: map[string][]byte{}}
	now := time.Now()
	policy := &mtasts.Policy{Mode: mtasts.ModeEnforce, MaxAge: 86400, MX: []string{"mx1.test"}}
	one, two := lasting{newPolicyStore(), last, t.Context(), now}, lasting{newPolicyStore(), last, t.Context(), now}
	for _, err := range []error{one.Store("example.dk", "1", now.Add(-25*time.Hour), policy), two.Store("example.dk", "2", now, policy)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if id, fetched, _, err := one.Load("example.dk"); err != nil || id != "2" || !fetched.Equal(now) {
		t.Errorf("policy %s of %v, %v", id, fetched, err)
	}
}

// A policy that is too long to be kept doesn't leave an older one in its place.
func TestLongPolicyEndsAnOlderOne(t *testing.T) {
	last := &lastingPolicies{texts: map[string][]byte{"example.dk": []byte("old")}}
	now := time.Now()
	long := &mtasts.Policy{Mode: mtasts.ModeEnforce, MaxAge: 1000, MX: slices.Repeat([]string{"mx1.example.dk"}, 1000)}
	if err := (lasting{newPolicyStore(), last, t.Context(), now}).Store("example.dk", "2", now, long); err != nil {
		t.Fatal(err)
	}
	if last.until.After(now) || len(last.texts["example.dk"]) != 0 {
		t.Errorf("kept until %v: %q", last.until, last.texts["example.dk"])
	}
}

// Trouble while finding out is no lasting answer.
func TestPolicyTroubleIsNotKept(t *testing.T) {
	w := newSTSWorld(t, "mx1.test")
	w.serve(policyText("enforce", "mx1.test"))
	record := w.zones["_mta-sts.example.dk."]
	w.zones["_mta-sts.example.dk."] = mockdns.Zone{Err: errServfail}
	sts := w.direct.policy.sts
	if sts.enforced(context.Background(), "example.dk") != nil {
		t.Fatal("a policy out of nothing")
	}
	w.zones["_mta-sts.example.dk."] = record
	if sts.enforced(context.Background(), "example.dk") == nil {
		t.Error("the trouble was taken for an answer")
	}
}

func TestPoliciesAreBounded(t *testing.T) {
	s := newPolicyStore()
	for i := range maxDomains + 100 {
		if err := s.Store(fmt.Sprint(i), "1", time.Now(), &mtasts.Policy{}); err != nil {
			t.Fatal(err)
		}
	}
	if list, _ := s.List(); len(list) != maxDomains {
		t.Errorf("%d policies kept", len(list))
	}
}
