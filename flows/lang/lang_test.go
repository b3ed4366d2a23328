package lang_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kartotek/flows/lang"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want lang.Tag
		ok   bool
	}{
		{"en", lang.English, true},
		{"da", lang.Danish, true},
		{"DA", lang.Danish, true},
		{"da-DK", lang.Danish, true},
		{"sv-FI", lang.Swedish, true},
		{"de-CH-1996", lang.German, true},
		{"en-Latn-GB-x-private", lang.English, true},
		{"", lang.English, false},
		{"dansk", lang.English, false},
		{"nb", lang.English, false},
		{"und-DK", lang.English, false},
		{"da\r\nSet-Cookie: a=b", lang.English, false},
		{"<script>", lang.English, false},
		{strings.Repeat("da-", 10_000) + "DK", lang.English, false},
	}
	for _, tt := range tests {
		got, ok := lang.Parse(tt.in)
		if got != tt.want || ok != tt.ok {
			t.Errorf("Parse(%.40q) = %q, %v; want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestNegotiate(t *testing.T) {
	tests := []struct {
		name, query, accept string
		want                lang.Tag
	}{
		{"nothing asked", "", "", lang.English},
		{"query wins", "sv", "da", lang.Swedish},
		{"query with region", "de-AT", "da", lang.German},
		{"query not ours", "fr", "da", lang.Danish},
		{"query malformed", "d%a", "sv", lang.Swedish},
		{"browser's list", "", "da-DK,da;q=0.9,en-US;q=0.8,en;q=0.7", lang.Danish},
		{"weights decide", "", "en;q=0.2, de;q=0.9", lang.German},
		{"first known", "", "fr-FR, sv;q=0.5", lang.Swedish},
		{"zero weight is a no", "", "da;q=0, sv;q=0.1", lang.Swedish},
		{"Norwegian reads Danish", "", "nb-NO, nb;q=0.9", lang.Danish},
		{"none known", "", "fr, ja;q=0.5", lang.English},
		{"any", "", "*", lang.English},
		{"malformed", "", "da;q=zwölf", lang.English},
		{"very long", "", strings.Repeat("da,", 100_000), lang.English},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lang.Negotiate(tt.query, tt.accept); got != tt.want {
				t.Errorf("Negotiate(%.40q, %.40q) = %q, want %q", tt.query, tt.accept, got, tt.want)
			}
		})
	}
}

func TestFormatTime(t *testing.T) {
	morning := time.Date(2026, 2, 3, 10, 11, 59, 0, time.UTC)
	summer := time.Date(2026, 8, 31, 0, 5, 0, 0, time.FixedZone("CEST", 2*3600))
	unnamed := time.Date(2026, 3, 1, 23, 0, 0, 0, time.FixedZone("", -3*3600))
	tests := []struct {
		tag  lang.Tag
		at   time.Time
		want string
	}{
		{lang.English, morning, "3 February 2026, 10:11 UTC"},
		{lang.Danish, morning, "3. februar 2026 kl. 10.11 UTC"},
		{lang.Swedish, morning, "3 februari 2026 kl. 10:11 UTC"},
		{lang.German, morning, "3. Februar 2026, 10:11 Uhr UTC"},
		{lang.English, summer, "31 August 2026, 00:05 CEST"},
		{lang.Danish, summer, "31. august 2026 kl. 00.05 CEST"},
		{lang.Swedish, summer, "31 augusti 2026 kl. 00:05 CEST"},
		{lang.German, summer, "31. August 2026, 00:05 Uhr CEST"},
		{lang.German, unnamed, "1. März 2026, 23:00 Uhr -0300"},
		{lang.Tag("xx"), morning, "3 February 2026, 10:11 UTC"},
	}
	for _, tt := range tests {
		if got := tt.tag.FormatTime(tt.at); got != tt.want {
			t.Errorf("%q.FormatTime = %q, want %q", tt.tag, got, tt.want)
		}
	}
}

// Every language names its twelve months differently from each other.
func TestMonthsAreComplete(t *testing.T) {
	for _, tag := range lang.All() {
		var seen []string
		for month := time.January; month <= time.December; month++ {
			name := strings.Fields(tag.FormatTime(time.Date(2026, month, 5, 0, 0, 0, 0, time.UTC)))[1]
			if name == "" || slices.Contains(seen, name) {
				t.Errorf("%q: month %d is called %q", tag, month, name)
			}
			seen = append(seen, name)
		}
	}
}

func TestAllParse(t *testing.T) {
	for _, tag := range lang.All() {
		if got, ok := lang.Parse(string(tag)); got != tag || !ok {
			t.Errorf("Parse(%q) = %q, %v", tag, got, ok)
		}
		if got := lang.Negotiate("", string(tag)); got != tag {
			t.Errorf("Negotiate(%q) = %q", tag, got)
		}
	}
}
