// Package intake reads the files that contacts are imported from: CSV with
// whatever delimiter and encoding it came in, Excel workbooks and JSON lines.
// It exists because such files come from every country's spreadsheet program
// and from people who wish us ill, and neither may stop an import half-way or
// slip a line past it unseen.
//
// It may not decide anything about a contact: whether an address is known,
// refused or even well formed is for package flows. It keeps one record in
// memory, whatever the size of the file, and writes nothing to disk, since an
// import file is all personal data. Its errors and problems name lines and
// columns, never a value.
//
// Start reading at Open, then Reader.Next.
package intake

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Limits on one line; a file may hold any number of them.
const (
	maxRecord  = 1 << 20 // bytes of one record: a quote left open is found out by it
	maxField   = 10_000  // characters of one value
	maxColumns = 1_000
)

// Options settle what the file leaves open.
type Options struct {
	// Map sends a column, by its header in any case, to a field: one of the
	// names of Fields, "ignore", or any other name, which makes it one of the
	// company's own fields.
	Map map[string]string

	words *vocabulary // nil: people
}

// Column is one column of the file and where its values go.
type Column struct {
	Header string
	Field  string // a name of Fields, "ignore", or the own field's name
	Own    bool   // one of the company's own fields
}

// Field is the value of one of the company's own fields.
type Field struct{ Name, Value string }

// Row is one line of the file. When Problem is set, the values are empty. Any
// value may be missing, the address too.
type Row struct {
	Line    int    // the line in the file where the record begins (XLSX: the sheet's row), from 1
	Problem string // why the line is invalid, never holding a value; "" when it is not

	Email, Mobile, FirstName, LastName, Language, Country, City, Source, Rating string

	SignedUpAt, ConfirmedAt, LastActivityAt time.Time  // UTC; zero when absent
	SignedUpIP, ConfirmedIP                 netip.Addr // invalid when absent
	Opens, Clicks, Updates                  int64

	Own []Field // in column order, without empty values; reused by the next call of Next

	Event // of files of activity only
}

// record is a line as a format's source hands it over: the values in the
// order of the columns, missing ones at the end left out.
type record struct {
	line    int
	values  []string
	problem string
}

// source reads one format. It reuses the slice in the records that it returns.
type source interface {
	next() (record, error) // io.EOF at the end
	close() error
}

// Reader reads the rows of one file. It serves one goroutine; Progress alone
// may be called from others.
type Reader struct {
	file   io.Closer
	src    source
	head   *header
	format string
	done   atomic.Int64
	total  int64
}

// Open finds out format, encoding, delimiter and columns of a file from its
// content, and stands before the first row. Its errors are whole sentences for
// the person who imports.
func Open(path string, o Options) (*Reader, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	r, err := open(f, size, o, time.Now())
	if err != nil {
		f.Close()
		return nil, err
	}
	r.file = f
	return r, nil
}

// openFile opens a plain file, and says in words what else was named.
func openFile(path string) (*os.File, int64, error) {
	if path == "-" {
		return nil, 0, errors.New("an import reads a file, not standard input: name a file")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, 0, fmt.Errorf("there is no file %q", path)
	case err != nil:
		return nil, 0, fmt.Errorf("look at the import file: %w", err)
	case info.IsDir():
		return nil, 0, fmt.Errorf("%q is a directory: name a file in it", path)
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("%q is not a plain file: copy its content to a file and import that", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("open the import file: %w", err)
	}
	return f, info.Size(), nil
}

// open is Open on anything that can be read at any place.
func open(at io.ReaderAt, size int64, o Options, now time.Time) (*Reader, error) {
	r := &Reader{total: size}
	head := make([]byte, min(size, sniffBytes))
	if _, err := at.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the import file: %w", err)
	}
	kind, err := kindOf(head)
	if err != nil {
		return nil, err
	}
	set := settings{words: o.words, given: o.Map, now: now}
	if set.words == nil {
		set.words = people
	}
	if kind == kindXLSX {
		err = r.openXLSX(at, size, set)
	} else {
		err = r.openText(at, size, head, set)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// openText reads CSV and JSON lines, which share their encodings.
func (r *Reader) openText(at io.ReaderAt, size int64, head []byte, set settings) error {
	enc, err := findEncoding(at, size, head)
	if err != nil {
		return err
	}
	text := enc.decode(&counter{src: io.NewSectionReader(at, enc.skip, size-enc.skip), n: &r.done})
	t := &tape{src: text}
	if err := t.prefill(sniffBytes); err != nil {
		return fmt.Errorf("read the import file: %w", err)
	}
	if isJSON(t.buf) {
		return r.openJSON(t, enc, set)
	}
	return r.openCSV(t, enc, set)
}

// Columns are the file's columns, in its order. Columns of JSON lines that
// turn up later in the file are added when they do.
func (r *Reader) Columns() []Column {
	out := make([]Column, len(r.head.columns))
	for i, c := range r.head.columns {
		out[i] = c.Column
	}
	return out
}

// Format says what the file was taken for, such as
// "CSV, semicolon, Windows-1252".
func (r *Reader) Format() string { return r.format }

// Progress tells how many bytes of how many are read (of a workbook, bytes of
// the sheet). It may be called from any goroutine.
func (r *Reader) Progress() (done, total int64) { return r.done.Load(), r.total }

// Close closes the file.
func (r *Reader) Close() error {
	err := r.src.close()
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
	}
	return err
}

// Next reads the next line that holds anything into row, or returns io.EOF. A
// line that can't be used is a row with its Problem; an error means that no
// further line can be read. The strings of a row stay valid after the call.
func (r *Reader) Next(row *Row) error {
	for {
		rec, err := r.src.next()
		if err != nil {
			return err
		}
		*row = Row{Line: rec.line, Own: row.Own[:0]}
		problem, empty := rec.problem, false
		if problem == "" {
			problem, empty = r.fill(row, rec.values)
		}
		if problem != "" {
			*row = Row{Line: rec.line, Problem: problem, Own: row.Own[:0]}
			return nil
		}
		if !empty {
			return nil
		}
	}
}

// fill puts the values of a record where their columns belong.
func (r *Reader) fill(row *Row, values []string) (problem string, empty bool) {
	empty = true
	for i, v := range values {
		if v = trim(v); v == "" {
			continue
		}
		empty = false
		if i >= len(r.head.columns) {
			return tooWide, false
		}
		if len(v) > maxField && utf8.RuneCountInString(v) > maxField {
			return tooLong, false
		}
		if !utf8.ValidString(v) {
			return "not valid UTF-8", false
		}
		c := &r.head.columns[i]
		if c.Own {
			row.Own = append(row.Own, Field{c.Field, v})
		} else if problem := c.set(row, v); problem != "" {
			return problem, false
		}
	}
	return "", empty
}

// counter counts the bytes that pass.
type counter struct {
	src io.Reader
	n   *atomic.Int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n.Add(int64(n))
	return n, err
}
