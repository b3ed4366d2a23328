package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

const (
	scanBlock  = 1 << 20
	scanBytes  = 256 << 20 // looked through at most for the first letter beyond ASCII
	scanEnough = 1_000     // letters beyond ASCII that settle the encoding
)

// textEncoding is how a text file's bytes become UTF-8.
type textEncoding struct {
	name string
	skip int64 // bytes of the byte order mark
	from encoding.Encoding
}

// decode wraps a reader that stands behind the byte order mark.
func (e textEncoding) decode(r io.Reader) io.Reader {
	if e.from == nil {
		return r
	}
	return e.from.NewDecoder().Reader(r)
}

// findEncoding decides by the byte order mark, then by the zero bytes of
// UTF-16, then by whether the bytes beyond ASCII make UTF-8. What else the
// spreadsheet programs of Northern Europe write is Windows-1252.
func findEncoding(at io.ReaderAt, size int64, head []byte) (textEncoding, error) {
	little := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	big := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	var e textEncoding
	switch wide := zeros(head); {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return textEncoding{name: "UTF-8", skip: 3}, nil
	case bytes.HasPrefix(head, []byte("\xFF\xFE")):
		e = textEncoding{name: "UTF-16", skip: 2, from: little}
	case bytes.HasPrefix(head, []byte("\xFE\xFF")):
		e = textEncoding{name: "UTF-16 (big-endian)", skip: 2, from: big}
	case wide == littleZeros:
		e = textEncoding{name: "UTF-16", from: little}
	case wide == bigZeros:
		e = textEncoding{name: "UTF-16 (big-endian)", from: big}
	case wide == binaryZeros:
		return e, errors.New("this is not a text file: import CSV, XLSX or JSON lines")
	default:
		return scanEncoding(at, size)
	}
	if size%2 != 0 {
		return e, errors.New("the file is written in UTF-16 but has an odd number of bytes, so it was cut short or damaged: export it again")
	}
	return e, nil
}

// pattern is where the zero bytes of a text lie.
type pattern int

const (
	fewZeros pattern = iota
	littleZeros
	bigZeros
	binaryZeros
)

// zeros looks for the plain pattern of Latin text in UTF-16, in which every
// second byte is zero.
func zeros(head []byte) pattern {
	head = head[:min(len(head), 4096)]
	var at [2]int
	for i, b := range head {
		if b == 0 {
			at[i&1]++
		}
	}
	half := len(head) / 2
	switch {
	case at[0]+at[1] <= len(head)/20:
		return fewZeros
	case at[1] > half*2/3 && at[0] <= half/20:
		return littleZeros
	case at[0] > half*2/3 && at[1] <= half/20:
		return bigZeros
	}
	return binaryZeros
}

// scanEncoding looks at the bytes beyond ASCII, as a stream, until enough of
// them are seen. One damaged line does not turn a UTF-8 file into
// Windows-1252: it becomes an invalid line.
func scanEncoding(at io.ReaderAt, size int64) (textEncoding, error) {
	r := io.NewSectionReader(at, 0, min(size, scanBytes))
	buf := make([]byte, min(size, scanBlock)+utf8.UTFMax)
	good, bad, held := 0, 0, 0
	for good+bad < scanEnough {
		n, err := io.ReadFull(r, buf[held:])
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return textEncoding{}, fmt.Errorf("read the import file: %w", err)
		}
		g, b, rest := countBeyondASCII(buf[:held+n], last)
		good, bad = good+g, bad+b
		if last {
			break
		}
		held = copy(buf, rest)
	}
	if bad > good {
		return textEncoding{name: "Windows-1252", from: charmap.Windows1252}, nil
	}
	return textEncoding{name: "UTF-8"}, nil
}

// countBeyondASCII counts sequences that are UTF-8 and bytes that are not.
// Unless the block is the last, a sequence cut by its end is handed back.
func countBeyondASCII(b []byte, last bool) (good, bad int, rest []byte) {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[asciiRun(b):]
			continue
		}
		if !last && !utf8.FullRune(b) {
			return good, bad, b
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		b = b[n:]
	}
	return good, bad, nil
}

// asciiRun is the length of the ASCII at the beginning of b.
func asciiRun(b []byte) int {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return len(b)
}
