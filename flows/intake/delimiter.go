package intake

import (
	"bytes"
	"strings"
)

// dialect is how a CSV file separates and quotes its values.
type dialect struct {
	comma       rune
	apostrophes bool // values are quoted by ' instead of "
	oldLines    bool // lines end in a lone carriage return
	skipBytes   int64
	skipLines   int // of a first line "sep=;", which Excel writes and obeys
}

var delimiters = []struct {
	comma rune
	name  string
}{{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}, {'|', "pipe"}}

func (d dialect) name() string {
	for _, c := range delimiters {
		if c.comma == d.comma {
			return c.name
		}
	}
	return string(d.comma)
}

// rewriting turns the dialect's line ends and quotes into those that
// encoding/csv knows, or is nil. Apostrophes and quotation marks change
// places, which swapBack undoes in the values.
func (d dialect) rewriting() func([]byte) {
	if !d.oldLines && !d.apostrophes {
		return nil
	}
	return func(b []byte) {
		for i, c := range b {
			switch {
			case d.oldLines && c == '\r':
				b[i] = '\n'
			case d.apostrophes && c == '\'':
				b[i] = '"'
			case d.apostrophes && c == '"':
				b[i] = '\''
			}
		}
	}
}

func swapBack(values []string) {
	for i, v := range values {
		if strings.ContainsAny(v, `'"`) {
			values[i] = swapper.Replace(v)
		}
	}
}

var swapper = strings.NewReplacer(`'`, `"`, `"`, `'`)

// sniff finds the dialect from the beginning of a file. The delimiter is the
// one by which the header holds the most columns that we know; if that doesn't
// tell, the one by which the first records agree with the header.
func sniff(text []byte, set settings) dialect {
	var d dialect
	d.oldLines = bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') >= 0
	if d.oldLines {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	if line, _, ok := bytes.Cut(text, []byte("\n")); ok {
		if line = bytes.TrimRight(line, "\r"); len(line) == 5 && bytes.EqualFold(line[:4], []byte("sep=")) {
			for _, c := range delimiters {
				if rune(line[4]) == c.comma {
					d.comma, d.skipLines, d.skipBytes = c.comma, 1, int64(bytes.IndexByte(text, '\n')+1)
					text = text[d.skipBytes:]
				}
			}
		}
	}
	header := bytes.TrimLeft(text, " \t\r\n")
	quote := byte('"')
	if len(header) > 0 && header[0] == '\'' && bytes.Count(header[:lineEnd(header)], []byte{'\''})%2 == 0 {
		d.apostrophes, quote = true, '\''
	}
	if d.comma != 0 {
		return d
	}
	var best score
	for _, c := range delimiters {
		if s := rate(text, byte(c.comma), quote, set); d.comma == 0 || best.less(s) {
			best, d.comma = s, c.comma
		}
	}
	return d
}

func lineEnd(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i
	}
	return len(b)
}

// score is how well a delimiter explains the beginning of a file.
type score struct {
	known   int // columns of the header that we know
	agree   int // of 100 records, those as wide as the header
	columns int
}

func (s score) less(o score) bool {
	if s.known != o.known {
		return s.known < o.known
	}
	if (s.columns > 1) != (o.columns > 1) {
		return o.columns > 1
	}
	if s.agree != o.agree {
		return s.agree < o.agree
	}
	return s.columns < o.columns
}

// rate splits the first records by one delimiter.
func rate(text []byte, comma, quote byte, set settings) score {
	const records = 50
	var s score
	same, all := 0, 0
	for all < records && len(text) > 0 {
		var values []string
		whole := false
		values, text, whole = split(text, comma, quote)
		if len(values) == 1 && strings.TrimSpace(values[0]) == "" {
			continue
		}
		if s.columns == 0 {
			s.columns = len(values)
			s.known = knownColumns(values, set)
			continue
		}
		if !whole {
			break // cut by the end of what was read
		}
		all++
		if len(values) == s.columns {
			same++
		}
	}
	if all > 0 {
		s.agree = 100 * same / all
	}
	return s
}

// split takes one record off text, leniently. whole is false when the text
// ended before the record did.
func split(text []byte, comma, quote byte) (values []string, rest []byte, whole bool) {
	var value []byte
	quoted := false
	for i, c := range text {
		switch {
		case c == quote && (quoted || len(value) == 0):
			quoted = !quoted
		case quoted:
			value = append(value, c)
		case c == comma:
			values, value = append(values, string(value)), value[:0]
		case c == '\n':
			return append(values, strings.TrimRight(string(value), "\r")), text[i+1:], true
		default:
			value = append(value, c)
		}
	}
	return append(values, string(value)), nil, false
}
