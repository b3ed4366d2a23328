package intake

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzCSV reads any text below a header: it ends, and its lines go up.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b,c\n", "\"a\nb\",\"c\n", "a,\"b\"\"\n\n\r\n,x\"y\n", "\xff\x00,1/2/2020\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		drive(t, append([]byte("email,signed_up_at,name\n"), body...))
	})
}

// FuzzOpen opens anything.
func FuzzOpen(f *testing.F) {
	for _, s := range []string{"email;x\na;b\n", `{"email":"a","b":[1]}`, "\xff\xfee\x00m\x00a\x00i\x00l\x00", "'email'|'b'\n'a'", "sep=,\nemail\n", "PK\x03\x04"} {
		f.Add([]byte(s))
	}
	f.Add(workbookBytes(f))
	f.Fuzz(drive)
}

// drive reads content to its end or its error.
func drive(t *testing.T, content []byte) {
	r, err := open(bytes.NewReader(content), int64(len(content)), Options{}, day(2026, 1, 1))
	if err != nil {
		return
	}
	defer r.Close()
	var row Row
	last := 0
	for {
		if err := r.Next(&row); err != nil {
			return
		}
		if row.Line <= last || row.Line > max(len(content), sheetRows) {
			t.Fatalf("line %d follows line %d", row.Line, last)
		}
		last = row.Line
		if strings.ContainsAny(row.Email+row.Mobile, "\r\n\x00") || strings.ContainsAny(row.FirstName, "\r\n\t") {
			t.Fatalf("a line break got through: %+v", row)
		}
	}
}
