package letters

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/flows/lang"
)

// blocks names the blocks of wording that a language has.
func blocks(t *testing.T, tag lang.Tag) []string {
	t.Helper()
	lib, err := templates()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, block := range lib.wording[tag].Templates() {
		if !strings.HasSuffix(block.Name(), ".tmpl") {
			names = append(names, block.Name())
		}
	}
	slices.Sort(names)
	return names
}

// Words that are common in English and are none in the other three.
var english = regexp.MustCompile(`(?i)\b(the|this|you|your|and|with|that|please|address|list “|confirm|mail from|until|by)\b`)

func TestEveryLanguageSaysEverything(t *testing.T) {
	data := struct{ List, ShortList, Company, Until string }{"NEWS", "NEWS", "ACME", "NOON"}
	say := func(tag lang.Tag, block string) string {
		got, err := say(tag, block, data)
		if err != nil {
			t.Fatalf("%s: %v", tag, err)
		}
		return got
	}
	all := blocks(t, lang.English)
	for _, tag := range lang.All() {
		if diff := cmp.Diff(all, blocks(t, tag)); diff != "" {
			t.Fatalf("%s has not the blocks of English (-en +%s):\n%s", tag, tag, diff)
		}
		for _, block := range all {
			got, want := say(tag, block), say(lang.English, block)
			if got == "" {
				t.Errorf("%s says nothing for %s", tag, block)
			}
			for _, value := range []string{"NEWS", "ACME", "NOON"} {
				if strings.Count(got, value) != strings.Count(want, value) {
					t.Errorf("%s: %s doesn't name %s as often as English does: %q", tag, block, value, got)
				}
			}
			if tag == lang.English {
				continue
			}
			if got == want || english.MatchString(got) {
				t.Errorf("%s: %s has English in it: %q", tag, block, got)
			}
		}
	}
}

func TestDefaultNotice(t *testing.T) {
	for _, tag := range lang.All() {
		notice := DefaultNotice(tag, "News\r\n\u202eevil", "Nordlys")
		if got := paragraphs(notice); len(got) != 4 || slices.ContainsFunc(got, func(p []string) bool { return len(p) != 1 }) {
			t.Errorf("%s: not four paragraphs of a line: %q", tag, got)
		}
		if !strings.Contains(notice, "News evil") || strings.Count(notice, "Nordlys") != 2 || !strings.Contains(notice, "IP") {
			t.Errorf("%s: list, company or proof is missing: %q", tag, notice)
		}
		if unnamed := DefaultNotice(tag, "News", " \n"); strings.Contains(unnamed, "  ") || strings.Contains(unnamed, " ,") {
			t.Errorf("%s: hole where the company was: %q", tag, unnamed)
		}
	}
	if DefaultNotice("fr", "News", "Nordlys") != DefaultNotice(lang.English, "News", "Nordlys") {
		t.Error("an unknown language isn't English")
	}
}

func TestShorten(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"short", "News", "News"},
		{"just fits", "123456789012", "123456789012"},
		{"one word", "1234567890123", "12345678901…"},
		{"at a word", "12345 7890 23", "12345 7890…"},
		{"no word near the end", "123 567890123", "123 5678901…"},
		{"combining mark stays with its letter", "1234567890e\u0301x", "1234567890…"},
		{"joined emoji stays whole", "123456789👩\u200d👧x", "123456789…"},
		{"nothing but marks", strings.Repeat("\u0301", 20), "…"},
	}
	for _, tt := range tests {
		if got := shorten(tt.in, 12); got != tt.want {
			t.Errorf("%s: shorten(%q) = %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("x", 100)
	text := strings.Repeat("word ", 40)
	got := wrap("short\n\n" + text + "\n> " + text + "\n" + long + "\n> " + long + "\n>\n")
	words := 0
	for line := range strings.Lines(got) {
		line = strings.TrimSuffix(line, "\n")
		if n := len(line); n > maxColumns && line != long && line != "> "+long {
			t.Errorf("%d columns: %q", n, line)
		}
		words += strings.Count(line, "word")
		if strings.HasPrefix(line, "> ") && strings.Contains(line, "word") {
			words += 1000 * strings.Count(line, "word")
		}
	}
	if words != 80+40_000 {
		t.Errorf("words or quotation marks lost:\n%s", got)
	}
}

func TestViewIsClean(t *testing.T) {
	c := Confirmation{
		Purpose: SignUp, List: "a\r\n\x1b[31mb\u2066c https://x.example", Notice: "1\r\n2\r\r3\u20284\u0085\n5\x00",
		Expires: time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("A\r\nB", 0)),
	}
	v := c.view()
	if want := "a [31mbc https: //x.example"; v.List != want {
		t.Errorf("list %q, want %q", v.List, want)
	}
	if diff := cmp.Diff([][]string{{"1", "2"}, {"3", "4", "5"}}, v.Notice); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
	if strings.ContainsAny(v.Until, "\r\n") {
		t.Errorf("until %q", v.Until)
	}
}
