package intake

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJSONLines(t *testing.T) {
	content := `{"E-Mail":"a@example.org","first_name":"Ann\nLee","opens":3,"tags":["x", "y"],"none":null,"vip":true}
 {"e-mail":"b@example.org"}

{"E-Mail":"c@example.org","shop":"Ø","Mobil":"+4520123456"}
{"E-Mail":"d@example.org","first_name":["x"]}
{"E-Mail":"e@example.org"
{"E-Mail":"f@example.org","E-Mail":"g@example.org"}
"text"
{"E-Mail":"h@example.org"} {"E-Mail":"i@example.org"}
{"E-Mail":"j@example.org","shop":"` + "\xFF" + `"}
{"E-Mail":"k@example.org","signed_up_at":"2024-01-31"}`
	content = strings.Replace(content, `"e-mail":"b`, `"E-Mail":"b`, 1)
	r, rows := read(t, content, Options{})
	if r.Format() != "JSON lines, UTF-8" {
		t.Error(r.Format())
	}
	want := []Row{
		{Line: 1, Email: "a@example.org", FirstName: "Ann Lee", Opens: 3, Own: []Field{{"tags", `["x","y"]`}, {"vip", "true"}}},
		{Line: 2, Email: "b@example.org"},
		{Line: 4, Email: "c@example.org", Mobile: "+4520123456", Own: []Field{{"shop", "Ø"}}},
		{Line: 5, Problem: "first_name holds a list or an object instead of one value"},
		{Line: 6, Problem: notJSON},
		{Line: 7, Problem: "a key is written twice"},
		{Line: 8, Problem: notJSON},
		{Line: 9, Problem: notJSON},
		{Line: 10, Problem: "not valid UTF-8"},
		{Line: 11, Email: "k@example.org", SignedUpAt: day(2024, 1, 31)},
	}
	if diff := cmp.Diff(want, rows, rowsEqual); diff != "" {
		t.Error(diff)
	}
}

// Keys that turn up behind the part that was sniffed become columns then.
func TestJSONLateKeys(t *testing.T) {
	content := strings.Repeat(`{"email":"a@example.org"}`+"\n", 5_000) +
		`{"email":"b@example.org","first_name":"Bo","note":"x"}` + "\n" +
		`{"email":"c@example.org","e-mail":"d@example.org"}` + "\n" +
		`{"email":"` + strings.Repeat("x", 2*maxRecord) + `"}` + "\n" + `{"email":"e@example.org"}`
	r, rows := read(t, content, Options{})
	want := []Row{
		{Line: 5001, Email: "b@example.org", FirstName: "Bo", Own: []Field{{"note", "x"}}},
		{Line: 5002, Problem: "two keys hold the field email"},
		{Line: 5003, Problem: "a line longer than a megabyte"},
		{Line: 5004, Email: "e@example.org"},
	}
	if diff := cmp.Diff(want, rows[5000:], rowsEqual); diff != "" {
		t.Error(diff)
	}
	if len(r.Columns()) != 3 {
		t.Errorf("columns %v", r.Columns())
	}
}
