package intake

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	sheetRows    = 1_048_576 // a workbook's own limits
	sheetColumns = 16_384
)

// sharedTexts are the texts that cells point to by number, end to end.
type sharedTexts struct {
	all  []byte
	ends []int
}

func (s *sharedTexts) at(i int) (string, bool) {
	if i < 0 || i >= len(s.ends) {
		return "", false
	}
	from := 0
	if i > 0 {
		from = s.ends[i-1]
	}
	return string(s.all[from:s.ends[i]]), true
}

// readShared reads the shared texts, without the phonetic hints of Asian text.
func (wb *workbook) readShared(part string) error {
	return wb.each(part, maxShared, func(x *tokens, e xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		text, err := plainText(x)
		if err != nil {
			return err
		}
		wb.shared.all = append(wb.shared.all, text...)
		wb.shared.ends = append(wb.shared.ends, len(wb.shared.all))
		return nil
	})
}

// plainText is the text of a shared or inline string: that of its t elements.
func plainText(x *tokens) (string, error) {
	var text []byte
	for depth, phonetic := 1, 0; depth > 0; {
		tok, err := x.next()
		if errors.Is(err, io.EOF) {
			return "", errDamaged
		}
		if err != nil {
			return "", err
		}
		switch e := tok.(type) {
		case xml.StartElement:
			switch {
			case e.Name.Local == "t" && phonetic == 0:
				if text, err = x.text(text); err != nil {
					return "", err
				}
				continue
			case e.Name.Local == "rPh":
				phonetic++
			}
			depth++
		case xml.EndElement:
			if e.Name.Local == "rPh" {
				phonetic--
			}
			depth--
		}
	}
	return unescape(string(text)), nil
}

// readStyles finds out which cell styles show a number as a date.
func (wb *workbook) readStyles(part string) error {
	formats := map[string]bool{}
	inCells := false
	return wb.each(part, maxPart, func(x *tokens, e xml.StartElement) error {
		switch e.Name.Local {
		case "numFmt":
			formats[attr(e, "numFmtId")] = isDateFormat(attr(e, "formatCode"))
		case "cellStyleXfs", "cellStyles", "dxfs":
			inCells = false
		case "cellXfs":
			inCells = true
		case "xf":
			if id := attr(e, "numFmtId"); inCells {
				custom, known := formats[id]
				wb.dates = append(wb.dates, custom || !known && isDateID(id))
			}
		}
		return nil
	})
}

// isDateID knows the built-in formats: ECMA-376 part 1, 18.8.30, with those of
// East Asian programs.
func isDateID(id string) bool {
	n, err := strconv.Atoi(id)
	return err == nil && (n >= 14 && n <= 22 || n >= 27 && n <= 36 || n >= 45 && n <= 47 || n >= 50 && n <= 58)
}

// isDateFormat finds a day, month, year or hour in a format's code, outside of
// quoted text, escapes and brackets.
func isDateFormat(code string) bool {
	quoted, bracket := false, false
	for i := 0; i < len(code); i++ {
		switch c := code[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\\', c == '_', c == '*':
			i++
		case c == '[':
			bracket = true
		case c == ']':
			bracket = false
		case bracket:
		case c == 'G' && strings.HasPrefix(code[i:], "General"):
			i += len("General") - 1
		case strings.IndexByte("dDmMyYhHsS", c) >= 0:
			return true
		}
	}
	return false
}

// sheetSource reads a sheet's rows as a stream.
type sheetSource struct {
	wb      *workbook
	in      io.ReadCloser
	x       *tokens
	row     int
	inside  bool // in sheetData
	values  []string
	scratch []byte
}

func (s *sheetSource) close() error { return s.in.Close() }

// next implements source.
func (s *sheetSource) next() (record, error) {
	for {
		tok, err := s.x.next()
		if errors.Is(err, io.EOF) {
			err = errDamaged // before sheetData ended: the rest is missing
		}
		if err != nil {
			return record{}, readError(s.row+1, err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			if e.Name.Local == "sheetData" {
				s.inside = true
			} else if e.Name.Local == "row" && s.inside {
				return s.readRow(e)
			}
		case xml.EndElement:
			if e.Name.Local == "sheetData" {
				return record{}, s.drain()
			}
		}
	}
}

// drain reads what follows the rows, so that damage to the packed sheet is
// found by its checksum, and returns io.EOF when there is none.
func (s *sheetSource) drain() error {
	s.inside = false
	if _, err := io.Copy(io.Discard, s.x.src); err != nil {
		return errDamaged
	}
	return io.EOF
}

// readRow reads the cells of a row.
func (s *sheetSource) readRow(e xml.StartElement) (record, error) {
	s.row++
	if n, err := strconv.Atoi(attr(e, "r")); err == nil && n >= s.row {
		s.row = n
	}
	if s.row > sheetRows {
		return record{}, errDamaged
	}
	rec := record{line: s.row}
	s.values = s.values[:0]
	for {
		tok, err := s.x.next()
		if errors.Is(err, io.EOF) {
			err = errDamaged
		}
		if err != nil {
			return record{}, readError(s.row, err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			if e.Name.Local != "c" {
				continue
			}
			problem, err := s.readCell(e)
			if err != nil {
				return record{}, readError(s.row, err)
			}
			if rec.problem == "" {
				rec.problem = problem
			}
		case xml.EndElement:
			if e.Name.Local == "row" {
				rec.values = s.values
				return rec, nil
			}
		}
	}
}

// readCell puts a cell's value where its reference says, or behind the last.
func (s *sheetSource) readCell(e xml.StartElement) (problem string, err error) {
	at := len(s.values)
	kind, style := "", 0
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "r":
			if c := columnOf(a.Value); c > 0 {
				at = c - 1
			}
		case "t":
			kind = a.Value
		case "s":
			style, _ = strconv.Atoi(a.Value) // a damaged style is the plain one
		}
	}
	value, err := s.cellText(kind)
	if err != nil || value == "" {
		return "", err
	}
	if at >= maxColumns {
		return tooWide, nil
	}
	value, problem = s.resolve(value, kind, style)
	for len(s.values) <= at {
		s.values = append(s.values, "")
	}
	s.values[at] = value
	return problem, nil
}

// cellText is what the cell's v or is element holds; formulas are skipped.
func (s *sheetSource) cellText(kind string) (string, error) {
	value := ""
	for depth := 1; ; {
		tok, err := s.x.next()
		if errors.Is(err, io.EOF) {
			err = errDamaged
		}
		if err != nil {
			return "", err
		}
		switch e := tok.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "v":
				if s.scratch, err = s.x.text(s.scratch[:0]); err != nil {
					return "", err
				}
				value = string(s.scratch)
			case "is":
				if value, err = plainText(s.x); err != nil {
					return "", err
				}
			default:
				depth++
			}
		case xml.EndElement:
			if depth--; depth == 0 {
				if kind == "str" {
					value = unescape(value)
				}
				return value, nil
			}
		}
	}
}

// resolve turns a cell's value into the text that the person sees.
func (s *sheetSource) resolve(value, kind string, style int) (text, problem string) {
	switch kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(value))
		if text, ok := s.wb.shared.at(i); ok && err == nil {
			return text, ""
		}
		return "", "a cell points to a text that the workbook doesn't hold"
	case "b":
		return map[string]string{"0": "false", "1": "true"}[value], ""
	case "e":
		return "", "" // a formula's error holds nothing of the person
	case "", "n":
		return s.number(value, style), ""
	}
	return value, "" // inlineStr, str, d (ISO 8601)
}

// number writes a number without a power of ten, and a date as one.
func (s *sheetSource) number(value string, style int) string {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return value
	}
	if style >= 0 && style < len(s.wb.dates) && s.wb.dates[style] {
		if t, fault := fromDays(f, s.wb.from04); fault == "" {
			switch {
			case f < 1:
				return t.Format("15:04:05")
			case f == math.Trunc(f):
				return t.Format("2006-01-02")
			}
			return t.Format("2006-01-02 15:04:05")
		}
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return value
}

// columnOf is the number of the column in a reference such as AB12, or 0.
func columnOf(ref string) int {
	n := 0
	for i := 0; i < len(ref) && ref[i] >= 'A' && ref[i] <= 'Z'; i++ {
		if n = 26*n + int(ref[i]-'A') + 1; n > sheetColumns {
			return 0
		}
	}
	return n
}
