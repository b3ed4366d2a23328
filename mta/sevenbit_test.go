package mta

import (
	"bytes"
	"io"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// texts are the decoded parts of a message, each after its type.
func texts(t testing.TB, msg []byte) []string {
	t.Helper()
	e, err := gomessage.Read(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	if err := e.Walk(func(_ []int, part *gomessage.Entity, err error) error {
		if err != nil || part.MultipartReader() != nil {
			return err
		}
		b, err := io.ReadAll(part.Body)
		out = append(out, part.Header.Get("Content-Type")+" "+string(b))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// A server of 7 bits gets the same text, and the header as it was.
func TestEightBitsForASevenBitServer(t *testing.T) {
	const fields = "From: news@sender.test\r\nSubject: =?utf-8?q?K=C3=B8b?=\r\n"
	tests := map[string]string{
		"plain": fields + "\r\nKøbmand\r\n.\r\nslut = \r\n",
		"parts": fields + "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n" +
			"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nKøbmand\r\n" +
			"--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nS8O4Ym1hbmQ=\r\n--x--\r\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			rcv := startReceiver(t, &receiver{})
			r := relayTo(t, without8BITMIME(t, rcv.addr))
			l := testLetter()
			l.Data = []byte(text)
			checkVerdict(t, deliver(t, r, l), Delivered, 250, "2.0.0", "OK")
			got := rcv.messages()[0].Data
			if !isASCII(got) || !strings.HasPrefix(got, fields) && name == "parts" {
				t.Errorf("sent\n%s", got)
			}
			if diff := cmp.Diff(texts(t, []byte(text)), texts(t, []byte(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What can't be encoded is refused; what can says the same afterwards, in lines that SMTP carries.
func TestSevenBitsSayTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		body := rapid.StringMatching(`([ -~æøå]{0,90}\r\n){0,8}`).Draw(rt, "body")
		msg := normalise([]byte("From: a@b.dk\r\n\r\n" + body))
		out, err := sevenBit(msg)
		if err != nil {
			rt.Fatal(err)
		}
		if !isASCII(string(out)) || checkLines(out) != nil {
			rt.Fatalf("%q", out)
		}
		if want, got := texts(t, msg)[0], texts(t, out)[0]; want != got {
			rt.Fatalf("%q became %q", want, got)
		}
	})
	for _, msg := range []string{
		"DKIM-Signature: v=1\r\n\r\nø\r\n",
		"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\nø\r\n--x--\r\n",
		"Content-Type: message/rfc822\r\n\r\nSubject: ø\r\n\r\nx\r\n",
		"Content-Type: text/plain; charset=x-none\r\n\r\n\xff\r\n",
	} {
		if out, err := sevenBit([]byte(msg)); err == nil {
			t.Errorf("%q became %q", msg, out)
		}
	}
}

// without8BITMIME is a way to a server that keeps it from offering 8BITMIME.
func without8BITMIME(t *testing.T, addr string) string {
	t.Helper()
	return proxied(t, addr, func(reply []byte) []byte {
		return bytes.ReplaceAll(reply, []byte("8BITMIME"), []byte("X-NOTHIN"))
	})
}
