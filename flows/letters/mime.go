package letters

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/mail"
)

// maxFieldLine is the length in octets that header lines are folded at: RFC
// 5322 section 2.1.1 recommends 78, RFC 2047 section 2 demands 76 of a line
// with an encoded word.
const maxFieldLine = 76

// field is one header field: a name, and the tokens of its value, which may be
// parted by a line break and must hold no space themselves.
type field struct {
	name   string
	tokens []string
}

// fold writes the field with its CRLFs. We do it ourselves because go-message
// gives up on folding the whole field as soon as one token is long.
func (f field) fold() []byte {
	var b bytes.Buffer
	b.WriteString(f.name + ":")
	column := b.Len()
	for _, token := range f.tokens {
		if column+1+len(token) > maxFieldLine {
			b.WriteString("\r\n")
			column = 0
		}
		b.WriteString(" " + token)
		column += 1 + len(token)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// phrase gives the tokens of a display name (RFC 5322 section 3.2.5), none for
// an empty one.
func phrase(s string) []string {
	if s == "" {
		return nil
	}
	if !isASCII(s) || strings.Contains(s, "=?") {
		return encodedWords(s)
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
	return strings.Split(`"`+quoted+`"`, " ")
}

// encodedWords writes s as RFC 2047 encoded words of whole characters, each
// short enough for a line. The mime package can't be made to encode what looks
// like ASCII, which a name in the shape of an encoded word calls for.
func encodedWords(s string) []string {
	const maxBytes = 39 // 52 characters in base64, 12 around them, "Subject: " before
	var all []string
	for len(s) > 0 {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > maxBytes {
				break
			}
			n += size
		}
		all = append(all, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return all
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// assemble joins a header and both forms of a text to a multipart/alternative
// message (RFC 2046 section 5.1.4: the plainest first) in 7-bit lines.
func assemble(fields []field, plain, page string) ([]byte, error) {
	var header mail.Header
	// go-message puts each added field above the others.
	for i := len(fields) - 1; i >= 0; i-- {
		header.AddRaw(fields[i].fold())
	}
	var raw bytes.Buffer
	w, err := mail.CreateInlineWriter(&raw, header)
	if err != nil {
		return nil, fmt.Errorf("write header: %w", err)
	}
	if err := writePart(w, "text/plain", plain); err != nil {
		return nil, err
	}
	if err := writePart(w, "text/html", page); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("close message: %w", err)
	}
	return raw.Bytes(), nil
}

// writePart adds one part; go-message encodes text as quoted-printable.
func writePart(w *mail.InlineWriter, mediaType, body string) error {
	var header mail.InlineHeader
	header.SetContentType(mediaType, map[string]string{"charset": "utf-8"})
	part, err := w.CreatePart(header)
	if err != nil {
		return fmt.Errorf("create %s part: %w", mediaType, err)
	}
	if _, err := io.WriteString(part, body); err != nil {
		return fmt.Errorf("write %s part: %w", mediaType, err)
	}
	if err := part.Close(); err != nil {
		return fmt.Errorf("close %s part: %w", mediaType, err)
	}
	return nil
}
