package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// TestObjectIsCanonical: what is written field by field is what decoding and
// sorting makes of it, whatever stands in the fields.
func TestObjectIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		var o Object
		o.Text("a", text.Draw(t, "a"))
		o.Int("b", rapid.Int64Range(-exact, exact).Draw(t, "b"))
		o.Ints("c", rapid.SliceOf(rapid.Int64Range(0, 9)).Draw(t, "c"))
		o.Text("d_e", text.Draw(t, "d"))
		dec := json.NewDecoder(bytes.NewReader(o.Bytes()))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%q: %v", o.Bytes(), err)
		}
		again, err := Canonical(v)
		if err != nil || !bytes.Equal(again, o.Bytes()) {
			t.Fatalf("%q comes back as %q (%v)", o.Bytes(), again, err)
		}
	})
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{ "b": [1, true, "x"], "a": {} }`, `{"a":{},"b":[1,true,"x"]}`},
		{`"\u00e6\u2028\u007f<>&\u0001\b\f\n\r\t\"\\\/"`, "\"æ\u2028\u007f<>&\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\""},
		{`9007199254740991`, `9007199254740991`},
		{`9007199254740992`, ""},
		{`1.5`, ""},
		{`1e3`, ""},
		{`-0`, ""},
		{`null`, ""},
		{`{"æ":1}`, ""},
	} {
		dec := json.NewDecoder(strings.NewReader(c.in))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		got, err := Canonical(v)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.in, got, err)
		}
	}
}

// TestFrontier: growing leaf by leaf gives the roots that tlog computes from
// all hashes, the subtrees are tlog's, and a frontier survives being kept.
func TestFrontier(t *testing.T) {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	var f Frontier
	for n := range int64(600) {
		leaf := []byte{byte(n), byte(n >> 8)}
		hashes, err := tlog.StoredHashes(n, leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		f.Add(Hash(leaf), func(level int, number int64, h tlog.Hash) {
			if stored[tlog.StoredHashIndex(level, number)] != h {
				t.Fatalf("subtree %d of level %d is another with %d leaves", number, level, n+1)
			}
		})
		root, err := tlog.TreeHash(n+1, read)
		if err != nil || f.Root() != root {
			t.Fatalf("the root of %d leaves is another (%v)", n+1, err)
		}
		kept, ok := ParseFrontier(f.Size, f.Bytes())
		if !ok || kept.Root() != root {
			t.Fatalf("the frontier of %d leaves was not kept", n+1)
		}
		f = kept
	}
	if _, ok := ParseFrontier(3, make([]byte, 32)); ok {
		t.Error("a frontier of two hashes has one")
	}
}

func TestLeaves(t *testing.T) {
	e, a := Evidence(Digest{1}, Digest{2}), Audit(77, Digest{3})
	got, err := Leaves(append(append(append([]byte{}, e...), a...), e...))
	if err != nil || len(got) != 3 || !bytes.Equal(got[1], a) || !bytes.Equal(got[2], e) || AuditNumber(got[1]) != 77 || AuditNumber(e) != 0 {
		t.Errorf("%x, %v", got, err)
	}
	if SealedOf(e)[0] != 2 || len(SealedOf(e)) != 32 {
		t.Error("the sealed digest is another")
	}
	s := Setback{Audit: 77, Kept: 3, Root: tlog.Hash{4}, Lost: 9, LostTo: tlog.Hash{5}, At: time.UnixMicro(1234567890123456).UTC()}
	got, err = Leaves(append(append([]byte{}, a...), s.Leaf()...))
	if err != nil || len(got) != 2 {
		t.Fatalf("%x, %v", got, err)
	}
	if back, ok := SetbackOf(got[1]); !ok || back != s {
		t.Errorf("%+v comes back as %+v", s, back)
	}
	if _, ok := SetbackOf(a); ok || AuditNumber(s.Leaf()) != 0 {
		t.Error("leaves of different kinds pass for each other")
	}
	for _, bad := range [][]byte{{9}, s.Leaf()[:96], e[:64], append(append([]byte{}, a...), 1)} {
		if _, err := Leaves(bad); !errors.Is(err, ErrLeaves) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func newKey(t *testing.T) *Key {
	t.Helper()
	secret, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCheckpoint(t *testing.T) {
	k, other := newKey(t), newKey(t)
	at := time.Date(2026, 2, 3, 10, 0, 0, 123456789, time.UTC)
	c, err := k.Sign(12, tlog.Hash{5}, at)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verifier(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenCheckpoint(c.Note, v)
	if err != nil || again != c || !again.At.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("%+v, %v", again, err)
	}
	wrong, err := Verifier(other.Public())
	if err != nil {
		t.Fatal(err)
	}
	statement, err := k.State(Digest{1})
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"another size": strings.Replace(c.Note, "\n12\n", "\n13\n", 1), "cut off": c.Note[:40], "nothing": "", "a statement": statement,
	} {
		if _, err := OpenCheckpoint(bad, v); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenCheckpoint(c.Note, wrong); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another's key: %v", err)
	}
	if signed, same := CheckStatement(statement, Digest{1}, v); !signed || !same {
		t.Error("a statement doesn't check")
	}
	if signed, same := CheckStatement(statement, Digest{2}, v); !signed || same {
		t.Error("a statement checks for something else")
	}
	if signed, _ := CheckStatement(c.Note, Digest{1}, wrong); signed {
		t.Error("a statement checks with another's key")
	}
}

func TestSplitNotes(t *testing.T) {
	k := newKey(t)
	var notes []string
	file := ""
	for i := range int64(3) {
		c, err := k.Sign(i+1, tlog.Hash{}, time.Unix(i, 0))
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, c.Note)
		file += c.Note + "\n"
	}
	got, bad := SplitNotes([]byte(file))
	if bad != 0 || len(got) != 3 || got[0] != notes[0] || got[2] != notes[2] {
		t.Errorf("%q, %d bad", got, bad)
	}
	// However it is read, and behind more rubbish than is kept.
	for name, r := range map[string]io.Reader{
		"bytes": iotest.OneByteReader(strings.NewReader(file)), "late end": iotest.DataErrReader(strings.NewReader(file)),
		"rubbish": io.MultiReader(strings.NewReader(strings.Repeat("rubbish\n", longestPiece/3)+"\n\n\n"), strings.NewReader(file)),
	} {
		got = nil
		bad, err := EachNote(r, func(note string) error {
			got = append(got, note)
			return nil
		})
		if err != nil || bad > 1 || !slices.Equal(got, notes) {
			t.Errorf("%s: %q, %d bad, %v", name, got, bad, err)
		}
	}
	for cut := 1; cut < len(notes[0])-1; cut++ {
		got, bad := SplitNotes([]byte(notes[0] + "\n" + notes[1][:cut] + "\n\n\n" + notes[2] + "\n"))
		if len(got) != 2 || got[0] != notes[0] || got[1] != notes[2] || bad != 1 {
			t.Fatalf("cut off after %d: %q, %d bad", cut, got, bad)
		}
		if got, bad = SplitNotes([]byte(notes[0] + "\n" + notes[1][:cut])); len(got) != 1 || bad != 1 {
			t.Fatalf("cut off at the end after %d: %q, %d bad", cut, got, bad)
		}
	}
}

func TestFormTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-62_135_596_800, 253_402_300_799).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		if got, want := FormTime(at), at.UTC().Format(TimeForm); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}
