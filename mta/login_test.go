package mta

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"kartotek/mta/mtatest"
)

// theLogin is what the relays of these tests know.
const theLogin = "kartotek:s3cret%40%2F%3A@"

// scramServer is the other side of SCRAM, out of the library, as SMTP carries it: its last word is a challenge too
// (RFC 4954 section 4).
type scramServer struct {
	talk *scram.ServerConversation
	msg  *message
	bend func(challenge string) string // makes it say something else
}

func (s *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if s.talk.Done() {
		if !s.talk.Valid() {
			return nil, false, smtp.ErrAuthFailed
		}
		s.msg.User = s.talk.Username() + " by SCRAM"
		return nil, true, nil
	}
	text, err := s.talk.Step(string(response))
	if err != nil && text == "" {
		return nil, false, smtp.ErrAuthFailed
	}
	if s.bend != nil {
		text = s.bend(text)
	}
	return []byte(text), false, nil
}

// scramLogin takes a user with a password; bend may be nil.
func scramLogin(t *testing.T, hash scram.HashGeneratorFcn, password string, bend func(string) string) func(*message) sasl.Server {
	t.Helper()
	client, err := hash.NewClient("kartotek", password, "")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	server, err := hash.NewServer(func(user string) (scram.StoredCredentials, error) {
		if user != "kartotek" {
			return scram.StoredCredentials{}, errors.New("nobody of that name")
		}
		return stored, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(msg *message) sasl.Server {
		return &scramServer{talk: server.NewConversation(), msg: msg, bend: bend}
	}
}

// takesAnything logs everybody in at the first word, and shows nothing for it.
type takesAnything struct{ msg *message }

func (s takesAnything) Next([]byte) (challenge []byte, done bool, err error) {
	s.msg.User = "anybody"
	return nil, true, nil
}

func TestRelayLogin(t *testing.T) {
	const good = "s3cret@/:"
	plain := func(msg *message) sasl.Server { return plainLogin(msg) }
	never := func(*message) sasl.Server {
		t.Error("asked for, though another was offered that is better or has failed for good")
		return plainLogin(&message{})
	}
	type logins = map[string]func(*message) sasl.Server
	bent := func(from, to string) func(string) string {
		return func(s string) string { return strings.Replace(s, from, to, 1) }
	}
	tests := []struct {
		name            string
		logins          logins
		user            string // as the server knows it; empty if the letter has to wait
		code            int
		enhanced, words string
	}{
		{"SCRAM before PLAIN", logins{"SCRAM-SHA-256": scramLogin(t, scram.SHA256, good, nil), "PLAIN": never}, "kartotek by SCRAM", 250, "2.0.0", "OK"},
		{
			"the strongest SCRAM",
			logins{"SCRAM-SHA-512": scramLogin(t, scram.SHA512, good, nil), "SCRAM-SHA-256": never, "SCRAM-SHA-1": never},
			"kartotek by SCRAM", 250, "2.0.0", "OK",
		},
		{"the oldest SCRAM", logins{"SCRAM-SHA-1": scramLogin(t, scram.SHA1, good, nil)}, "kartotek by SCRAM", 250, "2.0.0", "OK"},
		{"SCRAM refused, PLAIN not", logins{"SCRAM-SHA-256": scramLogin(t, scram.SHA256, "another", nil), "PLAIN": plain}, "kartotek", 250, "2.0.0", "OK"},
		{"both refused", logins{"SCRAM-SHA-256": scramLogin(t, scram.SHA256, "another", nil), "PLAIN": func(*message) sasl.Server {
			return sasl.NewPlainServer(func(_, _, _ string) error { return smtp.ErrAuthFailed })
		}}, "", 535, "5.7.8", "failed"},
		{"SCRAM alone, refused", logins{"SCRAM-SHA-256": scramLogin(t, scram.SHA256, "another", nil)}, "", 535, "5.7.8", "failed"},
		{
			"no proof of the server",
			logins{"SCRAM-SHA-256": func(msg *message) sasl.Server { return takesAnything{msg} }, "PLAIN": never},
			"", 0, "4.7.0", "doesn't prove",
		},
		{"a wrong proof", logins{"SCRAM-SHA-256": scramLogin(t, scram.SHA256, good, bent("v=", "v=AAAA")), "PLAIN": never}, "", 0, "4.7.0", "doesn't prove"},
		{"endless hashing", logins{"SCRAM-SHA-256": scramLogin(t, scram.SHA256, good, bent("i=4096", "i=2147483647")), "PLAIN": never}, "", 0, "4.7.0", "doesn't prove"},
		{"hardly any hashing", logins{"SCRAM-SHA-256": scramLogin(t, scram.SHA256, good, bent("i=4096", "i=1")), "PLAIN": never}, "", 0, "4.7.0", "doesn't prove"},
		{"LOGIN alone", logins{"LOGIN": func(msg *message) sasl.Server { return &loginServer{msg: msg} }}, "kartotek", 250, "2.0.0", "OK"},
		{"nothing known", logins{"GSSAPI": never, "ANONYMOUS": never}, "", 0, "4.7.0", "no way to log in"},
	}
	cert, roots := certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rcv := startReceiver(t, &receiver{logins: tt.logins}, withTLS(cert))
			r := relayURL(t, "smtp://"+theLogin+rcv.addr)
			r.servers[0].door.roots = roots
			v := deliver(t, r, testLetter())
			state, got := Deferred, ""
			if tt.user != "" {
				state = Delivered
			}
			checkVerdict(t, v, state, tt.code, tt.enhanced, tt.words)
			for _, m := range rcv.messages() {
				got += m.User
			}
			if got != tt.user {
				t.Errorf("logged in as %q, want %q", got, tt.user)
			}
			checkTalk(t, v.Transcript)
		})
	}
}

// checkTalk makes sure that a password can't even be guessed by what the log keeps of a log-in.
func checkTalk(t *testing.T, transcript []string) {
	t.Helper()
	for _, line := range transcript {
		words := strings.Fields(line)
		if len(words) > 2 && words[1] == "334" && words[2] != "***" || len(words) > 3 && words[1] == "AUTH" && words[3] != "***" {
			t.Errorf("the log keeps %q", line)
		}
	}
}

// loginServer is LOGIN, which go-sasl has the client of only.
type loginServer struct {
	msg  *message
	said []string
}

func (s *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil {
		s.said = append(s.said, string(response))
	}
	switch {
	case len(s.said) == 0:
		return []byte("Username:"), false, nil
	case len(s.said) == 1:
		return []byte("Password:"), false, nil
	case slices.Equal(s.said, []string{"kartotek", "s3cret@/:"}):
		s.msg.User = "kartotek"
		return nil, true, nil
	}
	return nil, false, smtp.ErrAuthFailed
}

// cyrus makes options of a Postfix that takes mail from who logs in only, and checks passwords by Cyrus SASL, in a base
// of its own with the one user there is.
func cyrus(t *testing.T, mechanisms string) mtatest.Options {
	t.Helper()
	const saslpasswd = "/usr/sbin/saslpasswd2"
	if _, err := os.Stat(saslpasswd); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("Debian's sasl2-bin is not installed (scripts/setup does that)")
	}
	dir, err := os.MkdirTemp("", "sasl-") // where Postfix's own user can read
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	base := filepath.Join(dir, "sasldb2")
	c := exec.CommandContext(t.Context(), saslpasswd, "-c", "-p", "-f", base, "-u", "mx.test", "kartotek")
	c.Stdin = strings.NewReader("s3cret@/:")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(base, 0o644)); err != nil {
		t.Fatal(err)
	}
	return mtatest.Options{
		Login: "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: " + base + "\nmech_list: " + mechanisms + "\n",
		Settings: map[string]string{
			"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_local_domain": "mx.test", "smtpd_tls_auth_only": "yes",
			"smtpd_sasl_authenticated_header": "yes", "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
		},
	}
}

// Each mechanism that Debian's Cyrus SASL knows, on a Postfix that takes nothing from who hasn't logged in.
func TestPostfixLogsUsIn(t *testing.T) {
	for _, mech := range []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"} {
		t.Run(mech, func(t *testing.T) {
			p, roots := postfixWith(t, cyrus(t, mech))
			_, port, _ := net.SplitHostPort(p.Addr)
			for login, want := range map[string]State{theLogin: Delivered, "kartotek:wrong@": Deferred, "": Refused} {
				r := relayURL(t, "smtp://"+login+"127.0.0.1:"+port)
				r.servers[0].door.roots, r.servers[0].door.name = roots, "mx.test"
				v := deliver(t, r, testLetter())
				if v.State != want || strings.TrimSuffix(v.TLS, checkedTLS) != "TLS 1.3" {
					t.Errorf("with %q: %s %d %s %q over %q", login, v.State, v.Code, v.Enhanced, v.Reply, v.TLS)
				}
				if login != "" && !slices.Contains(v.Transcript, "> AUTH "+mech+" ***") {
					t.Errorf("not logged in by %s: %q", mech, v.Transcript)
				}
				checkTalk(t, v.Transcript)
			}
			ctx, cancel := context.WithTimeout(t.Context(), longest)
			defer cancel()
			mails, err := p.Await(ctx, 1)
			if err != nil || len(mails) != 1 || !strings.Contains(string(mails[0]), "(Authenticated sender: kartotek@mx.test)") {
				t.Errorf("%v, %d letters: %s", err, len(mails), mails)
			}
		})
	}
}
