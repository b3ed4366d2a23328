package tui

import (
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"pgregory.net/rapid"
)

// TestBehaviourByWeek: the card explains its rating over a chart with numbers,
// a narrow screen has fewer weeks, and there is no chart of nothing.
func TestBehaviourByWeek(t *testing.T) {
	c := start(t, few(), 80, 60).keys("/1040", "enter")
	c.wants("VIP: 33 opens and 2 clicks in the last 8 weeks", "22 Dec 2025", "this week", "all  most a week")
	wide := strings.Count(c.screen(), "▁") + strings.Count(c.screen(), "·")
	c = start(t, few(), 60, 80).keys("/1040", "enter").wants("this week", "MailRating").lacks("22 Dec 2025")
	if narrow := strings.Count(c.screen(), "▁") + strings.Count(c.screen(), "·"); narrow >= wide {
		t.Errorf("60 columns show %d quiet weeks, 80 show %d", narrow, wide)
	}
	start(t, few(), 80, 60).keys("/1011", "enter").wants("no open and no click").lacks("most a week")
	start(t, few(), 80, 60).keys("/1006", "enter").wants("Tombstone").lacks("MailRating")
}

// TestBars: as many cells as asked for, something never looks like nothing,
// and the most reaches the top.
func TestBars(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<62), 1, 30).Draw(rt, "values")
		most := int64(0)
		for _, n := range values {
			most = max(most, n)
		}
		cell, rows := rapid.IntRange(1, 4).Draw(rt, "cell"), rapid.IntRange(1, 3).Draw(rt, "rows")
		lines := newTheme(true, 0).bars(values, most, cell, rows, lipgloss.NewStyle())
		for i, n := range values {
			for _, l := range lines {
				if w := lipgloss.Width(l); w != cell*len(values) {
					rt.Fatalf("%d cells, want %d: %q", w, cell*len(values), l)
				}
			}
			top, foot := []rune(lines[0])[i*cell], []rune(lines[rows-1])[i*cell]
			if (n == 0) != (foot == '·') {
				rt.Fatalf("%d of %d stands on %q", n, most, foot)
			}
			if n == most && n > 0 && top != '▇' {
				rt.Fatalf("the most ends in %q", top)
			}
		}
	})
}

func TestSpark(t *testing.T) {
	for _, c := range []struct {
		values []int64
		w      int
		want   string
	}{
		{nil, 8, ""},
		{[]int64{5, 5, 5}, 8, "▁▁▁"},
		{[]int64{1000, 1001, 1007}, 8, "▁▁▇"},
		{[]int64{1, 2, 3, 4, 5, 6, 7, 8}, 4, "▁▃▅▇"},
		{[]int64{1, 2}, 0, ""},
	} {
		if got := spark(c.values, c.w); got != c.want {
			t.Errorf("spark(%v, %d) = %q, want %q", c.values, c.w, got, c.want)
		}
	}
}
