package letters_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"

	"kartotek/flows/lang"
	"kartotek/flows/letters"
)

var update = flag.Bool("update", false, "write the golden files anew")

var purposes = []letters.Purpose{letters.SignUp, letters.Resubscribe}

// example is a confirmation with every field set.
func example(purpose letters.Purpose, tag lang.Tag) letters.Confirmation {
	return letters.Confirmation{
		Purpose:           purpose,
		Lang:              tag,
		From:              letters.Sender{Name: "Nordlys Boghandel A/S", Address: "news@nordlys.example"},
		To:                "marie.jensen@example.dk",
		List:              "Nye bøger & mere",
		ListID:            "books.lists.nordlys.example",
		ConfirmURL:        "https://mail.nordlys.example/confirm/q3Vd0_Jb9fXo-1hYk2TzLw8sRr4uNn6mPp7aCcEeGgI?lang=" + string(tag),
		CancelURL:         "https://mail.nordlys.example/cancel/q3Vd0_Jb9fXo-1hYk2TzLw8sRr4uNn6mPp7aCcEeGgI",
		UnsubscribeMailto: "mailto:cancel+q3Vd0@nordlys.example?subject=cancel",
		Notice:            letters.DefaultNotice(tag, "Nye bøger & mere", "Nordlys Boghandel A/S"),
		Expires:           time.Date(2026, 2, 10, 10, 11, 0, 0, time.UTC),
		MessageID:         "01hq3v9k2m.confirm@nordlys.example",
		Date:              time.Date(2026, 2, 3, 10, 11, 12, 0, time.UTC),
	}
}

func compose(t testing.TB, c letters.Confirmation) letters.Letter {
	t.Helper()
	letter, err := c.Compose()
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	return letter
}

func read(t testing.TB, raw []byte) letters.Message {
	t.Helper()
	m, err := letters.Read(raw)
	if err != nil {
		t.Fatalf("read back: %v", err)
	}
	return m
}

var boundary = regexp.MustCompile(`boundary=[0-9a-f]{60}`)

// readable shows a letter as a reviewer wants it: the header as sent, with a
// fixed boundary, and the decoded parts.
func readable(t testing.TB, letter letters.Letter) string {
	t.Helper()
	header, _, found := strings.Cut(string(letter.Raw), "\r\n\r\n")
	if !found {
		t.Fatal("no header")
	}
	header = boundary.ReplaceAllString(strings.ReplaceAll(header, "\r\n", "\n"), "boundary=BOUNDARY")
	m := read(t, letter.Raw)
	rule := "\n" + strings.Repeat("=", 76) + "\n"
	return header + rule + "Subject as read: " + letter.Subject + rule + m.Text + rule + strings.ReplaceAll(m.HTML, "\r\n", "\n")
}

func TestGolden(t *testing.T) {
	for _, purpose := range purposes {
		for _, tag := range lang.All() {
			name := string(purpose) + "." + string(tag) + ".golden"
			t.Run(name, func(t *testing.T) {
				got := readable(t, compose(t, example(purpose, tag)))
				path := filepath.Join("testdata", name)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatalf("%v (make it with -update)", err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("letter changed; if on purpose, run with -update (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestReadBack(t *testing.T) {
	c := example(letters.SignUp, lang.Danish)
	letter := compose(t, c)
	m := read(t, letter.Raw)
	if !m.Date.Equal(c.Date) {
		t.Errorf("date %v, want %v", m.Date, c.Date)
	}
	want := letters.Message{
		From:    "Nordlys Boghandel A/S <news@nordlys.example>",
		To:      "marie.jensen@example.dk",
		Subject: "Bekræft din tilmelding til »Nye bøger & mere«",
		Date:    m.Date, Text: m.Text, HTML: m.HTML,
		Links: []string{c.ConfirmURL},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if letter.Subject != want.Subject {
		t.Errorf("subject %q, want %q", letter.Subject, want.Subject)
	}
	for line := range strings.Lines(m.Text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 78 && line != c.ConfirmURL+"\n" {
			t.Errorf("line of %d characters: %q", n, line)
		}
	}
	if !strings.Contains(m.Text, "\n"+c.ConfirmURL+"\n") {
		t.Error("the link isn't alone on a line of the text")
	}
	links, err := letters.Links(letter.Raw)
	if diff := cmp.Diff(m.Links, links); diff != "" || err != nil {
		t.Errorf("Links: %v %s", err, diff)
	}
}

// An independent reader sees text first, then HTML, and the header that mail
// programs act on.
func TestStructure(t *testing.T) {
	c := example(letters.Resubscribe, lang.German)
	c.Date = c.Date.In(time.FixedZone("CET", 3600))
	r, err := mail.CreateReader(bytes.NewReader(compose(t, c).Raw))
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, part.Header.Get("Content-Type")+" "+part.Header.Get("Content-Transfer-Encoding"))
	}
	want := []string{"text/plain; charset=utf-8 quoted-printable", "text/html; charset=utf-8 quoted-printable"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	wantHeader := map[string]string{
		"List-Unsubscribe":      "<" + c.CancelURL + ">, <" + c.UnsubscribeMailto + ">",
		"List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"Auto-Submitted":        "auto-generated",
		"Content-Language":      "de",
		"Message-Id":            "<" + c.MessageID + ">",
		"Date":                  "Tue, 03 Feb 2026 10:11:12 +0000",
	}
	for key, want := range wantHeader {
		if got := r.Header.Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	c.UnsubscribeMailto = ""
	m, err := netmail.ReadMessage(bytes.NewReader(compose(t, c).Raw))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Header.Get("List-Unsubscribe"), "<"+c.CancelURL+">"; got != want {
		t.Errorf("List-Unsubscribe without mailto: %q, want %q", got, want)
	}
}

func TestInternationalAddress(t *testing.T) {
	c := example(letters.SignUp, lang.Danish)
	for _, to := range []string{"søren@xn--smrrebrd-64ab.example", `"john doe"@example.com`, `"john.d"@example.com`, "o'neil+tag@[192.0.2.1]"} {
		c.To = to
		m, err := netmail.ReadMessage(bytes.NewReader(compose(t, c).Raw))
		if err != nil {
			t.Fatal(err)
		}
		got, err := netmail.ParseAddress(m.Header.Get("To"))
		want := strings.ReplaceAll(to, `"`, "")
		if err != nil || got.Address != want {
			t.Errorf("To: %v, %v; want %q", got, err, want)
		}
	}
}

// The header names the language that was really used.
func TestUnknownLanguageIsEnglish(t *testing.T) {
	for tag, want := range map[lang.Tag]string{"": "en", "fr": "en", "da-DK": "da"} {
		m, err := netmail.ReadMessage(bytes.NewReader(compose(t, example(letters.SignUp, tag)).Raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header.Get("Content-Language"); got != want {
			t.Errorf("%q: Content-Language %q, want %q", tag, got, want)
		}
	}
}

func TestInvalidFields(t *testing.T) {
	const crlf = "\r\nBcc: x@example.com"
	long := strings.Repeat("a", 1000)
	tests := map[string]func(*letters.Confirmation){
		"purpose":              func(c *letters.Confirmation) { c.Purpose = "sell" },
		"from":                 func(c *letters.Confirmation) { c.From.Address = "news" },
		"to":                   func(c *letters.Confirmation) { c.To = "a@example.com, b@example.com" },
		"to: line break":       func(c *letters.Confirmation) { c.To += crlf },
		"to: parameter":        func(c *letters.Confirmation) { c.To = "a@example.com> SIZE=1" },
		"to: name":             func(c *letters.Confirmation) { c.To = "Marie <a@example.com" },
		"to: comment":          func(c *letters.Confirmation) { c.To = "a@example.com (hello)" },
		"to: bidi":             func(c *letters.Confirmation) { c.To = "a\u202e@example.com" },
		"to: encoded word":     func(c *letters.Confirmation) { c.To = "=?utf-8?q?a?= <a@example.com>" },
		"to: long":             func(c *letters.Confirmation) { c.To = long + "@example.com" },
		"list id":              func(c *letters.Confirmation) { c.ListID = "" },
		"list id: break":       func(c *letters.Confirmation) { c.ListID += crlf },
		"list id: dots":        func(c *letters.Confirmation) { c.ListID = "a..b" },
		"list id: brackets":    func(c *letters.Confirmation) { c.ListID = "a>b" },
		"confirm url":          func(c *letters.Confirmation) { c.ConfirmURL = "/confirm" },
		"confirm url: js":      func(c *letters.Confirmation) { c.ConfirmURL = "javascript:alert(1)" },
		"confirm url: user":    func(c *letters.Confirmation) { c.ConfirmURL = "https://good.example@evil.example/" },
		"confirm url: space":   func(c *letters.Confirmation) { c.ConfirmURL = "https://a.example/b c" },
		"confirm url: long":    func(c *letters.Confirmation) { c.ConfirmURL = "https://a.example/" + long },
		"confirm url: bracket": func(c *letters.Confirmation) { c.ConfirmURL += "(1)" },
		"confirm url: percent": func(c *letters.Confirmation) { c.ConfirmURL += "&a=%zz" },
		"confirm url: no host": func(c *letters.Confirmation) { c.ConfirmURL = "https:///confirm" },
		"cancel url":           func(c *letters.Confirmation) { c.CancelURL = "https://a.example/>, <https://b.example/" },
		"cancel url: break":    func(c *letters.Confirmation) { c.CancelURL += crlf },
		"cancel url: comma":    func(c *letters.Confirmation) { c.CancelURL += ",x" },
		"mailto":               func(c *letters.Confirmation) { c.UnsubscribeMailto = "https://a.example/" },
		"notice":               func(c *letters.Confirmation) { c.Notice = strings.Repeat(long, 66) },
		"expires":              func(c *letters.Confirmation) { c.Expires = time.Time{} },
		"message id":           func(c *letters.Confirmation) { c.MessageID = "<a@b>" },
		"message id: break":    func(c *letters.Confirmation) { c.MessageID += crlf },
		"date":                 func(c *letters.Confirmation) { c.Date = time.Time{} },
		"date: far":            func(c *letters.Confirmation) { c.Date = time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			c := example(letters.SignUp, lang.English)
			spoil(&c)
			letter, err := c.Compose()
			if !errors.Is(err, letters.ErrInvalid) || letter.Raw != nil {
				t.Fatalf("composed %d bytes, error %v", len(letter.Raw), err)
			}
			if strings.Contains(err.Error(), "example") {
				t.Errorf("the error quotes the value: %v", err)
			}
		})
	}
}
