package tui

import (
	"image/color"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

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
