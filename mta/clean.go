package mta

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReply bounds the words of a server that are kept, in bytes.
const maxReply = 500

// anyAddress finds what looks like a mail address in a server's words: a reply may name another mailbox of
// the person, such as the one that the mail is forwarded to.
var anyAddress = regexp.MustCompile(`[^\s<>"'(),;:\[\]]+@[^\s<>"'(),;:\[\]]+`)

// CleanReply makes the words of a report, whose recipient the report alone doesn't tell, as fit to be kept as a reply's.
func CleanReply(words, recipient string) string { return cleanReply(words, recipient) }

// cleanReply makes a server's words fit to be kept and drawn: one line of at most [maxReply] bytes of valid
// UTF-8 without control, bidirectional or invisible characters, and without anybody's address.
func cleanReply(words, recipient string) string {
	s := redact(oneLine(words), recipient)
	if strings.Contains(s, "@") {
		s = anyAddress.ReplaceAllString(s, "<address>")
	}
	return truncate(s, maxReply)
}

// oneLine strips what could move a cursor or reorder text; runs of white space become one space.
func oneLine(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
		case r == utf8.RuneError || !unicode.IsGraphic(r):
		default:
			if space {
				b.WriteByte(' ')
				space = false
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isPlain tells whether s is of visible ASCII characters with single spaces between them, as most words of servers are.
func isPlain(s string) bool {
	space := true // none may come now
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && space {
			return false
		}
		space = s[i] == ' '
	}
	return !space
}

// redact replaces the recipient's address, and its local part where it stands as a word of its own, whatever
// their letter case. Brackets that the server put around the address are taken with it.
func redact(s, recipient string) string {
	if recipient == "" {
		return s
	}
	local, _, _ := strings.Cut(recipient, "@")
	if local != "" && isASCII(s) && !containsFold(s, local) {
		return s
	}
	bracketed := "<" + recipient + ">"
	var b strings.Builder
	prev := rune(0)
	for len(s) > 0 {
		n := matchFold(s, bracketed)
		if n == 0 {
			n = matchFold(s, recipient)
		}
		if n == 0 && !isWord(prev) {
			n = matchFold(s, local)
			if next, _ := utf8.DecodeRuneInString(s[n:]); isWord(next) {
				n = 0
			}
		}
		if n > 0 {
			b.WriteString("<recipient>")
			prev = '>'
			s = s[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		b.WriteString(s[:size])
		prev = r
		s = s[size:]
	}
	return b.String()
}

// matchFold returns how many bytes of s its beginning takes that equals sub but for letter case, 0 for none.
func matchFold(s, sub string) int {
	n := 0
	for _, want := range sub {
		got, size := utf8.DecodeRuneInString(s[n:])
		if size == 0 || (got != want && unicode.ToLower(got) != unicode.ToLower(want)) {
			return 0
		}
		n += size
	}
	return n
}

// containsFold tells whether sub is somewhere in s, which is ASCII, but for letter case. It looks closer only where the
// first character fits.
func containsFold(s, sub string) bool {
	first, _ := utf8.DecodeRuneInString(sub)
	first = unicode.ToLower(first)
	for i := range len(s) {
		c := rune(s[i])
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c == first && matchFold(s[i:], sub) > 0 {
			return true
		}
	}
	return false
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// truncate cuts s to at most n bytes, never inside a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
