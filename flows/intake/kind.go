package intake

import (
	"bytes"
	"errors"
)

// sniffBytes is how much of a file's beginning decides on format and delimiter.
const sniffBytes = 64 << 10

type kind int

const (
	kindText kind = iota
	kindXLSX
)

// binaries are beginnings of files that hold no rows we can read, with what
// the person should do instead.
var binaries = []struct {
	magic, advice string
}{
	{"\xD0\xCF\x11\xE0", "this is an old Excel workbook (.xls) or one locked by a password: save it as .xlsx without a password, or as CSV"},
	{"\x1F\x8B", "this file is compressed (gzip): unpack it and import what is inside"},
	{"BZh", "this file is compressed (bzip2): unpack it and import what is inside"},
	{"\xFD7zXZ", "this file is compressed (xz): unpack it and import what is inside"},
	{"7z\xBC\xAF", "this file is compressed (7z): unpack it and import what is inside"},
	{"\x28\xB5\x2F\xFD", "this file is compressed (zstd): unpack it and import what is inside"},
	{"%PDF", "this is a PDF: import CSV, XLSX or JSON lines"},
	{"SQLite format 3\x00", "this is a database: import CSV, XLSX or JSON lines"},
	{"\xFF\xFE\x00\x00", "this file is written in UTF-32: save it as UTF-8"},
	{"\x00\x00\xFE\xFF", "this file is written in UTF-32: save it as UTF-8"},
}

// kindOf tells a workbook from text by its first bytes, and refuses the rest.
func kindOf(head []byte) (kind, error) {
	if len(head) == 0 {
		return 0, errors.New("the file is empty")
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return kindXLSX, nil
	}
	for _, b := range binaries {
		if bytes.HasPrefix(head, []byte(b.magic)) {
			return 0, errors.New(b.advice)
		}
	}
	return kindText, nil
}

// isJSON tells JSON lines from CSV: no header begins with a brace.
func isJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

// notRows refuses decoded text that is neither CSV nor JSON lines.
func notRows(text []byte) error {
	text = bytes.TrimLeft(text, " \t\r\n")
	switch {
	case len(text) == 0:
		return errors.New("the file holds nothing but blank lines")
	case text[0] == '[':
		return errors.New("this is one JSON array: write one object per line (JSON lines) and no brackets around them")
	case text[0] == '<':
		return errors.New("this is an HTML or XML page, whatever its name ends in: save it as .xlsx or CSV")
	}
	return nil
}
