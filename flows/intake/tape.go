package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errTooLong says that the record on the tape outgrew maxRecord.
var errTooLong = errors.New("a record is too long")

// tape is a reader that keeps what it handed out since the mark, so that a
// record that turns out broken can be read again from its second line on, and
// a quote that is never closed can't swallow the file.
type tape struct {
	src  io.Reader
	buf  []byte
	base int64 // offset in the stream of buf[0]
	next int   // place in buf of the next byte to hand out
	mark int64 // offset in the stream before which nothing is needed
	edit func([]byte)
}

// rewrite has every byte of the stream, those on the tape too, go through
// edit, which changes them in place.
func (t *tape) rewrite(edit func([]byte)) {
	edit(t.buf)
	t.edit = edit
}

// Read implements io.Reader. It fails with errTooLong once more than maxRecord
// bytes follow the mark.
func (t *tape) Read(p []byte) (int, error) {
	if t.next == len(t.buf) {
		t.drop()
		if len(t.buf) >= maxRecord {
			return 0, errTooLong
		}
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.buf[t.next:])
	t.next += n
	return n, nil
}

// fill appends a block of the source to buf.
func (t *tape) fill() error {
	const block = 64 << 10
	if cap(t.buf)-len(t.buf) < block {
		grown := make([]byte, len(t.buf), 2*len(t.buf)+block)
		copy(grown, t.buf)
		t.buf = grown
	}
	for range 100 {
		had := len(t.buf)
		n, err := t.src.Read(t.buf[had : had+block])
		t.buf = t.buf[:had+n]
		if n > 0 {
			if t.edit != nil {
				t.edit(t.buf[had:])
			}
			return nil // an error that came along comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// prefill reads up to n bytes ahead without handing them out.
func (t *tape) prefill(n int) error {
	for len(t.buf) < n {
		if err := t.fill(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// drop forgets what lies before the mark.
func (t *tape) drop() {
	cut := min(int(t.mark-t.base), t.next)
	if cut <= 0 {
		return
	}
	t.buf = t.buf[:copy(t.buf, t.buf[cut:])]
	t.base += int64(cut)
	t.next -= cut
}

// firstLine is the first line after the mark that isn't blank, with its
// newline, the offset in the stream behind it, and the number of blank lines
// before it. whole is false when its end isn't on the tape.
func (t *tape) firstLine() (line []byte, end int64, blank int, whole bool) {
	rest := t.buf[t.mark-t.base:]
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return rest, t.base + int64(len(t.buf)), blank, false
		}
		line, rest = rest[:i+1], rest[i+1:]
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			return line, t.base + int64(len(t.buf)-len(rest)), blank, true
		}
		blank++
	}
}

// seek goes back, or on, to an offset that is on the tape.
func (t *tape) seek(offset int64) {
	t.next = int(offset - t.base)
	t.mark = offset
}

// skipLine goes on to the line after the current end of the tape, keeping
// nothing, and returns its offset.
func (t *tape) skipLine() (int64, error) {
	for {
		t.base += int64(len(t.buf))
		t.buf, t.next = t.buf[:0], 0
		if err := t.fill(); err != nil {
			return 0, err
		}
		if i := bytes.IndexByte(t.buf, '\n'); i >= 0 {
			t.seek(t.base + int64(i) + 1)
			return t.mark, nil
		}
	}
}

// readError tells a reader's fault apart from the end of the file.
func readError(line int, err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("read the import file at line %d: %w", line, err)
}
