package intake

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An unclosed quote costs its own line only, and line numbers stay right.
func TestQuotes(t *testing.T) {
	lines := func(rows []Row) string {
		var b strings.Builder
		for _, r := range rows {
			if r.Problem != "" {
				fmt.Fprintf(&b, "%d! ", r.Line)
			} else {
				fmt.Fprintf(&b, "%d:%s ", r.Line, r.Email)
			}
		}
		return strings.TrimSpace(b.String())
	}
	var long strings.Builder
	long.WriteString("email,name\n\na,\"open\n")
	for range 200_000 {
		long.WriteString("b,name\n")
	}
	for name, c := range map[string]struct{ content, want string }{
		"multi-line":       {"email,name\na,\"x\ny\"\n\n\nb,z\n", "2:a 6:b"},
		"to the end":       {"email,name\na,\"x\nb,y\nc,z\n", "2! 3:b 4:c"},
		"on the last line": {"email,name\na,x\nb,\"y", "2:a 3!"},
		"met by the next":  {"email,name\na,\"x\nb,\"y\"\nc,z\n", "2! 3:b 4:c"},
		"swallows columns": {"email,name,no\na,\"x\nb,y,2\nc,\"z\"\"\nd,w,3\n\"\ne,v,4\n", "2! 3:b 4! 5:d 6! 7:e"},
		"empty columns":    {"email,name,,\na,\"x\ny\",,\nb,z,,\n", "2:a 4:b"},
		"blank lines":      {"\n\nemail,name\n\n\na,\"x\n\nb,y\n", "6! 8:b"},
		"sep line":         {"sep=;\nemail;name\na;\"x,y\"\n", "3:a"},
		"apostrophes":      {"'email';'name'\n'a';'O''Hara; \"x\"'\n", "2:a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, rows := read(t, c.content, Options{})
			if got := lines(rows); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	_, rows := read(t, long.String(), Options{})
	if len(rows) != 200_001 || rows[0].Problem != openQuote || rows[0].Line != 3 || rows[200_000].Line != 200_003 {
		t.Errorf("%d rows, the first %+v", len(rows), rows[0])
	}
	_, rows = read(t, "'email';'name'\n'a';'O''Hara; \"x\"'\n", Options{})
	if want := []Field{{"name", `O'Hara; "x"`}}; !cmp.Equal(rows[0].Own, want) {
		t.Errorf("got %v, want %v", rows[0].Own, want)
	}
}

// However many quotes are left open, each line is told of.
func TestQuotesEverywhere(t *testing.T) {
	_, rows := read(t, "email,name\n"+strings.Repeat("a,\"x\n", 100_000), Options{})
	if n := len(rows); n != 100_000 || rows[n-1].Line != n+1 || rows[n-1].Problem != openQuote {
		t.Errorf("%d rows, the last %+v", n, rows[n-1])
	}
}

func TestLongLine(t *testing.T) {
	long := strings.Repeat("x", 3*maxRecord)
	for name, c := range map[string]struct {
		content string
		want    []Row
	}{
		"within":      {"email,name\na," + long + "\nb\n", []Row{{Line: 2, Problem: longLine}, {Line: 3, Email: "b"}}},
		"at the end":  {"email,name\na\nb," + long, []Row{{Line: 2, Email: "a"}, {Line: 3, Problem: longLine}}},
		"blank ahead": {"email,name\na\n\n\nb," + long, []Row{{Line: 2, Email: "a"}, {Line: 5, Problem: longLine}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, rows := read(t, c.content, Options{})
			if diff := cmp.Diff(c.want, rows, rowsEqual); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// However long the file, no more than a block or two of it is kept.
func TestFlatMemory(t *testing.T) {
	line := "marie.jensen@example.dk,Marie\n"
	at := &endless{head: "email,first_name\n", line: line}
	r, err := open(at, int64(len(at.head)+500_000*len(line)), Options{}, day(2026, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(readAll(t, r)); n != 500_000 {
		t.Errorf("%d rows", n)
	}
	if kept := cap(r.src.(*csvSource).tape.buf); kept > 512<<10 {
		t.Errorf("%d bytes kept", kept)
	}
}

// endless is a file of one line, over and over, that is nowhere as a whole.
type endless struct{ head, line string }

// ReadAt implements io.ReaderAt.
func (e *endless) ReadAt(p []byte, at int64) (n int, err error) {
	if at < int64(len(e.head)) {
		n = copy(p, e.head[at:])
	}
	for n < len(p) {
		place := (int(at) + n - len(e.head)) % len(e.line)
		n += copy(p[n:], e.line[place:])
	}
	return n, nil
}
