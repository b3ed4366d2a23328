package tui

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"kartotek/flows"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "marie@example.dk", "marie@example.dk"},
		{"Nordic", "Søren Åkerblom-Müller ß", "Søren Åkerblom-Müller ß"},
		{"escape", "\x1b[31mred\x1b]0;title\x07", "[31mred]0;title"},
		{"C1", "a\u009b31mb", "a31mb"},
		{"line breaks", "a\r\nBcc: b\tc\u2028d", "a Bcc: b c d"},
		{"bidi", "a\u202ecba\u202c\u2066x\u2069\u200f\u061c", "acbax"},
		{"joiners and selectors", "👨\u200d👩\u200d👧 ❤\ufe0f a\u200bb\ufeff", "👨👩👧 ❤ ab"},
		{"invalid UTF-8", "a\xffb", "a\ufffdb"},
		{"many marks", "e\u0301\u0301\u0301\u0301\u0301x", "e\u0301\u0301\u0301x"},
	} {
		if got := clean(c.in); got != c.want {
			t.Errorf("%s: clean(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "Søren", evil, "\x1b]8;;http://x\x07y", "宝\u0301宝", "👩🏽‍🚀🇩🇰", strings.Repeat("\u0301", 9)} {
		f.Add(s, 12)
	}
	f.Fuzz(func(t *testing.T, s string, w int) {
		w = max(1, min(w, 200))
		got := clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("clean(%q) = %q is no UTF-8", s, got)
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cc, unicode.Cf) || r == '\u2028' {
				t.Fatalf("clean(%q) = %q lets %U through", s, got, r)
			}
		}
		if again := clean(got); again != got {
			t.Fatalf("clean twice: %q, then %q", got, again)
		}
		if n := ansi.StringWidth(fit(got, w)); n != w {
			t.Fatalf("fit(%q, %d) is %d cells wide", got, w, n)
		}
		for _, l := range wrap(s, w) {
			if n := ansi.StringWidth(l); n > max(w, 2) {
				t.Fatalf("wrap(%q, %d) has the line %q of %d cells", s, w, l, n)
			}
		}
	})
}

func TestAgo(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "just now"},
		{59 * time.Second, "just now"},
		{time.Minute, "1 min ago"},
		{59 * time.Minute, "59 min ago"},
		{47 * time.Hour, "47 h ago"},
		{48 * time.Hour, "2 d ago"},
		{59 * 24 * time.Hour, "59 d ago"},
		{700 * 24 * time.Hour, "23 mo ago"},
		{800 * 24 * time.Hour, "2 y ago"},
		{-30 * time.Second, "now"},
		{-7 * 24 * time.Hour, "in 7 d"},
	} {
		if got := ago(today.Add(-c.d), today); got != c.want {
			t.Errorf("%v: %q, want %q", c.d, got, c.want)
		}
	}
}

// TestFoldAddress: a masked address that is too long for its place is torn
// before its @ first, and only elsewhere where a part alone is too long.
func TestFoldAddress(t *testing.T) {
	for _, c := range []struct {
		in   string
		w    int
		want []string
	}{
		{"mar**.******@example.dk", 30, []string{"mar**.******@example.dk"}},
		{"sig**.*****@xn--grn-ioa.example", 24, []string{"sig**.*****", "@xn--grn-ioa.example"}},
		{"m@mmmmmmmm.dk", 8, []string{"m", "@mmmmmmm", "m.dk"}},
		{"two words @ once", 10, []string{"two words", "@ once"}},
		{"@@", 1, []string{"@", "@"}},
	} {
		if diff := cmp.Diff(c.want, foldAddress(c.in, c.w)); diff != "" {
			t.Errorf("%q in %d cells: %s", c.in, c.w, diff)
		}
	}
}

// TestLongListNames: however long a list's name, since when somebody is on it fits.
func TestLongListNames(t *testing.T) {
	sh := start(t, &fakeDesk{n: 1}, 80, 24).contacts().sh
	c := flows.Card{Lists: []flows.OnList{{List: strings.Repeat("東京 and on ", 20), Status: "unsubscribed", Since: today.Add(-11 * time.Minute)}}}
	for _, w := range []int{80, 100, 140} {
		for _, line := range (view{sh: sh, w: w, now: today}).lists(c) {
			if n := ansi.StringWidth(line); n > w-2 {
				t.Errorf("%d cells of %d: %q", n, w, ansi.Strip(line))
			}
		}
	}
}
