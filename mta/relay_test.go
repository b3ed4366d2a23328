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

func TestNewRelay(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, empty, two := file("good", "s3cret@/:\n"), file("empty", "\n"), file("two", "a\nb\n")
	type seen struct {
		Addr, Name, User, Password string
		Implicit                   bool
		Level                      tlsLevel
	}
	tests := []struct {
		url  string
		want seen
		err  string
	}{
		{url: "smtp://u:s3cret%40%2F%3A@smtp.example.com", want: seen{"smtp.example.com:587", "smtp.example.com", "u", "s3cret@/:", false, tlsRequired}},
		{url: "smtps://u:p@SMTP.example.com", want: seen{"smtp.example.com:465", "smtp.example.com", "u", "p", true, tlsRequired}},
		{url: "smtps://host:4650/", want: seen{"host:4650", "host", "", "", true, tlsRequired}},
		{url: "smtp://127.0.0.1:2525", want: seen{"127.0.0.1:2525", "127.0.0.1", "", "", false, tlsOpportunistic}},
		{url: "smtp://[::1]:25", want: seen{"[::1]:25", "::1", "", "", false, tlsOpportunistic}},
		{url: "smtp://u@h?password-file=" + good, want: seen{"h:587", "h", "u", "s3cret@/:", false, tlsRequired}},
		{url: "", err: "write its address as"},
		{url: "smtp.example.com:587", err: "write its address as"},
		{url: "smtp://u:s3cret%zz@h", err: "write its address as"},
		{url: "smtp://u:s3cret/x@h", err: "write its address as"},
		{url: "smtp://u:s3cret#x@h", err: "write its address as"},
		{url: "smtp://u:p@h/s3cret", err: "write its address as"},
		{url: "http://u:s3cret@h", err: "begin with smtp://"},
		{url: "smtp://u:s3cret@h:0", err: "port"},
		{url: "smtp://u:s3cret@h:99999", err: "port"},
		{url: "smtp://u:s3cret@-bad-", err: "neither a name nor an IP"},
		{url: "smtp://u@h", err: "needs a password"},
		{url: "smtp://:s3cret@h", err: "user name"},
		{url: "smtp://h?password-file=" + good, err: "user name"},
		{url: "smtp://u:s3cret@h?password-file=" + good, err: "not both"},
		{url: "smtp://u:s3cret@h?tls=none", err: "one setting only"},
		{url: "smtp://u@h?password-file=" + filepath.Join(dir, "none"), err: "no such file"},
		{url: "smtp://u@h?password-file=" + empty, err: "on one line"},
		{url: "smtp://u@h?password-file=" + two, err: "on one line"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.url, dir, ""), func(t *testing.T) {
			r, err := NewRelay(tt.url)
			if tt.err != "" {
				if !errors.Is(err, ErrRelay) || !strings.Contains(err.Error(), tt.err) ||
					strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			d := r.pool.door
			if diff := cmp.Diff(tt.want, seen{r.pool.host, d.name, d.user, d.password, d.implicit, d.level}); diff != "" {
				t.Error(diff)
			}
			if want := "relay " + tt.want.Addr; r.Name() != want {
				t.Errorf("name %q, want %q", r.Name(), want)
			}
		})
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
			r.pool.door.roots = roots
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
				if v.TLS != "TLS 1.3" {
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	v := deliver(t, relayTo(t, addr), testLetter())
	checkVerdict(t, v, Deferred, 0, "4.4.1", "refused the connection")
}
