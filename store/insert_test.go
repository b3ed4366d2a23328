package store

import "testing"

// TestAmong: a range stands for ids that follow each other, and for no others.
func TestAmong(t *testing.T) {
	for _, c := range []struct {
		ids  []any
		want string
	}{
		{[]any{int64(7)}, " BETWEEN ? AND ?"},
		{[]any{int64(7), int64(8), int64(9)}, " BETWEEN ? AND ?"},
		{[]any{int64(7), int64(9)}, " IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{[]any{int64(8), int64(7)}, " IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{[]any{int64(7), int64(7), int64(9)}, " IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
	} {
		got, args := among(c.ids)
		if got != c.want || args[0] != c.ids[0] || args[len(args)-1] != c.ids[len(c.ids)-1] {
			t.Errorf("%v: %s with %v", c.ids, got, args)
		}
	}
}
