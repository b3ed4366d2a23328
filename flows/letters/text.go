package letters

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const zeroWidthJoiner = '\u200d'

// maxColumns is the length in characters that lines of text are broken at.
const maxColumns = 76

// clean makes s valid UTF-8 without control characters (they become spaces)
// and without invisible formatting ones, the bidirectional among them, which
// could make a text read otherwise than it says. Joiners stay, since several
// scripts and emoji need them.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case r == zeroWidthJoiner, r == '\u200c':
			return r
		case unicode.Is(unicode.Cf, r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// oneLine cleans s and joins it to a single line with single spaces.
func oneLine(s string) string {
	return strings.Join(strings.Fields(clean(s)), " ")
}

// label cleans a name. A name that mail programs would show as a link stops
// being one, so that a letter links to its own page only.
func label(s string) string {
	return strings.ReplaceAll(oneLine(s), "://", ": //")
}

// unixLines ends every line of s with LF alone.
func unixLines(s string) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
}

// paragraphs splits s at blank lines into paragraphs of clean lines.
func paragraphs(s string) [][]string {
	var all [][]string
	var current []string
	for line := range strings.SplitSeq(unixLines(s)+"\n", "\n") {
		if line = oneLine(line); line != "" {
			current = append(current, line)
		} else if current != nil {
			all = append(all, current)
			current = nil
		}
	}
	if current != nil {
		all = append(all, current)
	}
	return all
}

// shorten cuts s to at most limit characters, the last of them an ellipsis,
// after a word if one ends in the last third and never inside a combined
// character.
func shorten(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	cut := limit - 1
	for i := cut; i > limit*2/3; i-- {
		if runes[i] == ' ' {
			cut = i
			break
		}
	}
	for cut > 0 && (unicode.IsMark(runes[cut]) || runes[cut] == zeroWidthJoiner || runes[cut-1] == zeroWidthJoiner) {
		cut--
	}
	return strings.TrimRight(string(runes[:cut]), " ") + "…"
}

// wrap breaks the lines of s at spaces to at most maxColumns characters. A word
// longer than that, such as a link, keeps a line to itself; what continues a
// quotation is marked as one.
func wrap(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		prefix := ""
		if rest, quoted := strings.CutPrefix(line, "> "); quoted {
			prefix, line = "> ", rest
		}
		b.WriteString(prefix)
		column := len(prefix)
		for i, word := range strings.Split(line, " ") {
			width := utf8.RuneCountInString(word)
			if i > 0 && column+1+width > maxColumns {
				b.WriteString("\n" + prefix)
				column = len(prefix)
			} else if i > 0 {
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += width
		}
		b.WriteByte('\n')
	}
	return b.String()
}
