package tui

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// TestPollRests: a console that nobody uses looks for news seldom, and soon
// again after a key press, a click or a turn of the wheel.
func TestPollRests(t *testing.T) {
	c := start(t, few(), 80, 24)
	now := today
	c.m.sh.now = func() time.Time { return now }
	var pauses []time.Duration
	c.m.sh.after = func(d time.Duration, msg tea.Msg) tea.Cmd {
		if _, ok := msg.(pollMsg); ok {
			pauses = append(pauses, d)
		}
		return nil
	}
	next := func(want time.Duration) {
		t.Helper()
		c.send(pollMsg{})
		if got := pauses[len(pauses)-1]; got != want {
			t.Fatalf("the next poll comes after %v, want %v", got, want)
		}
	}
	for _, does := range []func(){
		func() { c.keys("down") },
		func() { c.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown}) },
		func() { c.send(tea.MouseClickMsg{Button: tea.MouseLeft, X: 5, Y: 5}) },
	} {
		does()
		next(pollEvery)
		now = now.Add(restsFrom + time.Second)
		next(pollRest)
	}
}
