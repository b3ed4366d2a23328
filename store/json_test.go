package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestJSON: what is written field by field before it is sealed reads like what
// encoding/json writes, whatever stands in the fields.
func TestJSON(t *testing.T) {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(0, 3000), func(n int) string { return strings.Repeat("æ", n) }))
	rapid.Check(t, func(t *rapid.T) {
		one := func(what string) string { return text.Draw(t, what) }
		p := Person{
			Email: one("email"), Mobile: one("mobile"), FirstName: one("first name"), LastName: one("last name"),
			Language: one("language"), Country: one("country"), City: one("city"),
		}
		for range rapid.IntRange(0, 40).Draw(t, "own fields") {
			p.Own = append(p.Own, OwnField{one("name"), one("value")})
		}
		reads[Person](t, p.json(new(room)), p)
		a := EvidenceAct{
			IP: one("ip"), UserAgent: one("user agent"), Notice: one("notice"), MessageID: one("message id"), List: one("list"), By: one("by"), Note: one("note"),
			Handed: Handed{Micros(rapid.Int64().Draw(t, "at")), one("server"), one("reply"), one("digest")},
			Kept:   rapid.SliceOf(rapid.Int64()).Draw(t, "kept"),
		}
		if rapid.Bool().Draw(t, "not handed over") {
			a.Handed = Handed{}
		}
		const before = "before"
		got := a.json(append(new(room)[:0], before...))
		if !strings.HasPrefix(string(got), before) {
			t.Fatal("what stood before it is gone")
		}
		reads[EvidenceAct](t, got[len(before):], a)
	})
}

func reads[T any](t *rapid.T, got []byte, v T) {
	t.Helper()
	want, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var a, b T
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Fatalf("it reads otherwise:\n%s", diff)
	}
}
