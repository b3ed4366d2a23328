package tui

import (
	"image/color"
	"math"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
)

// TestContrast: what is to be read stands out from its ground as far as WCAG
// asks of large text (3:1), and most of it as far as of any (4.5:1). Rules and
// what lies behind an overlay need not.
func TestContrast(t *testing.T) {
	light := func(c color.Color) float64 {
		var sum float64
		r, g, b, _ := c.RGBA()
		for i, v := range []uint32{r, g, b} {
			x := float64(v) / 0xffff
			if x <= 0.04045 {
				x /= 12.92
			} else {
				x = math.Pow((x+0.055)/1.055, 2.4)
			}
			sum += x * []float64{0.2126, 0.7152, 0.0722}[i]
		}
		return sum
	}
	for _, dark := range []bool{true, false} {
		ground := color.Color(color.RGBA{0x1e, 0x1e, 0x28, 0xff}) // a dark one that is not black
		if !dark {
			ground = color.White
		}
		th := newTheme(dark, colorprofile.TrueColor)
		for _, l := range looks {
			fg, bg := l.style(th).GetForeground(), l.style(th).GetBackground()
			if _, none := fg.(lipgloss.NoColor); none || l.name == "faint" {
				continue
			}
			if _, none := bg.(lipgloss.NoColor); none {
				bg = ground
			}
			a, b := light(fg), light(bg)
			least := 4.5
			if l.name == "off" {
				least = 3
			}
			if got := (max(a, b) + 0.05) / (min(a, b) + 0.05); got < least {
				t.Errorf("dark %v: %s has a contrast of %.1f, want %.1f", dark, l.name, got, least)
			}
		}
	}
}

// TestThemes: the text is the same on every background and profile, so that
// nothing is told by colour alone; without colours none is sent.
func TestThemes(t *testing.T) {
	c := start(t, few(), 140, 40)
	want := c.screen()
	dark := c.m.View().Content
	c.send(tea.BackgroundColorMsg{Color: color.White})
	light := c.m.View().Content
	if light == dark {
		t.Error("a light background changes nothing")
	}
	for _, p := range []colorprofile.Profile{colorprofile.TrueColor, colorprofile.ANSI256, colorprofile.ANSI, colorprofile.ASCII} {
		c.send(tea.ColorProfileMsg{Profile: p})
		if got := c.screen(); got != want {
			t.Errorf("%v: the text differs:\n%s", p, got)
		}
	}
	for _, code := range []string{"\x1b[3", "\x1b[48", "\x1b[9", ";38;", ";48;"} {
		if strings.Contains(c.m.View().Content, code) {
			t.Errorf("without colours the screen holds %q", code)
		}
	}
}
