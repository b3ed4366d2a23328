package tui

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"
)

// longest is how many bytes of a text from outside are looked at; the rest
// would never fit a screen.
const longest = 16 << 10

// clean makes a text from outside safe to draw: one line, valid UTF-8, without
// control, escape and format characters (bidi controls and joiners are among
// the latter), and at most three combining marks on a letter, so that nothing
// in it moves the cursor or spills over its neighbours.
func clean(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for _, r := range s {
		switch {
		case r == '\n', r == '\t', r == '\u2028', r == '\u2029', r == '\u00a0':
			b.WriteByte(' ')
			marks = 0
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Variation_Selector):
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks <= 3 {
				b.WriteRune(r)
			}
		default:
			b.WriteRune(r) // an invalid byte arrives here as U+FFFD
			marks = 0
		}
	}
	return b.String()
}

// plain tells whether s is printable ASCII, as nearly everything is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// lenCells is how many cells s takes, without colours in it: nearly every text
// is ASCII, which takes no look at its characters.
func lenCells(s string) int {
	if plain(s) {
		return len(s)
	}
	return ansi.StringWidth(s)
}

// fit cuts or pads s to exactly w cells.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	n := lenCells(s)
	if n > w {
		s = ansi.Truncate(s, w, "…")
		n = lenCells(s)
	}
	return s + spaces(w-n)
}

// cut takes as much of the front of s as fits w cells, at least one character.
func cut(s string, w int) string {
	out := ansi.Truncate(s, w, "")
	if out == "" {
		out = string([]rune(s)[:min(1, len([]rune(s)))])
	}
	return out
}

// fitRight pads on the left instead.
func fitRight(s string, w int) string {
	if n := lenCells(s); n < w {
		return spaces(w-n) + s
	}
	return fit(s, w)
}

const blank = "                                                                                                                                "

func spaces(n int) string {
	switch {
	case n <= 0:
		return ""
	case n <= len(blank):
		return blank[:n]
	default:
		return strings.Repeat(" ", n)
	}
}

// wrap breaks a text from outside, line by line, into lines of at most w cells.
func wrap(s string, w int) []string {
	if len(s) > longest {
		s = s[:longest]
	}
	var out []string
	for line := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
		line = strings.TrimRight(clean(line), " ")
		out = append(out, fold(line, w)...)
	}
	return out
}

// fold breaks one clean line at its words, or where a word is too long.
func fold(s string, w int) []string {
	var out []string
	for line := range strings.SplitSeq(ansi.Wrap(s, max(w, 1), ""), "\n") {
		if lenCells(line) > w { // Wrap overlooks a space ahead of a long word
			line = ansi.Hardwrap(line, max(w, 2), true)
		}
		out = append(out, strings.Split(line, "\n")...)
	}
	return out
}

// foldAddress breaks what may be an address before its @, so that neither part
// of it is torn where it needn't be.
func foldAddress(s string, w int) []string {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || lenCells(s) <= w || strings.Contains(s, " ") {
		return fold(s, w)
	}
	return append(fold(s[:at], w), fold(s[at:], w)...)
}

// number writes 1234567 as 1,234,567.
func number(n int64) string { return humanize.Comma(n) }

// ago tells how long t is past (or ahead), in at most ten cells.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	if d < 0 {
		if d > -time.Minute {
			return "now"
		}
		return "in " + span(-d)
	}
	if d < time.Minute {
		return "just now"
	}
	return span(d) + " ago"
}

// span is a length of time in its largest unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 2*day:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	case d < 60*day:
		return fmt.Sprintf("%d d", int(d/day))
	case d < 730*day:
		return fmt.Sprintf("%d mo", int(d/(30*day)))
	default:
		return fmt.Sprintf("%d y", int(d/(365*day)))
	}
}

// clock is a span as 1:05 or 1:02:03, for work that is under way.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// exact is a time to the minute, with its zone.
func exact(t time.Time, loc *time.Location) string {
	return t.In(loc).Format("2 Jan 2006 15:04 MST")
}

// text is a value that may not be kept.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return clean(*s)
}

// plural picks the word for n.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}
