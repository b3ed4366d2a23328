package mta

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// testKeys are made once: RSA keys take their time.
var testKeys = sync.OnceValues(func() ([]SigningKey, error) { return NewSigningKeys("Sender.test", "k2026") })

func testSigner(t *testing.T) (*Signer, []SigningKey) {
	t.Helper()
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s, keys
}

// published is the name service with the keys' records.
func published(t *testing.T, keys []SigningKey) map[string]string {
	t.Helper()
	txt := map[string]string{}
	for _, k := range keys {
		name, value, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		txt[name] = value
	}
	return txt
}

// verify returns how many signatures of the message hold, and how many there are.
func verify(t *testing.T, msg []byte, txt map[string]string) (good, all int) {
	t.Helper()
	found, err := dkim.VerifyWithOptions(bytes.NewReader(msg), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return []string{txt[name]}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		if v.Err == nil {
			good++
		}
	}
	return good, len(found)
}

const signedLetter = "From: News <news@sender.test>\r\nTo: marie@example.dk\r\nSubject: Please\r\n confirm\r\n" +
	"Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@sender.test>\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n" +
	"List-Unsubscribe: <https://sender.test/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" +
	"X-Other: free\r\n\r\nHello\r\n.\r\n\r\n"

func TestSign(t *testing.T) {
	s, keys := testSigner(t)
	signed, err := s.Sign([]byte(signedLetter))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(signed, []byte(signedLetter)) {
		t.Error("the message itself was changed")
	}
	txt := published(t, keys)
	if good, all := verify(t, signed, txt); good != 2 || all != 2 {
		t.Fatalf("%d of %d signatures hold", good, all)
	}
	tests := []struct {
		name     string
		from, to string
		holds    int
	}{
		{"body", "Hello", "Hallo", 0},
		{"subject", "Please", "Do not", 0},
		{"one-click", "One-Click", "Two-Clicks", 0},
		{"a second From", "Subject:", "From: boss@bank.test\r\nSubject:", 0},
		{"a second Subject", "Date:", "Subject: win\r\nDate:", 0},
		{"a field that is not signed", "X-Other: free", "X-Other: paid", 2},
		{"folding", "Please\r\n confirm", "Please confirm", 2},
		{"lines at the end", "\r\n.\r\n\r\n", "\r\n.\r\n\r\n\r\n", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := bytes.Replace(signed, []byte(signedLetter), []byte(strings.Replace(signedLetter, tt.from, tt.to, 1)), 1)
			if good, _ := verify(t, changed, txt); good != tt.holds {
				t.Errorf("%d signatures hold, want %d", good, tt.holds)
			}
		})
	}
}

// What is signed must be what is sent: the receiver's copy verifies, whatever the composer's line ends were.
func TestSignedArrivesIntact(t *testing.T) {
	s, keys := testSigner(t)
	txt := published(t, keys)
	rcv := startReceiver(t, &receiver{})
	r := relayTo(t, rcv.addr)
	rapid.Check(t, func(rt *rapid.T) {
		body := nasty().Draw(rt, "body")
		l := testLetter()
		var err error
		l.Data, err = s.Sign(append([]byte("From: news@sender.test\r\nSubject: a\nb\r\n\r\n"), body...))
		if err != nil {
			rt.Fatal(err)
		}
		before := len(rcv.messages())
		if v := deliver(t, r, l); v.State != Delivered {
			if v.Code != 0 {
				rt.Fatal(v)
			}
			return // not one that can be sent at all
		}
		got := rcv.messages()[before]
		if good, all := verify(t, []byte(got.Data), txt); good != 2 || all != 2 {
			rt.Fatalf("%d of %d signatures hold", good, all)
		}
	})
}

func TestSignRefuses(t *testing.T) {
	s, _ := testSigner(t)
	for _, msg := range []string{
		"", "Subject: x\r\n\r\nhi\r\n", "From: a@b.dk\r\nfrom: c@d.dk\r\n\r\nhi\r\n", "\r\nFrom: a@b.dk\r\n\r\n",
		"From: a@b.dk\r\nno field\r\n\r\nhi\r\n",
	} {
		if out, err := s.Sign([]byte(msg)); !errors.Is(err, ErrSigning) {
			t.Errorf("%q: %q, %v", msg, out, err)
		}
	}
	if _, err := NewSigner(); !errors.Is(err, ErrSigning) {
		t.Errorf("a signer without keys: %v", err)
	}
}

func TestSigningKeys(t *testing.T) {
	_, keys := testSigner(t)
	for i, k := range keys {
		text, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSigningKey("sender.test", k.Selector(), text)
		if err != nil {
			t.Fatal(err)
		}
		name, value, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		sameName, sameValue, err := again.Record()
		if err != nil || name != sameName || value != sameValue {
			t.Errorf("read again: %s %s, %v", sameName, sameValue, err)
		}
		want := []string{"k2026-rsa", "k2026-ed25519"}[i] + "._domainkey.sender.test"
		if name != want || !strings.HasPrefix(value, []string{"v=DKIM1; k=rsa; p=", "v=DKIM1; k=ed25519; p="}[i]) {
			t.Errorf("record %s %s", name, value)
		}
		line := ZoneLine(name, value)
		var joined strings.Builder
		for _, m := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(line, -1) {
			if len(m[1]) > 255 {
				t.Errorf("a string of %d bytes", len(m[1]))
			}
			joined.WriteString(m[1])
		}
		if diff := cmp.Diff(value, joined.String()); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []struct{ domain, selector, pem string }{
		{"sender.test", "k", "s3cret"},
		{"sender.test", "k", "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n"},
	} {
		_, err := ParseSigningKey(bad.domain, bad.selector, []byte(bad.pem))
		if !errors.Is(err, ErrSigning) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", bad.pem, err)
		}
	}
	for _, bad := range [][2]string{{"no domain", "k"}, {"sender.test", "a;b"}, {"sender.test\r\n", "k"}} {
		if _, err := newSigningKey(bad[0], bad[1], keys[0].key); !errors.Is(err, ErrSigning) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A verifier that shares no code with ours: python3-dkim, as packaged by Debian.
func TestSignaturesHoldElsewhere(t *testing.T) {
	if exec.Command("/usr/bin/python3", "-c", "import dkim, nacl").Run() != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3-dkim and python3-nacl are not installed")
		}
		t.Skip("python3-dkim and python3-nacl are not installed")
	}
	s, keys := testSigner(t)
	signed, err := s.Sign([]byte(signedLetter))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter"), signed, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range published(t, keys) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const program = `
import dkim, os, sys
d = sys.argv[1]
def txt(name, timeout=5):
    return open(os.path.join(d, name.decode().rstrip(".")), "rb").read()
m = dkim.DKIM(open(os.path.join(d, "letter"), "rb").read())
print([m.verify(idx=i, dnsfunc=txt) for i in range(2)])
`
	out, err := exec.Command("/usr/bin/python3", "-c", program, dir).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "[True, True]" {
		t.Errorf("%s (%v)", out, err)
	}
}
