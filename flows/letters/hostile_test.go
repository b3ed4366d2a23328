package letters_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"kartotek/flows/lang"
	"kartotek/flows/letters"
)

var nasty = []string{
	"News", "bøger", " ", "\r\n", "\n", "\r\n\r\n", "\r\nBcc: x@example.com\r\n", "\x00", "\x1b[2J", "\x7f", "\u0085", "\u2028",
	"\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\u200d", "e\u0301", "\xff\xfe", "<script>alert(1)</script>", `" onclick="x`,
	"</title>", "{{.}}", "&amp;", "=?utf-8?q?=0D=0ABcc:_x?=", "=?utf-8?b?DQo=?=", `"\`, `C:\new\"`, "(c), <x@example.com>;", "=\r\n", "\r\n.\r\n",
	"https://evil.example/", "HTTP:\u200b//evil.example", "--", "> ", "=cmd()", "日本語", "👩‍👧", "שלום",
	strings.Repeat("x", 10_000), strings.Repeat("ø ", 5000),
}

func hostile() *rapid.Generator[string] {
	fragment := rapid.OneOf(rapid.SampledFrom(nasty), rapid.String())
	return rapid.Map(rapid.SliceOfN(fragment, 0, 5), func(s []string) string { return strings.Join(s, "") })
}

// Whatever the names and the notice are, a letter has exactly its own header,
// lines and markup.
func TestHostileText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := example(rapid.SampledFrom(purposes).Draw(t, "purpose"), rapid.SampledFrom(lang.All()).Draw(t, "lang"))
		c.List = hostile().Draw(t, "list")
		c.From.Name = hostile().Draw(t, "sender")
		c.Notice = hostile().Draw(t, "notice")
		letter, err := c.Compose()
		if err != nil {
			t.Fatalf("compose: %v", err)
		}
		checkWire(t, letter.Raw)
		m, err := netmail.ReadMessage(bytes.NewReader(letter.Raw))
		if err != nil {
			t.Fatalf("unreadable: %v", err)
		}
		checkHeader(t, m.Header, c, letter.Subject)
		plain, page := parts(t, m)
		checkText(t, plain, c)
		checkHTML(t, page, c)
		back, err := letters.Read(letter.Raw)
		if err != nil || back.Subject != letter.Subject || back.Text != strings.ReplaceAll(plain, "\r\n", "\n") {
			t.Fatalf("Read: %v, %q, %q", err, back.Subject, back.Text)
		}
		if len(back.Links) == 0 || back.Links[0] != c.ConfirmURL {
			t.Fatalf("the first link is not the letter's own: %q", back.Links)
		}
	})
}

// Whatever the addresses, links and identifiers are, a letter either isn't
// made or has exactly its own header.
func TestHostileFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := example(letters.SignUp, lang.English)
		spoil := func(value *string, name string) {
			if rapid.Bool().Draw(t, "spoil "+name) {
				at := rapid.IntRange(0, len(*value)).Draw(t, "at")
				*value = (*value)[:at] + hostile().Draw(t, name) + (*value)[at:]
			}
		}
		spoil(&c.To, "to")
		spoil(&c.From.Address, "from")
		spoil(&c.ListID, "list id")
		spoil(&c.ConfirmURL, "confirm url")
		spoil(&c.CancelURL, "cancel url")
		spoil(&c.UnsubscribeMailto, "mailto")
		spoil(&c.MessageID, "message id")
		letter, err := c.Compose()
		if err != nil {
			return
		}
		m, err := netmail.ReadMessage(bytes.NewReader(letter.Raw))
		if err != nil {
			t.Fatalf("unreadable: %v", err)
		}
		checkHeader(t, m.Header, c, letter.Subject)
		plain, page := parts(t, m)
		checkText(t, plain, c)
		checkHTML(t, page, c)
	})
}

// checkWire checks what a mail server demands of lines.
func checkWire(t *rapid.T, raw []byte) {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
			t.Fatalf("line of %d octets isn't plain: %.200q", len(line), line)
		}
	}
	header, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	for line := range strings.SplitSeq(header, "\r\n") {
		if len(line) > 78 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Fatalf("header line of %d octets could be folded: %q", len(line), line)
		}
	}
}

func checkHeader(t *rapid.T, h netmail.Header, c letters.Confirmation, subject string) {
	want := []string{
		"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "List-Id", "List-Unsubscribe",
		"List-Unsubscribe-Post", "Message-Id", "Mime-Version", "Subject", "To", "X-Auto-Response-Suppress",
	}
	var got []string
	for key, values := range h {
		if len(values) != 1 {
			t.Fatalf("%d fields %s", len(values), key)
		}
		got = append(got, key)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("header fields (-want +got):\n%s", diff)
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || decoded != subject || utf8.RuneCountInString(subject) > 120 || !isClean(subject) {
		t.Fatalf("subject %q reads %q, %v", subject, decoded, err)
	}
	from, err := h.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != c.From.Address || !isClean(from[0].Name) {
		t.Fatalf("From: %q, %v", h.Get("From"), err)
	}
	if name := strings.Join(visibleWords(c.From.Name), " "); utf8.RuneCountInString(name) <= 60 && !strings.Contains(name, "://") && from[0].Name != name {
		t.Fatalf("From shows %q, want %q", from[0].Name, name)
	}
	to, err := h.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != c.To && !strings.HasPrefix(c.To, `"`) || to[0].Name != "" {
		t.Fatalf("To: %q, %v", h.Get("To"), err)
	}
	if list := h.Get("List-Id"); !strings.HasSuffix(list, "<"+c.ListID+">") {
		t.Fatalf("List-Id: %q", list)
	}
	if _, err := h.Date(); err != nil {
		t.Fatalf("Date: %v", err)
	}
}

// parts gives the decoded text and HTML, by the standard library alone.
func parts(t *rapid.T, m *netmail.Message) (plain, page string) {
	mediaType, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/alternative" {
		t.Fatalf("content type %q, %v", mediaType, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var bodies []string
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("part: %v", err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatalf("body: %v", err)
		}
		bodies = append(bodies, string(body))
	}
	if len(bodies) != 2 {
		t.Fatalf("%d parts", len(bodies))
	}
	return bodies[0], bodies[1]
}

func checkText(t *rapid.T, plain string, c letters.Confirmation) {
	own := 0
	for line := range strings.SplitSeq(plain, "\r\n") {
		if !isClean(line) {
			t.Fatalf("line of text isn't clean: %q", line)
		}
		if line == c.ConfirmURL {
			own++
		}
	}
	if own != 1 {
		t.Fatalf("the link stands alone on %d lines", own)
	}
}

// checkHTML checks that the page has only the elements and attributes that the
// letter is made of, one link, and the whole notice.
func checkHTML(t *rapid.T, page string, c letters.Confirmation) {
	elements := strings.Fields("html head meta title body p a br span blockquote")
	attributes := strings.Fields("lang style charset name content href dir")
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("html: %v", err)
	}
	var links []string
	var quoted strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.CommentNode || n.Type == html.ElementNode && !slices.Contains(elements, n.Data) {
			t.Fatalf("foreign markup %q", n.Data)
		}
		for _, a := range n.Attr {
			if !slices.Contains(attributes, a.Key) || strings.Contains(a.Val, "url(") {
				t.Fatalf("foreign attribute %s=%q", a.Key, a.Val)
			}
			if a.Key == "href" {
				links = append(links, a.Val)
			}
		}
		if n.Type == html.TextNode && within(n, "blockquote") {
			quoted.WriteString(n.Data + " ")
		}
	}
	if diff := cmp.Diff([]string{c.ConfirmURL}, links); diff != "" {
		t.Fatalf("links (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(visibleWords(c.Notice), strings.Fields(quoted.String())); diff != "" {
		t.Fatalf("notice (-want +got):\n%s", diff)
	}
}

func within(n *html.Node, element string) bool {
	for ; n != nil; n = n.Parent {
		if n.Type == html.ElementNode && n.Data == element {
			return true
		}
	}
	return false
}

// visibleWords is what a reader may see of a hostile text.
func visibleWords(s string) []string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case !unicode.Is(unicode.Cf, r) || r == '\u200c' || r == '\u200d':
			b.WriteRune(r)
		}
	}
	return strings.Fields(b.String())
}

// isClean reports whether s is valid and free of control, bidirectional and
// line separating characters.
func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	})
}
