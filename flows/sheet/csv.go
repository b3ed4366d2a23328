package sheet

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// byteOrderMark makes Excel read a CSV file as UTF-8.
const byteOrderMark = "\uFEFF"

// WriteCSV writes all tables into one CSV file that programs and people can
// read: a byte order mark, then one value per line, as
//
//	section,row,field,value
//
// The section is the table's name, rows are counted from 1 in each, the field
// is the column. Values that are nil are left out; a table without a value
// appears as a line with row 0 and no field. Times are RFC 3339 in UTC. A text
// that a spreadsheet program would take for a formula gets a leading
// apostrophe; Unguard takes it off again. Texts of any length are kept whole.
func WriteCSV(w io.Writer, tables []Table) error {
	buf := bufio.NewWriter(w)
	if _, err := buf.WriteString(byteOrderMark); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	out := csv.NewWriter(buf)
	if err := out.Write([]string{"section", "row", "field", "value"}); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	for _, t := range tables {
		if err := writeSection(out, t); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

// writeSection writes the values of a table.
func writeSection(out *csv.Writer, t Table) error {
	section := Guard(clean(t.Name))
	empty := true
	for i, row := range t.Rows {
		if err := t.width(i); err != nil {
			return err
		}
		for j, value := range row {
			if value == nil {
				continue
			}
			empty = false
			s, text, err := textOf(value)
			if err != nil {
				return fmt.Errorf("table %q, row %d, column %q: %w", t.Name, i+1, t.Columns[j], err)
			}
			if text {
				s = Guard(s)
			}
			if err := out.Write([]string{section, strconv.Itoa(i + 1), Guard(clean(t.Columns[j])), s}); err != nil {
				return err
			}
		}
	}
	if empty {
		return out.Write([]string{section, "0", "", ""})
	}
	return nil
}

// Guard puts an apostrophe before a text that a spreadsheet program would take
// for a formula, and before one that already looks guarded, so that Unguard
// gives back exactly what was there.
func Guard(s string) string {
	if startsFormula(strings.TrimLeft(s, "'")) {
		return "'" + s
	}
	return s
}

// Unguard undoes Guard.
func Unguard(s string) string {
	if strings.HasPrefix(s, "'") && startsFormula(strings.TrimLeft(s, "'")) {
		return s[1:]
	}
	return s
}

// startsFormula knows the beginnings that OWASP's page on CSV injection names,
// also behind spaces and characters that don't show.
func startsFormula(s string) bool {
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch r {
		case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
			return true
		}
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) {
			return false
		}
		s = s[n:]
	}
	return false
}
