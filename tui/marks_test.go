package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kartotek/flows"
)

// TestMarking: space marks and goes on, again takes the mark away, esc clears;
// a filter clears too, since nobody should act on what is out of sight.
func TestMarking(t *testing.T) {
	c := start(t, few(), 100, 30).keys("   ").wants("3 marked · 4 of 39", "u unsubscribe 3", "d erase 3", "✓ 1040", "✓ 1038")
	c.keys("up", " ").wants("2 marked · 4 of 39").keys("esc").wants("4 of 39").lacks("marked", "✓ 10")
	c.keys(" ", "f", "right", "enter").wants("1 mark cleared").lacks("1 marked")
	c.keys("F", " ", "2", "1").wants("1 marked").keys("esc", "up", "u").wants("SubscriberID 1040").didNothing()
}

// TestExportOfMarked asks once for all, with a reason, and waits for approval.
func TestExportOfMarked(t *testing.T) {
	c := start(t, few(), 100, 30).keys("   ", "e").wants("Export 3 contacts", "second person").keys("tab", "right", "enter").wants("give a reason")
	c.didNothing()
	c.keys("an audit", "tab", "enter").wants("request 7: the export of 3 contacts waits for a second person").lacks("marked")
	c.hasDone(`ask export [1038 1039 1040] "an audit"`)
}

// TestActingOnMarkedAsks: nothing but the other button, with one reason, does.
func TestActingOnMarkedAsks(t *testing.T) {
	for name, keys := range map[string][]string{
		"unsubscribe": {"   ", "u", "enter"},
		"erase":       {"   ", "d", "asked", "enter", "enter"},
		"no reason":   {"   ", "d", "tab", "right", "enter"},
		"esc":         {"   ", "d", "asked", "tab", "right", "esc"},
	} {
		t.Run(name, func(t *testing.T) { start(t, few(), 80, 24).keys(keys...).didNothing() })
	}
}

// TestActingOnMarked: those that it is possible on, one after the other, and a
// word on each of the others.
func TestActingOnMarked(t *testing.T) {
	c := start(t, few(), 100, 30).keys("   ", "u").wants("Unsubscribe 2 contacts of 3 marked", "1 can't be: it is on no list any more")
	c.keys("right", "enter")
	if want := []string{`unsubscribe 1038 ""`, `unsubscribe 1040 ""`}; !slices.Equal(c.desk.did, want) {
		t.Fatalf("done was %v, want %v", c.desk.did, want)
	}
	c.wants("done                2", "refused             1", "it is on no list any more", "SubscriberID 1039")
	c.keys("esc").wants("2 contacts are unsubscribed from all lists").lacks("marked")

	c = start(t, few(), 100, 30).keys("  ", "d", "asked by letter", "tab", "right", "enter")
	c.hasDone(`erase 1039 "asked by letter"`)
	c.hasDone(`erase 1040 "asked by letter"`)
	c.wants("2 contacts are erased, tombstones are left", "1038").lacks("done  ", " 1040 ", "(tombstone)")
}

// TestRefusedInTheMiddle: who is refused does not stop the others.
func TestRefusedInTheMiddle(t *testing.T) {
	c := start(t, few(), 100, 30).keys("   ")
	c.desk.during = func(act string) {
		c.desk.down = nil
		if strings.Contains(act, "1039") {
			c.desk.down = &flows.Refusal{Why: "the card is frozen"}
		}
	}
	c.keys("d", "asked", "tab", "right", "enter").wants("done                2", "refused             1", "the card is frozen", "SubscriberID 1039")
	c.keys("esc").lacks("✗ lost")
}

// TestStoppingBetweenTwo: the one under way is done whole, those not reached
// are marked again, and the same key goes on with them.
func TestStoppingBetweenTwo(t *testing.T) {
	c := start(t, few(), 100, 30).keys("     ")
	c.desk.during = func(string) {
		c.desk.during = nil
		c.wants("Erasing 5 contacts", "esc stops").keys("2").wants("Erasing 5 contacts").keys("1", " ", "d").wants("the erasing is still under way")
		c.keys("esc", "esc").wants("Stop the erasing?", "Those not reached stay as they are").keys("right", "enter")
		c.m.sh.notes.shown = false
		c.wants("stopping …")
	}
	c.keys("d", "asked", "tab", "right", "enter").wants("done                1", "not reached         4")
	c.keys("esc").wants("d erase 4", "stopped: 1 contact is erased").keys("d", "again", "tab", "right", "enter").wants("4 contacts are erased").lacks("marked")
	for id := 1036; id <= 1040; id++ {
		n := 0
		for _, d := range c.desk.did {
			if strings.HasPrefix(d, fmt.Sprintf("erase %d ", id)) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d was erased %d times", id, n)
		}
	}
}

// TestLostInTheMiddle: a fault ends it, and those not reached are marked again.
func TestLostInTheMiddle(t *testing.T) {
	c := start(t, few(), 100, 30).keys("   ")
	c.desk.during = func(act string) {
		if strings.Contains(act, "1039") {
			c.desk.down = errDown
		}
	}
	c.keys("d", "asked", "tab", "right", "enter").wants("done                1", "not reached         2", "✗ lost")
	c.desk.down, c.desk.during = nil, nil
	c.keys("esc")
	c.later()
	c.later()
	c.wants("2 marked").keys("!").wants("stopped: 1 contact is erased", "connection refused")
}

// TestManyMarked shows how far it is, and how long it takes still.
func TestManyMarked(t *testing.T) {
	c := start(t, (&fakeDesk{n: 300}), 100, 30)
	for range 200 {
		c.keys(" ")
	}
	n := 0
	c.desk.during = func(string) {
		if n++; n == 80 {
			now := today.Add(8 * time.Second)
			c.m.sh.now = func() time.Time { return now }
			c.wants("Unsubscribing 160 contacts", "9 contacts/s", " left", "49 %")
		}
	}
	c.keys("u", "right", "enter")
	if n != 160 {
		t.Errorf("%d were unsubscribed, want 160", n)
	}
}
