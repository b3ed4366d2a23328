package tui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// click clicks on the last place where a text stands on the screen.
func (c *console) click(text string) *console {
	c.t.Helper()
	lines := strings.Split(c.screen(), "\n")
	for y := len(lines) - 1; y >= 0; y-- {
		if i := strings.LastIndex(lines[y], text); i >= 0 {
			c.send(tea.MouseClickMsg{X: ansi.StringWidth(lines[y][:i]), Y: y, Button: tea.MouseLeft})
			return c
		}
	}
	c.t.Fatalf("the screen does not show %q:\n%s", text, strings.Join(lines, "\n"))
	return c
}

// TestClicks goes the ways of the keyboard with clicks alone.
func TestClicks(t *testing.T) {
	c := start(t, few(), 100, 30).click("Outbox").wants("Next try").click("Contacts").click("1039").wants("2 of 39")
	c.click("f filter").wants("Permission").click("○ confirmed").wants("● confirmed").click("⏎ show").wants("Only").click("F clears")
	c.lacks("Only").click("d erase").wants("Goes for good").click("Erase").wants("give a reason")
	c.keys("asked").click("No").lacks("Goes for good")
	c.didNothing()
	c.click("d erase").click("Reason").keys("asked").click("  Erase")
	if len(c.desk.did) != 1 || !strings.HasPrefix(c.desk.did[0], "erase") {
		t.Errorf("done was %v", c.desk.did)
	}
}

// TestClicksInLists: a row of the palette is done; beside a page of text a click
// closes it, beside a form it does nothing, since something may be typed there.
func TestClicksInLists(t *testing.T) {
	c := start(t, few(), 100, 30).keys(":").click("go to Overview").wants("Confirmations")
	c.click("? keys").wants("Everywhere").click("Contacts").lacks("Everywhere").wants("Confirmations")
	c.click("/ search").wants("A full address").click("Contacts").wants("A full address").click("esc back").lacks("A full address")
	c.keys("!").click("esc back").lacks("Messages so far")
}
