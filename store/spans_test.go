package store

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSpans packs ids and reads them again, and asks for each.
func TestSpans(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set := map[int64]bool{}
		var ids []any
		for _, id := range rapid.SliceOf(rapid.Int64Range(1, 400)).Draw(rt, "ids") {
			set[id] = true
		}
		for id := range int64(500) {
			if set[id] {
				ids = append(ids, id)
			}
		}
		s := spansOf(ids)
		got, err := parseSpans(s.bytes())
		if err != nil || !slices.Equal(got, s) {
			rt.Fatalf("%v became %v, %v", s, got, err)
		}
		if !slices.Equal(s.ids(), ids) || s.size() != len(ids) {
			rt.Fatalf("%v of %v", s, ids)
		}
		f := leases{{id: 1, letters: s}}.finder()
		for id := range int64(500) {
			if found := f.of(id, 0) != nil; found != set[id] {
				rt.Fatalf("%v has %d: %v", s, id, found)
			}
		}
	})
}

// FuzzSpans reads what is no lease's letters: an error, and no memory.
func FuzzSpans(f *testing.F) {
	f.Add([]byte{1, 1, 2, 200, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSpans(text)
		if err != nil {
			return
		}
		if s.size() > maxLeased {
			t.Fatalf("%d letters", s.size())
		}
		at := int64(0)
		for _, x := range s {
			if x.first <= at || x.last < x.first {
				t.Fatalf("%v", s)
			}
			at = x.last
		}
	})
}

// TestFinder asks many leases, whose letters lie among each other's, as each
// lease by itself would answer.
func TestFinder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all leases
		for i := range rapid.IntRange(0, 12).Draw(rt, "leases") {
			set := rapid.SliceOfNDistinct(rapid.Int64Range(1, 60), 0, 20, rapid.ID).Draw(rt, "letters")
			slices.Sort(set)
			var ids []any
			for _, id := range set {
				ids = append(ids, id)
			}
			all = append(all, lease{id: int64(i + 1), letters: spansOf(ids)})
		}
		f := all.finder()
		for range 50 {
			id, last := rapid.Int64Range(0, 62).Draw(rt, "letter"), rapid.Int64Range(0, 13).Draw(rt, "last lease")
			in := func(l lease) bool { return l.id > last && slices.Contains(l.letters.ids(), any(id)) }
			if got := f.of(id, last); got == nil && slices.ContainsFunc(all, in) || got != nil && !in(*got) {
				rt.Fatalf("letter %d, which left %d: %v of %v", id, last, got, all)
			}
		}
	})
}
