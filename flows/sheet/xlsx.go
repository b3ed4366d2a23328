package sheet

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Excel's limits: "Excel specifications and limits", Microsoft.
const (
	cellUnits    = 32_767 // UTF-16 units of a text
	sheetUnits   = 31     // UTF-16 units of a sheet's name
	sheetRows    = 1_048_576
	sheetColumns = 16_384
	exactInt     = 999_999_999_999_999 // integers beyond lose digits
)

// WriteXLSX writes a workbook with one sheet per table, the names of the
// columns in bold in its first row. Every text is a typed text cell, and
// formatted as text, so that it stays one when somebody edits it: there is no
// formula in the workbook. Times are text, RFC 3339 in UTC.
//
// A text longer than Excel's 32,767 characters goes on in the same column of
// continuation rows right below, whose other cells are empty. Names of sheets
// are brought under Excel's rules, which may shorten them; a table that exceeds
// a sheet is an error. The workbook is put together in memory, but for sheets
// of more than 16 MB, which excelize keeps in a temporary file meanwhile.
func WriteXLSX(w io.Writer, tables []Table) (err error) {
	if len(tables) == 0 {
		return errors.New("write XLSX: a workbook needs a table")
	}
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	b := &book{file: f, taken: map[string]bool{}}
	if err := b.styles(); err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	for i, t := range tables {
		if err := b.add(i, t); err != nil {
			return fmt.Errorf("write XLSX: table %q: %w", t.Name, err)
		}
	}
	if err := f.SetDocProps(&excelize.DocProperties{Creator: "Kartotek", LastModifiedBy: "Kartotek"}); err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	if err := f.Write(w); err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	return nil
}

// book is a workbook in the making.
type book struct {
	file       *excelize.File
	bold, text int // styles
	taken      map[string]bool
}

func (b *book) styles() (err error) {
	const asText = 49 // the built-in format "@"
	if b.bold, err = b.file.NewStyle(&excelize.Style{NumFmt: asText, Font: &excelize.Font{Bold: true}}); err != nil {
		return err
	}
	b.text, err = b.file.NewStyle(&excelize.Style{NumFmt: asText, Alignment: &excelize.Alignment{Vertical: "top"}})
	return err
}

// add writes a table as the i-th sheet.
func (b *book) add(i int, t Table) error {
	if len(t.Columns) > sheetColumns {
		return fmt.Errorf("%d columns, and a sheet holds %d: export as JSON or CSV", len(t.Columns), sheetColumns)
	}
	name := b.sheetName(t.Name)
	if i == 0 {
		if err := b.file.SetSheetName(b.file.GetSheetName(0), name); err != nil {
			return err
		}
	} else if _, err := b.file.NewSheet(name); err != nil {
		return err
	}
	sw, err := b.file.NewStreamWriter(name)
	if err != nil {
		return err
	}
	if err := b.header(sw, t); err != nil {
		return err
	}
	s := &sheetWriter{book: b, sw: sw, row: 1}
	header := make([]any, len(t.Columns))
	for j, c := range t.Columns {
		header[j] = c
	}
	if err := s.write(header, b.bold); err != nil {
		return err
	}
	for r, row := range t.Rows {
		if err := t.width(r); err != nil {
			return err
		}
		if err := s.write(row, b.text); err != nil {
			return fmt.Errorf("row %d: %w", r+1, err)
		}
	}
	return sw.Flush()
}

// header sets what has to stand before a sheet's rows.
func (b *book) header(sw *excelize.StreamWriter, t Table) error {
	if len(t.Columns) == 0 {
		return nil
	}
	if err := sw.SetColWidth(1, len(t.Columns), 24); err != nil {
		return err
	}
	return sw.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
}

// sheetWriter writes rows one below the other.
type sheetWriter struct {
	*book
	sw  *excelize.StreamWriter
	row int
}

// write writes one row of a table, and as many continuation rows as its longest
// text needs.
func (s *sheetWriter) write(values []any, style int) error {
	rest := make([]string, len(values))
	cells := make([]any, len(values))
	for j, v := range values {
		var err error
		if cells[j], rest[j], err = cell(v, style); err != nil {
			return err
		}
	}
	for {
		if err := s.put(cells); err != nil {
			return err
		}
		more := false
		for j, r := range rest {
			cells[j] = nil
			if r != "" {
				more = true
				cells[j], rest[j] = textCell(r, style)
			}
		}
		if !more {
			return nil
		}
	}
}

// put writes one row of the sheet.
func (s *sheetWriter) put(cells []any) error {
	if s.row > sheetRows {
		return fmt.Errorf("more rows than the %d of a sheet: export as JSON or CSV", sheetRows)
	}
	at, err := excelize.CoordinatesToCellName(1, s.row)
	if err != nil {
		return err
	}
	s.row++
	return s.sw.SetRow(at, cells)
}

// cell makes a value a cell. rest is the part of a text that goes into
// continuation rows.
func cell(value any, style int) (c any, rest string, err error) {
	switch v := value.(type) {
	case bool:
		return v, "", nil
	case int64:
		if v >= -exactInt && v <= exactInt {
			return v, "", nil
		}
	}
	s, _, err := textOf(value)
	if err != nil || s == "" {
		return nil, "", err
	}
	c, rest = textCell(s, style)
	return c, rest, nil
}

// textCell makes a text that isn't empty a cell, as far as it fits.
func textCell(s string, style int) (c any, rest string) {
	units := 0
	for i, r := range s {
		units += utf16.RuneLen(r)
		if units > cellUnits {
			s, rest = s[:i], s[i:]
			break
		}
	}
	return excelize.Cell{StyleID: style, Value: s}, rest
}

// sheetName brings a name under Excel's rules: 1 to 31 characters, none of
// : \ / ? * [ ], no apostrophe at the ends, not "History", each name once
// whatever its case.
func (b *book) sheetName(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:\/?*[]`, r) || r < ' ' || r == utf8.RuneError {
			return '_'
		}
		return r
	}, clean(name))
	base := strings.Trim(name, "' ")
	if base == "" {
		base = "Sheet"
	}
	if strings.EqualFold(base, "history") {
		base += "_"
	}
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf(" (%d)", n)
		}
		candidate := strings.TrimRight(firstUnits(base, sheetUnits-len(suffix)), "' ") + suffix
		if key := strings.ToLower(candidate); !b.taken[key] {
			b.taken[key] = true
			return candidate
		}
	}
}

// firstUnits is as much of s as fits into a number of UTF-16 units.
func firstUnits(s string, units int) string {
	for i, r := range s {
		if units -= utf16.RuneLen(r); units < 0 {
			return s[:i]
		}
	}
	return s
}
