package intake

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	openQuote = "a quotation mark is opened here and not closed where its field ends"
	tooLong   = "a field longer than 10,000 characters"
	tooWide   = "too many columns"
	longLine  = "a line longer than a megabyte"
)

// csvSource reads delimited text. A broken record costs only its first line:
// reading goes on at the second. That reads no byte more than a few times: the
// quotes of a record's inner lines are even in number, so that none of them
// opens a long record anew.
type csvSource struct {
	tape    *tape
	buf     *bufio.Reader
	csv     *csv.Reader
	comma   rune
	swapped bool  // quotes were exchanged: the file quotes by apostrophes
	width   int   // columns of the header, 0 before it is read
	origin  int64 // offset in the stream where csv began to read
	lines   int   // lines before origin
	after   int   // the line behind the last record
}

func (s *csvSource) close() error { return nil }

// openCSV sniffs quote and delimiter, and reads the header.
func (r *Reader) openCSV(t *tape, enc textEncoding, set settings) error {
	if err := notRows(t.buf); err != nil {
		return err
	}
	d := sniff(t.buf, set)
	if edit := d.rewriting(); edit != nil {
		t.rewrite(edit)
	}
	s := &csvSource{tape: t, comma: d.comma, swapped: d.apostrophes}
	s.buf = bufio.NewReaderSize(t, 32<<10)
	s.lines = d.skipLines
	s.restart(d.skipBytes)
	rec, err := s.next()
	if errors.Is(err, io.EOF) {
		return errors.New("the file holds no line of column names")
	}
	if err != nil {
		return err
	}
	if rec.problem != "" {
		return fmt.Errorf("line %d, which should hold the column names: %s", rec.line, rec.problem)
	}
	if r.head, err = newHeader(trimTail(rec.values), set); err != nil {
		return err
	}
	s.width = len(r.head.columns)
	r.src = s
	r.format = "CSV, " + d.name() + ", " + enc.name
	return nil
}

// restart reads on at an offset that is on the tape.
func (s *csvSource) restart(offset int64) {
	s.origin = offset
	s.tape.seek(offset)
	s.buf.Reset(s.tape)
	s.csv = csv.NewReader(s.buf)
	s.csv.Comma = s.comma
	s.csv.FieldsPerRecord = -1 // widths are judged in next
	s.csv.ReuseRecord = true
}

// next implements source.
func (s *csvSource) next() (record, error) {
	s.tape.mark = s.origin + s.csv.InputOffset()
	values, err := s.csv.Read()
	if err != nil {
		return s.recover(err)
	}
	first, _ := s.csv.FieldPos(0)
	last, _ := s.csv.FieldPos(len(values) - 1)
	last += strings.Count(values[len(values)-1], "\n")
	s.after = s.lines + last + 1
	rec := record{line: s.lines + first, values: values}
	if s.swapped {
		swapBack(values)
	}
	if s.width == 0 { // the header sets it
		return rec, nil
	}
	wide := len(values) > s.width && len(trimTail(values)) > s.width
	if last > first && (wide || len(values) < s.width || hasLong(values)) {
		// Several lines of the wrong shape are lines swallowed by a quote.
		return s.resume(rec.line), nil
	}
	if wide {
		rec.problem = tooWide
	}
	return rec, nil
}

// hasLong tells whether a value may be longer than is taken.
func hasLong(values []string) bool {
	for _, v := range values {
		if len(v) > maxField {
			return true
		}
	}
	return false
}

// recover turns a record that can't be parsed into an invalid line and goes on
// behind it, or ends the reading.
func (s *csvSource) recover(err error) (record, error) {
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse) && parse.Line > parse.StartLine:
		return s.resume(s.lines + parse.StartLine), nil
	case errors.As(err, &parse):
		line := s.lines + parse.StartLine
		s.after = line + 1
		if errors.Is(err, csv.ErrBareQuote) {
			return s.lazily(line), nil
		}
		return record{line: line, problem: openQuote}, nil
	case errors.Is(err, errTooLong):
		return s.resumeLong()
	}
	return record{}, readError(s.after, err)
}

// lazily reads the line on the tape once more, taking quotes inside an
// unquoted value for what they are, unless one of them is alone.
func (s *csvSource) lazily(line int) record {
	raw, _, _, _ := s.tape.firstLine()
	if bytes.Count(raw, []byte{'"'})%2 != 0 {
		return record{line: line, problem: openQuote}
	}
	c := csv.NewReader(bytes.NewReader(raw))
	c.Comma, c.LazyQuotes, c.FieldsPerRecord = s.comma, true, -1
	values, err := c.Read()
	if err != nil {
		return record{line: line, problem: openQuote}
	}
	if s.swapped {
		swapBack(values)
	}
	return record{line: line, values: values}
}

// resume makes the line that the record begins in invalid, and reads on at the
// line behind it.
func (s *csvSource) resume(line int) record {
	_, end, _, whole := s.tape.firstLine()
	if !whole { // the quote was opened on the last line
		return record{line: line, problem: openQuote}
	}
	s.restart(end)
	s.lines, s.after = line, line+1
	return record{line: line, problem: openQuote}
}

// resumeLong goes on behind a line that is too long, or at the second line of
// a record that is.
func (s *csvSource) resumeLong() (record, error) {
	_, _, blank, whole := s.tape.firstLine()
	line := s.after + blank
	if whole {
		return s.resume(line), nil
	}
	offset, err := s.tape.skipLine()
	if errors.Is(err, io.EOF) {
		s.restart(s.tape.base)
	} else if err != nil {
		return record{}, readError(line, err)
	} else {
		s.restart(offset)
	}
	s.lines, s.after = line, line+1
	return record{line: line, problem: longLine}, nil
}

// trimTail leaves out the empty values at the end: spreadsheet programs write
// separators for columns that hold nothing.
func trimTail(values []string) []string {
	for len(values) > 0 && trim(values[len(values)-1]) == "" {
		values = values[:len(values)-1]
	}
	return values
}
