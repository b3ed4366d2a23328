package flows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
)

// WriteJSON writes v as JSON, indented by indent unless that is "", and escapes
// what can't be printed: a person's fields may hold what a terminal acts on,
// and JSON is looked at in one.
func WriteJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for _, r := range b.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			fmt.Fprintf(out, "%c", r) // an error stays with the writer until Flush
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(out, `\u%04x`, r)
		}
	}
	return out.Flush()
}
