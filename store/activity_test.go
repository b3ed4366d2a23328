package store

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestWeeks(t *testing.T) {
	for day, want := range map[string]string{
		"2026-03-01": "2026-02-23", "2026-03-02": "2026-03-02", "2026-03-08": "2026-03-02", "1970-01-01": "1969-12-29", "1969-12-28": "1969-12-22",
	} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		w := WeekOf(at.Add(23 * time.Hour))
		if got := w.Start(); got.Format(time.DateOnly) != want || got.Weekday() != time.Monday {
			t.Errorf("%s lies in the week of %s, want %s", day, got, want)
		}
	}
}

// TestPlanOfRatings: the clock finds who is to be rated anew along an index.
func TestPlanOfRatings(t *testing.T) {
	s := open(t, t.TempDir())
	plan := planOf(t, context.Background(), s, ratingsDue, []any{At(time.Now()), 500})
	if len(plan) != 1 || !strings.HasPrefix(plan[0], "SEARCH") || !strings.Contains(plan[0], "contacts_rate") {
		t.Errorf("the plan is %q", plan)
	}
}

func TestActivityFileIsTakenOnce(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	key := []byte("a file")
	advance := func(from, to int64, want bool) {
		t.Helper()
		var got bool
		if err := s.InTx(ctx, func(tx *Tx) (err error) {
			got, err = tx.AdvanceActivity(ctx, key, 7, from, to)
			return err
		}); err != nil || got != want {
			t.Errorf("from %d to %d: %v, %v", from, to, got, err)
		}
	}
	advance(10, 20, false)
	advance(0, 10, true)
	advance(0, 10, false)
	advance(10, 25, true)
	if started, line, whole, err := s.ActivityTaken(ctx, key); started != 7 || line != 25 || whole || err != nil {
		t.Errorf("taken to %d, whole %v, %v", line, whole, err)
	}
	advance(25, 0, true)
	if _, _, whole, err := s.ActivityTaken(ctx, key); !whole || err != nil {
		t.Errorf("whole %v, %v", whole, err)
	}
	advance(25, 30, false)
	advance(0, 30, false)
	var bare int
	if err := s.get(ctx, []any{&bare}, `SELECT COUNT(*) FROM imports WHERE file_key = ?`, key); err != nil || bare != 0 {
		t.Errorf("the file's own hash is kept: %d, %v", bare, err)
	}
}
