package intake

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

var errDamaged = errors.New("the workbook is damaged: open it in a spreadsheet program and save it again")

// tokens reads XML token by token in bounded memory. Names lose their
// namespace prefix.
type tokens struct {
	src  io.Reader
	x    *xml.Decoder
	read int64
}

func newTokens(r io.Reader) *tokens {
	t := &tokens{src: r}
	t.x = xml.NewDecoder(t)
	t.x.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errDamaged }
	return t
}

// Read feeds the decoder, which keeps a token in memory until its end.
func (t *tokens) Read(p []byte) (int, error) {
	if t.read-t.x.InputOffset() > maxToken {
		return 0, errBomb
	}
	n, err := t.src.Read(p)
	t.read += int64(n)
	return n, err
}

// next returns the next token, valid until the call after; io.EOF at the end.
func (t *tokens) next() (xml.Token, error) {
	tok, err := t.x.RawToken()
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, errBomb):
		return tok, err
	}
	return nil, errDamaged
}

// text appends the character data up to the end of the element that just
// began.
func (t *tokens) text(into []byte) ([]byte, error) {
	for depth := 1; depth > 0; {
		tok, err := t.next()
		if errors.Is(err, io.EOF) {
			return into, errDamaged
		}
		if err != nil {
			return into, err
		}
		switch e := tok.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			if len(into)+len(e) > maxToken {
				return into, errBomb
			}
			into = append(into, e...)
		}
	}
	return into, nil
}

// attr is the value of an attribute by its local name, or "".
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// unescape turns the workbook's _x000D_ back into the characters that XML
// can't hold. ECMA-376 part 1, 22.9.2.19 (ST_Xstring).
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "_x")
		if i < 0 || i+7 > len(s) {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		if c, ok := hex4(s[i+2 : i+6]); ok && s[i+6] == '_' {
			b.WriteRune(c)
			s = s[i+7:]
		} else {
			b.WriteString("_x")
			s = s[i+2:]
		}
	}
}

func hex4(s string) (rune, bool) {
	var r rune
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
