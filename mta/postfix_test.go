package mta

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/google/go-cmp/cmp"

	"kartotek/mta/mtatest"
)

// postfix starts one with TLS under the name mx.test that takes mail for example.dk, and returns the roots that
// prove it.
func postfix(t *testing.T, settings map[string]string) (*mtatest.Postfix, *x509.CertPool) {
	t.Helper()
	return postfixWith(t, mtatest.Options{Settings: settings})
}

func postfixWith(t *testing.T, o mtatest.Options) (*mtatest.Postfix, *x509.CertPool) {
	t.Helper()
	if err := mtatest.Check(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cert, roots := certificate(t, "mx.test", time.Now().Add(time.Hour))
	all := map[string]string{"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": pemFile(t, cert), "smtpd_tls_received_header": "yes"}
	maps.Copy(all, o.Settings)
	o.Hostname, o.Domains, o.Settings = "mx.test", []string{"example.dk"}, all
	p, err := mtatest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Log())
		}
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p, roots
}

// pemFile writes the key and the certificate as Postfix reads them.
func pemFile(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})...)
	path := filepath.Join(t.TempDir(), "chain.pem")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dangerous is a letter whose text would break on a careless way.
func dangerous() Letter {
	l := testLetter()
	l.Data = []byte("From: news@sender.test\r\nTo: marie.jensen@example.dk\r\nSubject: Hi\r\nMessage-ID: <1@sender.test>\r\n\r\n" +
		".\r\n..\r\n.QUIT\r\nFrom here\n.\nMAIL FROM:<x@y.dk>\r.\rbare CR\r\n\r\nlast line\r\n")
	return l
}

// asFiled is how a Maildir holds what dangerous says.
const asFiled = "\n.\n..\n.QUIT\nFrom here\n.\nMAIL FROM:<x@y.dk>\n.\nbare CR\n\nlast line\n"

// toPostfix makes the two routes to it.
func toPostfix(t *testing.T, addr string, roots *x509.CertPool) map[string]Route {
	t.Helper()
	_, port, _ := net.SplitHostPort(addr)
	direct := directWith(t, map[string]mockdns.Zone{
		"example.dk.": {MX: []net.MX{{Host: "mx.test.", Pref: 10}}},
		"mx.test.":    {A: []string{"127.0.0.1"}},
	}, port, WithRequiredTLS("example.dk"))
	direct.door.roots = roots
	return map[string]Route{"direct": direct, "relay": relayTo(t, addr)}
}

func TestPostfixTakesLettersWhole(t *testing.T) {
	p, roots := postfix(t, nil)
	for name, route := range toPostfix(t, p.Addr, roots) {
		v := deliver(t, route, dangerous())
		checkVerdict(t, v, Delivered, 250, "2.0.0", "queued as")
		if want := map[string]string{"direct": "TLS 1.3, certificate checked", "relay": "TLS 1.3"}[name]; v.TLS != want {
			t.Errorf("%s: TLS %q", name, v.TLS)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	mails, err := p.Await(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(mails) != 2 {
		t.Errorf("%d messages arrived, want 2", len(mails))
	}
	for _, m := range mails {
		text := string(m)
		if !strings.HasSuffix(text, asFiled) || !strings.Contains(text, "using TLSv1.3") ||
			!strings.Contains(text, "Delivered-To: marie.jensen@example.dk") || !strings.Contains(text, "Return-Path: <news@sender.test>") {
			t.Errorf("arrived as\n%s", text)
		}
	}
	nothingIsQueued(ctx, t, p)
}

// nothingIsQueued waits until Postfix keeps no letter any more: it forgets one after it has filed it.
func nothingIsQueued(ctx context.Context, t *testing.T, p *mtatest.Postfix) {
	t.Helper()
	for {
		queue, err := p.Queue(ctx)
		if err == nil && len(queue) == 0 {
			return
		}
		if err != nil || ctx.Err() != nil {
			t.Errorf("Postfix's queue: %v, %v", queue, err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// greylist is a policy server for Postfix that puts off everybody's first try and lets them in later.
func greylist(t *testing.T) (addr string) {
	t.Helper()
	var mu sync.Mutex
	known := map[string]bool{}
	return scripted(t, func(c *scriptConn) {
		asked := map[string]string{}
		for {
			line, err := c.r.ReadString('\n')
			if err != nil {
				return
			}
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				asked[name] = value
				continue
			}
			mu.Lock()
			action := "DUNNO"
			if who := asked["sender"] + asked["recipient"]; !known[who] {
				known[who], action = true, "450 4.2.0 Greylisted, come back later"
			}
			mu.Unlock()
			_, _ = c.Write([]byte("action=" + action + "\n\n"))
		}
	})
}

// A Postfix that puts a letter off and takes it later: the sender keeps it in between and tries again by itself.
func TestPostfixPutsOffAndTakes(t *testing.T) {
	p, roots := postfix(t, map[string]string{
		"smtpd_recipient_restrictions": "check_policy_service inet:" + greylist(t),
	})
	route := toPostfix(t, p.Addr, roots)["direct"]
	spool := newMemSpool(numbered(3)...)
	spool.hasten = true
	var last int64
	for _, row := range spool.rows {
		row.letter.To = fmt.Sprintf("marie.%d@example.dk", row.letter.ID)
		last = max(last, row.letter.ID)
	}
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	sender := quietSender(spool, route, WithPoll(10*time.Millisecond))
	stop := start(t, sender)
	_, err := p.Await(ctx, int(last))
	stop()
	if err != nil {
		t.Fatal(err)
	}
	for id := range last {
		var got []string
		for _, v := range spool.verdicts(id + 1) {
			got = append(got, fmt.Sprint(v.State, " ", v.Code, " ", v.Enhanced, " ", strings.TrimSuffix(v.TLS, checkedTLS)))
		}
		if diff := cmp.Diff([]string{"deferred 450 4.2.0 TLS 1.3", "delivered 250 2.0.0 TLS 1.3"}, got); diff != "" {
			t.Errorf("letter %d: %s", id+1, diff)
		}
	}
	nothingIsQueued(ctx, t, p)
}
