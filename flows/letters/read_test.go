package letters_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"kartotek/flows/lang"
	"kartotek/flows/letters"
)

// crlf writes a mail in wire form.
func crlf(lines ...string) string {
	return strings.Join(lines, "\r\n") + "\r\n"
}

var mails = []struct {
	name, raw string
	want      letters.Message
	err       error
}{
	{
		name: "plain, no MIME",
		raw: crlf("From: Anna <anna@example.com>", "To: b@example.com, Carl <c@example.com>", "Subject: Hello", "Date: Tue, 03 Feb 2026 10:11:12 +0100", "",
			"See https://example.com/a.", "(http://example.com/b), HTTPS://example.com/c_ and https://example.com/a again"),
		want: letters.Message{
			From: "Anna <anna@example.com>", To: "b@example.com, c@example.com", Subject: "Hello", Date: time.Date(2026, 2, 3, 9, 11, 12, 0, time.UTC),
			Text:  "See https://example.com/a.\n(http://example.com/b), HTTPS://example.com/c_ and https://example.com/a again\n",
			Links: []string{"https://example.com/a", "http://example.com/b", "HTTPS://example.com/c_"},
		},
	},
	{
		name: "windows-1252, quoted-printable",
		raw:  crlf("Subject: =?iso-8859-1?q?Bekr=E6ft?=", "Content-Type: text/plain; charset=windows-1252", "Content-Transfer-Encoding: quoted-printable", "", "=93Nyhedsbrev=94 k=F8=", "ber"),
		want: letters.Message{Subject: "Bekræft", Text: "“Nyhedsbrev” køber\n"},
	},
	{
		name: "UTF-16, base64",
		raw: crlf("X: y", "Content-Type: text/plain; charset=utf-16be", "Content-Transfer-Encoding: base64", "",
			base64.StdEncoding.EncodeToString([]byte("\x00N\x00\xe5"))),
		want: letters.Message{Text: "Nå"},
	},
	{
		name: "nested, attachment left out",
		raw: crlf("Content-Type: multipart/mixed; boundary=a", "", "--a", "Content-Type: multipart/alternative; boundary=b", "",
			"--b", "", "text", "--b", "Content-Type: text/html", "", "<p>page</p>", "--b--", "",
			"--a", "Content-Type: text/plain", "Content-Disposition: attachment; filename=x.txt", "", "https://attached.example", "--a",
			"Content-Type: text/plain", "", "footer", "--a--"),
		want: letters.Message{Text: "text\nfooter", HTML: "<p>page</p>"},
	},
	{
		name: "line breaks and controls smuggled in encoded words",
		raw: crlf("From: =?utf-8?q?A=0D=0ABcc:_x=1B[2J?= <a@example.com>", "To: =?utf-8?q?=E2=80=AEevil?=", "Subject: =?utf-8?q?a=0D=0A=0D=0A=E2=80=AEb?= \xff", "",
			"a\x1b[2Jb\u202ec\tde"),
		want: letters.Message{From: "A Bcc: x [2J <a@example.com>", To: "evil", Subject: "a b \uFFFD", Text: "a [2Jbc de\n"},
	},
	{
		name: "a link alone keeps its end",
		raw:  crlf("X: y", "", "https://example.com/?a=b.", "http:///nohost", "ftp://example.com/", "<https://example.com/x>"),
		want: letters.Message{
			Text:  "https://example.com/?a=b.\nhttp:///nohost\nftp://example.com/\n<https://example.com/x>\n",
			Links: []string{"https://example.com/?a=b.", "https://example.com/x"},
		},
	},
	{
		name: "unknown charset",
		raw:  crlf("Subject: =?klingon?q?Qapla?=", "Content-Type: text/plain; charset=klingon", "", "a\xffb"),
		want: letters.Message{Subject: "=?klingon?q?Qapla?=", Text: "a\uFFFDb\n"}, err: letters.ErrDamaged,
	},
	{
		name: "unknown transfer encoding",
		raw:  crlf("Content-Transfer-Encoding: x-uuencode", "", "text"),
		want: letters.Message{Text: "text\n"}, err: letters.ErrDamaged,
	},
	{
		name: "malformed content type",
		raw:  crlf("Content-Type: ;;;", "", "text"),
		want: letters.Message{Text: "text\n"}, err: letters.ErrDamaged,
	},
	{
		name: "cut off in a part",
		raw:  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nfirst\r\n--a\r\n\r\nsec",
		want: letters.Message{Text: "first\nsec"}, err: letters.ErrDamaged,
	},
	{
		name: "multipart without boundary",
		raw:  crlf("Subject: x", "Content-Type: multipart/mixed", "", "text"),
		want: letters.Message{Subject: "x"}, err: letters.ErrDamaged,
	},
	{name: "empty", raw: "", err: letters.ErrUnreadable},
	{name: "no header", raw: "\r\nHello\r\n", err: letters.ErrUnreadable},
	{name: "not a mail", raw: "GET / HTTP/1.1\r\n", err: letters.ErrUnreadable},
	{name: "endless header", raw: "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", err: letters.ErrUnreadable},
}

func TestRead(t *testing.T) {
	for _, tt := range mails {
		t.Run(tt.name, func(t *testing.T) {
			got, err := letters.Read([]byte(tt.raw))
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			got.Date = got.Date.UTC()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Read (-want +got):\n%s", diff)
			}
			links, err := letters.Links([]byte(tt.raw))
			if diff := cmp.Diff(tt.want.Links, links); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("Links: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// nested is a mail whose text is within so many multiparts.
func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\ntext")
	for i := depth - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "\r\n--b%d--\r\n", i)
	}
	return b.String()
}

// Mails built to exhaust a reader yield a bounded message, and no error: there
// is nothing wrong with them but their size.
func TestReadIsBounded(t *testing.T) {
	var links strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&links, "https://example.com/%d\r\n", i)
	}
	tests := []struct {
		name, raw   string
		text, links int // bytes and number
	}{
		{"nested", nested(8), 4, 0},
		{"nested deeply", nested(100), 0, 0},
		{"many parts", "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + strings.Repeat("--a\r\n\r\nx\r\n", 100_000) + "--a--\r\n", 2*199 - 1, 0},
		{"long text", "X: y\r\n\r\n" + strings.Repeat("text\n", 1_000_000), 1 << 20, 0},
		{"long line", "X: y\r\n\r\n" + strings.Repeat("ø", 5_000_000), 1 << 20, 0},
		{"long in the second part", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a\r\n\r\n" + strings.Repeat("x", 2<<20) + "\r\n--a--\r\n", 1 << 20, 0},
		{"links", "X: y\r\n\r\n" + links.String(), len(strings.ReplaceAll(links.String(), "\r", "")), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkMessage(t, []byte(tt.raw))
			m, err := letters.Read([]byte(tt.raw))
			if err != nil || len(m.Text) > tt.text || len(m.Text) < tt.text*9/10 || len(m.Links) != tt.links {
				t.Errorf("%d bytes of text, %d links, error %v; want %d, %d", len(m.Text), len(m.Links), err, tt.text, tt.links)
			}
		})
	}
}

// A part with endless header fields is given up on: each costs far more memory
// than it takes to send.
func TestReadBoundsPartHeaders(t *testing.T) {
	raw := "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + strings.Repeat("X:\r\n", 1_000_000) + "\r\ntext\r\n--a--\r\n"
	m, err := letters.Read([]byte(raw))
	if !errors.Is(err, letters.ErrDamaged) || m.Text != "" {
		t.Errorf("read %q, %v", m.Text, err)
	}
}

// checkMessage checks what holds of the reading of any bytes at all.
func checkMessage(t *testing.T, raw []byte) {
	t.Helper()
	m, err := letters.Read(raw)
	if err != nil && !errors.Is(err, letters.ErrDamaged) && !errors.Is(err, letters.ErrUnreadable) {
		t.Errorf("foreign error %v", err)
	}
	for name, value := range map[string]string{"from": m.From, "to": m.To, "subject": m.Subject, "text": strings.ReplaceAll(m.Text, "\n", "")} {
		if !isClean(value) {
			t.Errorf("%s isn't clean: %.200q", name, value)
		}
	}
	// What isn't valid UTF-8 may grow threefold when it is replaced.
	if len(m.Text) > 3<<20+1000 || len(m.HTML) > 3<<20+1000 || !utf8.ValidString(m.HTML) {
		t.Errorf("%d bytes of text, %d of HTML", len(m.Text), len(m.HTML))
	}
	if len(m.Links) > 200 {
		t.Errorf("%d links", len(m.Links))
	}
	for i, link := range m.Links {
		lower := strings.ToLower(link)
		if !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") || !strings.Contains(m.Text, link) || slices.Contains(m.Links[:i], link) {
			t.Errorf("not a link of the text, or twice: %q", link)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(compose(f, example(letters.Resubscribe, lang.Swedish)).Raw)
	for _, m := range mails {
		if len(m.raw) < 10_000 {
			f.Add([]byte(m.raw))
		}
	}
	f.Fuzz(checkMessage)
}
