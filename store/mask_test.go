package store

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"marie.jensen@example.dk": "mar**.******@example.dk",
		"info@example.com":        "i***@exam***.com",
		"a@b.dk":                  "*@*.dk",
		"+4520123456":             "+4520****56",
	} {
		if got := Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskProperties(t *testing.T) {
	label := rapid.StringMatching(`[a-z0-9æøå]([a-z0-9-]{0,20}[a-z0-9])?`)
	address := rapid.Custom(func(t *rapid.T) string {
		local := rapid.StringMatching("[a-z0-9!#$%&'*+/=?^_{|}~-]{1,12}(\\.[a-zåäö0-9]{1,12}){0,3}").Draw(t, "local")
		domain := strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
		return local + "@" + domain + ".dk"
	})
	rapid.Check(t, func(t *rapid.T) {
		s := address.Draw(t, "address")
		a, err := ParseAddress(s)
		if err != nil {
			t.Skip("not an address")
		}
		c, m := a.Canonical(), a.Masked()
		n := utf8.RuneCountInString(c) - strings.Count(c, "@") - strings.Count(c, ".")
		if got, want := strings.Count(m, "*"), (2*n+4)/5; got != want {
			t.Fatalf("%q -> %q: %d asterisks, want %d", c, m, got, want)
		}
		if utf8.RuneCountInString(m) != utf8.RuneCountInString(c) {
			t.Fatalf("%q -> %q: another length", c, m)
		}
		local, _, _ := strings.Cut(m, "@")
		if !strings.Contains(local, "*") {
			t.Fatalf("%q -> %q: a whole local part shows", c, m)
		}
	})
}

func TestMaskNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := "+" + rapid.StringMatching(`[1-9][0-9]{5,14}`).Draw(t, "number")
		m := Mask(s)
		if got, want := strings.Count(m, "*"), (2*(len(s)-1)+4)/5; got != want || len(m) != len(s) {
			t.Fatalf("%q -> %q: %d asterisks, want %d", s, m, got, want)
		}
		if m[len(m)-2:] != s[len(s)-2:] {
			t.Fatalf("%q -> %q: the last two digits don't show", s, m)
		}
	})
}
