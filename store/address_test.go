package store

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		" Marie.Jensen+Shop@Example.DK ":        "marie.jensen+shop@example.dk",
		"info@BØGER.dk":                         "info@xn--bger-gra.dk",
		"Ju\u0308rgen@example.de":               "jürgen@example.de",
		"a@xn--bger-gra.dk":                     "a@xn--bger-gra.dk",
		"o'neil@example.com":                    "o'neil@example.com",
		"":                                      "",
		"marie":                                 "",
		"@example.dk":                           "",
		"marie@":                                "",
		"marie@example":                         "",
		"marie jensen@example.dk":               "",
		"a..b@example.dk":                       "",
		".a@example.dk":                         "",
		"a@exa mple.dk":                         "",
		"a@-example.dk":                         "",
		"a\r\nRCPT TO:<b@example.dk>@x.dk":      "",
		"a@b.dk> SIZE=1":                        "",
		"\u202egnp@example.dk":                  "",
		"a\x00@example.dk":                      "",
		"a\xff@example.dk":                      "",
		strings.Repeat("a", 65) + "@x.dk":       "",
		"a@" + strings.Repeat("b.", 130) + "dk": "",
		"%@example.dk":                          "%@example.dk",
	} {
		a, err := ParseAddress(in)
		if a.Canonical() != want || (err == nil) != (want != "") {
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", in, a.Canonical(), err, want)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for in, want := range map[string]string{
		"+45 20 12 34 56":    "+4520123456",
		"004520123456":       "+4520123456",
		"+44 7700 900123":    "+447700900123",
		"20123456":           "",
		"+45":                "",
		"+45201234567890123": "",
		"marie":              "",
	} {
		a, err := ParseNumber(in)
		if a.Canonical() != want || (err == nil) != (want != "") {
			t.Errorf("ParseNumber(%q) = %q, %v; want %q", in, a.Canonical(), err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("Marie@Example.dk")
	f.Add("ü@ß.de")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		b, err := ParseAddress(a.Canonical())
		if err != nil || a != b {
			t.Fatalf("%q: canonical form %q is not its own: %q, %v", s, a.Canonical(), b.Canonical(), err)
		}
		if strings.ContainsAny(a.Canonical(), "\r\n\x00<> ") {
			t.Fatalf("%q: passes %q", s, a.Canonical())
		}
	})
}
