package mta

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

// passwordFile writes one and returns its path.
func passwordFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNewRelay(t *testing.T) {
	good := passwordFile(t, "s3cret@/:\n")
	type seen struct {
		Addr, Name, User, Password string
		Implicit                   bool
		Level                      tlsLevel
	}
	tests := []struct {
		url  string
		want seen
	}{
		{"smtp://u:s3cret%40%2F%3A@smtp.example.com", seen{"smtp.example.com:587", "smtp.example.com", "u", "s3cret@/:", false, tlsRequired}},
		{"smtps://u:p@SMTP.example.com", seen{"smtp.example.com:465", "smtp.example.com", "u", "p", true, tlsRequired}},
		{"smtps://host:4650/", seen{"host:4650", "host", "", "", true, tlsRequired}},
		{"smtp://127.0.0.1:2525", seen{"127.0.0.1:2525", "127.0.0.1", "", "", false, tlsOpportunistic}},
		{"smtp://[::1]:25", seen{"[::1]:25", "::1", "", "", false, tlsOpportunistic}},
		{"smtp://u@h?password-file=" + good, seen{"h:587", "h", "u", "s3cret@/:", false, tlsRequired}},
		{"smtp://u@h?connections=9&password-file=" + good, seen{"h:587", "h", "u", "s3cret@/:", false, tlsRequired}},
	}
	for i, tt := range tests {
		r, err := NewRelay(tt.url)
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		d := r.servers[0].door
		if diff := cmp.Diff(tt.want, seen{r.servers[0].host, d.name, d.user, d.password, d.implicit, d.level}); diff != "" {
			t.Errorf("%d: %s", i, diff)
		}
		conns := ofRelay.Connections
		if strings.Contains(tt.url, "connections=9") {
			conns = 9
		}
		if got := r.servers[0].gate.limits.Connections; got != conns {
			t.Errorf("%d: up to %d connections, want %d", i, got, conns)
		}
		if want := "relay " + tt.want.Addr; r.Name() != want {
			t.Errorf("%d: name %q, want %q", i, r.Name(), want)
		}
	}
}

func TestRelayURLRefused(t *testing.T) {
	good, empty, two := passwordFile(t, "s3cret@/:\n"), passwordFile(t, "\n"), passwordFile(t, "a\nb\n")
	tests := []struct{ url, err string }{
		{"", "write its address as"},
		{"smtp.example.com:587", "write its address as"},
		{"smtp://u:s3cret%zz@h", "write its address as"},
		{"smtp://u:s3cret/x@h", "write its address as"},
		{"smtp://u:s3cret#x@h", "write its address as"},
		{"smtp://u:p@h/s3cret", "write its address as"},
		{"http://u:s3cret@h", "begin with smtp://"},
		{"smtp://u:s3cret@h:0", "port"},
		{"smtp://u:s3cret@h:25,", "write its address as"},
		{"smtp://u:s3cret@h:25,-bad-", "neither a name nor an IP"},
		{"smtp://u:s3cret@h:99999", "port"},
		{"smtp://u:s3cret@-bad-", "neither a name nor an IP"},
		{"smtp://u@h", "needs a password"},
		{"smtp://:s3cret@h", "user name"},
		{"smtp://h?password-file=" + good, "user name"},
		{"smtp://u:s3cret@h?password-file=" + good, "not both"},
		{"smtp://u:s3cret@h?tls=none", "two settings only"},
		{"smtp://u@h?password-file=", "two settings only"},
		{"smtp://u:s3cret@h?connections=0", "from 1 to 256"},
		{"smtp://u:s3cret@h?connections=257", "from 1 to 256"},
		{"smtp://u:s3cret@h?connections=9&connections=9", "from 1 to 256"},
		{"smtp://u@h?password-file=" + good + ".none", "no such file"},
		{"smtp://u@h?password-file=" + empty, "on one line"},
		{"smtp://u@h?password-file=" + two, "on one line"},
	}
	for i, tt := range tests {
		_, err := NewRelay(tt.url)
		if !errors.Is(err, ErrRelay) || !strings.Contains(err.Error(), tt.err) ||
			strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d: got %v, want one line about %q", i, err, tt.err)
		}
	}
}

func withTLS(cert tls.Certificate) func(*smtp.Server) {
	return func(s *smtp.Server) { s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} }
}

func leaf(t *testing.T, cert tls.Certificate) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRelayTLS(t *testing.T) {
	valid, roots := certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	expired, _ := certificate(t, "127.0.0.1", time.Now().Add(-time.Hour))
	other, _ := certificate(t, "other.test", time.Now().Add(time.Hour))
	const login = "kartotek:s3cret%40%2F%3A@"
	inTLS := message{From: "news@sender.test", To: "marie.jensen@example.dk", Data: string(testLetter().Data), TLS: true}
	loggedIn := inTLS
	loggedIn.User = "kartotek"
	tests := []struct {
		name, scheme, login string
		server              []func(*smtp.Server)
		want                *message // nil for deferred
		code                int
		enhanced, words     string
	}{
		{"STARTTLS and login", "smtp://", login, []func(*smtp.Server){withTLS(valid)}, &loggedIn, 250, "2.0.0", "OK"},
		{"implicit TLS and login", "smtps://", login, []func(*smtp.Server){withTLS(valid)}, &loggedIn, 250, "2.0.0", "OK"},
		{"implicit TLS", "smtps://", "", []func(*smtp.Server){withTLS(valid)}, &inTLS, 250, "2.0.0", "OK"},
		{"encrypted where offered", "smtp://", "", []func(*smtp.Server){withTLS(other)}, &inTLS, 250, "2.0.0", "OK"},
		{"wrong password", "smtp://", "kartotek:no@", []func(*smtp.Server){withTLS(valid)}, nil, 535, "5.7.8", "failed"},
		{"login without STARTTLS", "smtp://", login, nil, nil, 0, "4.7.5", "no TLS"},
		{"login, certificate expired", "smtp://", login, []func(*smtp.Server){withTLS(expired)}, nil, 0, "4.7.5", "can't be trusted"},
		{"login, certificate of another", "smtp://", login, []func(*smtp.Server){withTLS(other)}, nil, 0, "4.7.5", "can't be trusted"},
		{"implicit TLS, certificate of another", "smtps://", "", []func(*smtp.Server){withTLS(other)}, nil, 0, "4.7.5", "can't be trusted"},
		{"implicit TLS asked of a clear server", "smtps://", "", nil, nil, 0, "4.7.5", "handshake failed"},
	}
	roots.AddCert(leaf(t, expired)) // so that only its age speaks against it
	roots.AddCert(leaf(t, other))   // and only its name
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rcv := startReceiver(t, &receiver{implicit: tt.scheme == "smtps://" && tt.server != nil}, tt.server...)
			r := relayURL(t, tt.scheme+tt.login+rcv.addr)
			r.servers[0].door.roots = roots
			v := deliver(t, r, testLetter())
			if tt.want == nil {
				checkVerdict(t, v, Deferred, tt.code, tt.enhanced, tt.words)
				if n := len(rcv.messages()); n != 0 {
					t.Errorf("%d messages arrived", n)
				}
			} else {
				checkVerdict(t, v, Delivered, tt.code, tt.enhanced, tt.words)
				if diff := cmp.Diff([]message{*tt.want}, rcv.messages()); diff != "" {
					t.Error(diff)
				}
				want := "TLS 1.3, certificate checked"
				if tt.name == "encrypted where offered" {
					want = "TLS 1.3"
				}
				if v.TLS != want {
					t.Errorf("TLS %q", v.TLS)
				}
			}
			for _, line := range append(v.Transcript, v.Reply, r.Name()) {
				if strings.Contains(line, "s3cret") || strings.Contains(line, "AGthcnRvdGVr") {
					t.Errorf("the password is in %q", line)
				}
			}
		})
	}
}

// A server whose TLS is broken gets the letter in clear where nothing secret depends on it (RFC 7435).
func TestFallBackToClear(t *testing.T) {
	r := relayTo(t, scripted(t, func(c *scriptConn) {
		c.welcome("STARTTLS")
		if c.until("STARTTLS", "MAIL") == "STARTTLS" {
			c.say("220 go ahead")
			_, _ = c.r.ReadByte() // the client's first word of TLS
			c.say("this is no TLS")
			return
		}
		c.say("250 ok")
		c.until("RCPT")
		c.say("250 ok")
		c.until("DATA")
		c.say("354 go")
		c.until(".\r")
		c.say("250 2.0.0 ok")
		c.hang()
	}))
	v := deliver(t, r, testLetter())
	checkVerdict(t, v, Delivered, 250, "2.0.0", "ok")
	if v.TLS != "" {
		t.Errorf("TLS %q", v.TLS)
	}
}

// Words that come with the answer to STARTTLS would be believed as if they had been encrypted.
func TestWordsBeforeTLS(t *testing.T) {
	r := relayTo(t, scripted(t, func(c *scriptConn) {
		c.welcome("STARTTLS")
		c.until("STARTTLS")
		c.say("220 go ahead", "250 fine, whatever you say")
		c.hang()
	}))
	checkVerdict(t, deliver(t, r, testLetter()), Deferred, 0, "4.7.5", "what nobody asked")
}

func TestNobodyListens(t *testing.T) {
	v := deliver(t, relayTo(t, net.JoinHostPort("127.0.0.1", freePort(t, "127.0.0.1"))), testLetter())
	checkVerdict(t, v, Deferred, 0, "4.4.1", "refused the connection")
}
