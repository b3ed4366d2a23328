package tui

import (
	"testing"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// TestOverviewRefreshes by the poll while it is on show, keeps its numbers
// while the store is lost, and never holds up a key.
func TestOverviewRefreshes(t *testing.T) {
	c := start(t, (&fakeDesk{n: 2000}).withMail(), 80, 24).keys("5").wants("confirmed", "1,600", "+164", "76 %", "unconfirmed            13", "now waiting 3, held 1")
	c.desk.n = 4000
	c.later()
	c.wants("3,200").desk.down = errDown
	c.later()
	c.wants("3,200", "✗ lost")
	c.desk.down = nil
	c.later()
	c.wants("the store answers again", "3,200")
	c.hold = true
	c.send(pollMsg{})
	c.keys("1").wants("Permission")
	c.release()
	c.wants("Permission")
}

// TestOverviewRefused: who may not see it is told so, and only there.
func TestOverviewRefused(t *testing.T) {
	d := few()
	c := start(t, d, 80, 24)
	d.down = &flows.Refusal{Why: "the role auditor may not do this (browse)"}
	c.keys("5").wants("the role auditor may not do this (browse)").lacks("✗ lost")
}

// TestOverviewAtAnySize: whatever the numbers, nothing spills over, and a low
// screen scrolls.
func TestOverviewAtAnySize(t *testing.T) {
	for _, n := range []int64{40, 2000, 1 << 53} {
		c := start(t, (&fakeDesk{n: n, hostile: n == 40}).withMail(), 60, 15)
		c.keys("5").screen()
		c.keys("end").wants("Behaviour")
		for w := 60; w < 200; w += 7 {
			c.w, c.h = w, 15+w%23
			c.send(tea.WindowSizeMsg{Width: c.w, Height: c.h})
			c.screen()
		}
	}
}
