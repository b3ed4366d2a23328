package web

import (
	"html/template"
	"strings"
	"unicode"
)

// say fills the {places} of text, given in pairs of name and value, and escapes
// all of it. A value stands in a bdi element, so that one written from right to
// left, or trying to, doesn't turn the words around it.
func say(text string, pairs ...string) template.HTML {
	filled := make([]string, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		filled[i] = "{" + pairs[i] + "}"
		filled[i+1] = "<bdi>" + template.HTMLEscapeString(cleanLine(pairs[i+1])) + "</bdi>"
	}
	// Escaping leaves the places as they are; a value is put in only once.
	return template.HTML(strings.NewReplacer(filled...).Replace(template.HTMLEscapeString(text))) //nolint:gosec // escaped above
}

// plain fills the places of text as say does, for where no markup can stand.
func plain(text string, pairs ...string) string {
	filled := make([]string, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		filled[i], filled[i+1] = "{"+pairs[i]+"}", cleanLine(pairs[i+1])
	}
	return strings.NewReplacer(filled...).Replace(text)
}

// cleanLine makes s one line of valid UTF-8 without control characters, and
// without the bidirectional ones, which make a text read otherwise than it is.
func cleanLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
