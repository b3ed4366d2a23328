package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var colour = regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{3,6});`)

// colours reads the custom properties of a part of the style sheet as relative
// luminances (WCAG 2.2).
func colours(t *testing.T, part string) map[string]float64 {
	t.Helper()
	found := make(map[string]float64)
	for _, match := range colour.FindAllStringSubmatch(part, -1) {
		hex := match[2]
		if len(hex) == 3 {
			hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
		}
		var luminance float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			luminance += weight * c
		}
		found[match[1]] = luminance
	}
	return found
}

// TestContrast holds text to the 4.5:1 of WCAG 2.2 AA (1.4.3), and what only
// outlines a control to 3:1 (1.4.11), light and dark.
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(style, "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark colours")
	}
	for name, c := range map[string]map[string]float64{"light": colours(t, light), "dark": colours(t, dark)} {
		for _, pair := range []struct {
			over, under string
			least       float64
		}{
			{"ink", "ground", 4.5},
			{"ink", "sheet", 4.5},
			{"ink", "wash", 4.5},
			{"ink", "wrong-wash", 4.5},
			{"soft", "ground", 4.5},
			{"soft", "sheet", 4.5},
			{"on-accent", "accent", 4.5},
			{"on-accent", "accent-strong", 4.5},
			{"accent", "sheet", 4.5},
			{"accent-strong", "wash", 4.5},
			{"wrong", "sheet", 4.5},
			{"wrong", "wrong-wash", 4.5},
			{"accent", "ground", 3},
		} {
			over, known := c[pair.over]
			under, known2 := c[pair.under]
			if !known || !known2 {
				t.Fatalf("%s: no colour %s or %s", name, pair.over, pair.under)
			}
			ratio := (max(over, under) + 0.05) / (min(over, under) + 0.05)
			if ratio < pair.least {
				t.Errorf("%s: %s on %s has %.2f:1, needs %.1f:1", name, pair.over, pair.under, ratio, pair.least)
			}
		}
	}
}
