package tui

import (
	"strings"
	"testing"
	"time"

	"kartotek/flows"
)

// TestSettings: the palette finds settings by a few letters: those that can be
// changed here are, the others tell what they are and where that is said.
func TestSettings(t *testing.T) {
	c := start(t, few(), 100, 30)
	dark := c.m.sh.theme
	c.keys(":", "light", "enter").wants("the colours stay until the console ends")
	if c.m.sh.theme == dark || c.m.sh.theme.dim.GetForeground() != newTheme(false, c.m.sh.profile).dim.GetForeground() {
		t.Error("the colours are not those for a light background")
	}
	c.keys(":", "light", "enter").wants("they are so already")
	c.keys(":", "terminal", "enter").wants("those for the terminal's background")
	if c.m.sh.theme.dim.GetForeground() != dark.dim.GetForeground() {
		t.Error("the colours are not the terminal's again")
	}
	c.keys(":", "publi", "enter").wants("public-url = not set", "config.toml").keys("esc")
	c.keys(":", "evidence", "enter").wants("Time  2y").keys("backspace", "backspace", "18m", "enter", "right", "enter")
	c.hasDone("keep evidence 18m")
	c.wants("evidence is kept for 18m after an erasure")
}

// TestCopying: the number of a card and what is masked go to the clipboard.
func TestCopying(t *testing.T) {
	c := start(t, few(), 100, 30).keys("y").wants("1040", "masked address").lacks("masked mobile").keys("right").wants("björn.****************")
	c.keys("enter").wants("the masked address is copied").keys("down", "enter", "y").wants("masked mobile").keys("enter").wants("the SubscriberID is copied")
}

// TestThroughput: what came to an end between two looks, on the scale of a
// minute; a day that leaves the count is no throughput.
func TestThroughput(t *testing.T) {
	var p throughput
	look := func(delivered, refused int64, after time.Duration) {
		p.look(flows.OutboxStats{Days: []flows.MailDay{{Delivered: delivered, Refused: refused}}}, today.Add(after))
	}
	look(1000, 10, 0)
	look(1010, 10, 500*time.Millisecond) // too soon
	look(1040, 20, 3*time.Second)
	look(1040, 20, 6*time.Second)
	look(10, 0, 9*time.Second)
	look(11, 0, 69*time.Second)
	sh := start(t, few(), 80, 24).m.sh
	if got := p.line(sh, nil, 80); !strings.Contains(got, "▇··▁") {
		t.Errorf("50 letters in 3 s, none, none, and one in a minute look like %q", got)
	}
	if p.rates[0] != 1000 || p.rates[3] != 1 {
		t.Errorf("the rates are %v", p.rates)
	}
}

// TestByDestination: the servers with their numbers, and what those said that
// don't take letters; what comes of an act shows while it is open.
func TestByDestination(t *testing.T) {
	c := start(t, few(), 80, 24).keys("2", "b").wants("mx1.example.dk", "! 451 4.7.1 Greylisted", "next try in", "mx.postkasse.example", "(no server yet)")
	c.desk.outbox = c.desk.outbox[:1]
	c.later()
	c.lacks("mx1.example.dk").wants("(no server yet)").keys("esc").wants("Next try")
}
