package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHistoryEqualsARecount changes counters at random times, with days on
// which nothing happens or nothing runs, and compares every evening with what
// the counters showed then.
func TestHistoryEqualsARecount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		ctx := context.Background()
		s := open(t, dir)
		defer func() { s.Close() }()
		now := time.Date(2026, 2, 27, 22, 0, 0, 0, time.UTC)
		s.SetClock(func() time.Time { return now })
		first := DayOf(now)
		evenings := map[Day]map[string]int64{}
		stands := map[string]int64{}
		for range rapid.IntRange(1, 25).Draw(rt, "acts") {
			later := now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "hours")) * time.Hour)
			for d := DayOf(now); d < DayOf(later); d++ {
				evenings[d] = map[string]int64{}
				for name, n := range stands {
					evenings[d][name] = n
				}
			}
			now = later
			if rapid.Bool().Draw(rt, "restart") {
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = open(t, dir)
				s.SetClock(func() time.Time { return now })
			}
			name := rapid.SampledFrom([]string{"act/asked", "permission/pending", "list/1/subscribed"}).Draw(rt, "name")
			n := int64(rapid.IntRange(-3, 5).Draw(rt, "n"))
			if err := s.InTx(ctx, func(tx *Tx) error { tx.add(name, n); return nil }); err != nil {
				rt.Fatal(err)
			}
			stands[name] += n
		}
		today := DayOf(now)
		evenings[today] = stands
		from := first + Day(rapid.IntRange(0, int(today-first)).Draw(rt, "from"))
		h, err := s.History(ctx, from, today)
		if err != nil {
			rt.Fatal(err)
		}
		for _, name := range []string{"act/asked", "permission/pending", "list/1/subscribed"} {
			for d := from - 1; d <= today; d++ {
				if got, want := h.At(name, d), evenings[d][name]; got != want {
					rt.Errorf("%s on the evening of %s: %d, want %d", name, d.Start().Format(time.DateOnly), got, want)
				}
			}
		}
	})
}

func TestDays(t *testing.T) {
	for at, want := range map[string]string{
		"2026-02-27T23:59:59.999999Z": "2026-02-27", "2026-02-28T00:00:00Z": "2026-02-28",
		"2026-03-01T00:30:00+01:00": "2026-02-28", "1969-12-31T23:59:59Z": "1969-12-31",
	} {
		moment, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := DayOf(moment).Start().Format(time.DateOnly); got != want {
			t.Errorf("%s falls on %s, want %s", at, got, want)
		}
	}
}

// TestPlanOfTheHistory: reading some days never walks through all of them.
func TestPlanOfTheHistory(t *testing.T) {
	s := open(t, t.TempDir())
	plan := planOf(t, context.Background(), s, historyQuery, []any{Day(20000), lastDay})
	for _, step := range plan {
		if strings.HasPrefix(step, "SCAN days") {
			t.Errorf("all days are read: %s", strings.Join(plan, "; "))
		}
	}
}

// TestHistoryNamesNoSource: a source that one person alone came from must not
// stay in the history when they go, and may come again on the same day.
func TestHistoryNamesNoSource(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	for _, n := range []int64{1, -1, 1, -1} {
		if err := s.InTx(ctx, func(tx *Tx) error { tx.count(Confirmed, "from Marie Jensen", Average, n); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := s.get(ctx, []any{&n}, `SELECT COUNT(*) FROM days WHERE name LIKE 'source/%'`); err != nil || n != 0 {
		t.Errorf("%d days name a source, %v", n, err)
	}
}
