// Package sheet writes exports that people open in a spreadsheet program. It
// exists because whoever fills in a web form also fills in the export that
// staff open later: no text of theirs may become a formula there. It may not
// drop or shorten a value without saying so.
//
// Start reading at WriteXLSX and WriteCSV.
package sheet

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Table is one part of an export: a sheet of a workbook, a section of a CSV
// file.
type Table struct {
	Name    string
	Columns []string
	Rows    [][]any // string, int64, time.Time, bool or nil; not wider than Columns
}

// textOf writes a value as text. text tells whether it came as a text, which
// somebody else may have written.
func textOf(value any) (s string, text bool, err error) {
	switch v := value.(type) {
	case nil:
		return "", false, nil
	case string:
		return clean(v), true, nil
	case int64:
		return strconv.FormatInt(v, 10), false, nil
	case bool:
		return strconv.FormatBool(v), false, nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), false, nil
	}
	return "", false, fmt.Errorf("a value of type %T can't be exported", value)
}

// width tells when a row holds more values than the table has columns, which
// would lose them.
func (t Table) width(row int) error {
	if len(t.Rows[row]) > len(t.Columns) {
		return fmt.Errorf("table %q, row %d: %d values for %d columns", t.Name, row+1, len(t.Rows[row]), len(t.Columns))
	}
	return nil
}

// clean replaces by U+FFFD what neither XML 1.0 (section 2.2) nor a terminal
// bears: control characters but tab and line ends, noncharacters, and bytes
// that aren't UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r':
			return r
		case r < ' ', r == 0x7F, r == 0xFFFE, r == 0xFFFF:
			return utf8.RuneError
		}
		return r
	}, s)
}
