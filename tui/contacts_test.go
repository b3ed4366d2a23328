package tui

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"kartotek/flows"
)

func (c *console) contacts() *contacts { return c.m.sh.tabs[0].stack[0].(*contacts) }

// TestWalking walks about in the grid at random, and holds the row under the
// cursor against plain arithmetic. Memory holds a few pages only.
func TestWalking(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := int64(rapid.IntRange(1, 1500).Draw(rt, "contacts"))
		c := start(t, &fakeDesk{n: n}, 80, 24)
		page, at := int64(c.contacts().rows-1), int64(0)
		for _, key := range rapid.SliceOfN(rapid.SampledFrom([]string{"up", "down", "pgup", "pgdown", "pgdown", "pgup", "home", "end", "pgdown"}), 1, 60).Draw(rt, "keys") {
			c.keys(key)
			at += map[string]int64{"up": -1, "down": 1, "pgup": -page, "pgdown": page, "home": -n, "end": n}[key]
			total := n
			if n >= 6 {
				total--
			}
			at = max(0, min(at, total-1))
			card, ok := c.contacts().card()
			want := 1000 + n - at
			if n >= 6 && want <= 1006 {
				want-- // the tombstone can't be browsed
			}
			if !ok || card.SubscriberID != want {
				rt.Fatalf("after %s the cursor is on %d (%v), want %d", key, card.SubscriberID, ok, want)
			}
			if got, want := c.contacts().place(), number(at+1)+" of "+number(total); got != want {
				rt.Fatalf("the place is %q, want %q", got, want)
			}
			if pages := len(c.contacts().win.pages); pages > keptPages {
				rt.Fatalf("%d pages are kept", pages)
			}
		}
	})
}

// TestKeysWorkWhileAPageIsComing: the cursor goes on over quiet placeholders,
// and is on the right card when they fill.
func TestKeysWorkWhileAPageIsComing(t *testing.T) {
	c := start(t, &fakeDesk{n: 2000}, 80, 24)
	c.hold = true
	for range 8 {
		c.keys("pgdown")
	}
	c.wants("·····").keys("down")
	at := c.contacts().win.cur
	c.release()
	c.lacks("·····")
	if card, _ := c.contacts().card(); card.SubscriberID != int64(3000-at) {
		t.Errorf("the cursor is on %d, want %d", card.SubscriberID, 3000-at)
	}
}

// TestStaleReplies: of two filters the later one counts, whichever answer
// comes first.
func TestStaleReplies(t *testing.T) {
	c := start(t, few(), 140, 40)
	c.hold = true
	c.keys("f", "right", "enter", "f", "right", "enter") // pending, then confirmed
	late := c.held[0]
	c.held = c.held[1:]
	c.release()
	c.wants("● confirmed").lacks("◐ pending")
	c.run(late)
	c.wants("● confirmed").lacks("◐ pending")
}

func TestFilterStaysOn(t *testing.T) {
	c := start(t, few(), 140, 40).keys("f", "down", "right", "enter").wants("list: News")
	c.keys("2", "1", "enter", "esc").wants("list: News").keys("F").lacks("list: News").wants("1 of 39")
}

// TestLostStore: what is on show stays, tries go on, and all is well after.
func TestLostStore(t *testing.T) {
	c := start(t, few(), 140, 40).keys("down", "down")
	c.desk.down = errDown
	c.later()
	c.wants("✗ store lost", "3 of 39", "1038", "connection refused")
	c.later()
	c.keys("down").wants("4 of 39", "✗ store lost")
	c.desk.down = nil
	c.later()
	c.wants("● connected", "the store answers again", "4 of 39")
}

// TestWhoOnNarrowScreens: who is signed in, the store and the route are told
// on any width, by the tab line or by the status line.
func TestWhoOnNarrowScreens(t *testing.T) {
	for w := 60; w < 200; w++ {
		c := start(t, &fakeDesk{n: 20000}, w, 20).wants("anna, owner", "capture", "●")
		if w > 65 {
			c.wants("SQLite kartotek.db")
		}
	}
	c := start(t, few(), 60, 20)
	c.desk.down = errDown
	c.later()
	c.wants("✗")
}

// TestSlowStore: a store that lets a question wait is not lost yet, but the
// frame says so, until it answers.
func TestSlowStore(t *testing.T) {
	c := start(t, few(), 140, 40)
	c.hold = true
	c.later()
	c.later()
	c.wants("◔ waiting for the store", "1 of 39")
	c.release()
	c.wants("● connected")
}

// TestRefusedRole: who may not browse is told so, and the screen goes on.
func TestRefusedRole(t *testing.T) {
	d := few()
	d.down = &flows.Refusal{Why: "the role auditor may not do this (browse)"}
	start(t, d, 80, 24).wants("the role auditor may not do this (browse)").lacks("✗ lost").keys("2").wants("Outbox")
}

func TestLongWork(t *testing.T) {
	c := start(t, &fakeDesk{}, 100, 30)
	c.hold = true
	c.keys("s").wants("Loading sample contacts", "on their way")
	c.keys("s").wants("the sample is still under way").keys("2").wants("Outbox").keys("q").wants("The sample is still under way").keys("enter")
	if c.quit {
		t.Fatal("it quit although No was picked")
	}
	c.keys("esc").wants("Stop the sample?").keys("enter").lacks("Stop the sample?")
	c.release()
	c.wants("2,000 sample contacts loaded").keys("1").wants("1 of 1,999")
	c.hasDone("sample 2000")
	if c.keys("q"); !c.quit {
		t.Error("q did not quit")
	}
}

func TestImporting(t *testing.T) {
	c := start(t, &fakeDesk{}, 100, 30)
	c.keys("i", "people.csv", "enter", "enter").keys("tab", "tab", "enter").wants("name the list")
	c.keys("News", "tab", "right", "tab", "tab", "enter")
	c.hasDone("import people.csv News true")
	c.wants("refused", "erased or withdrawn: they stay out", "import-report.csv")
}

func TestStopping(t *testing.T) {
	c := start(t, &fakeDesk{}, 100, 30)
	c.hold = true
	c.keys("s", "esc", "right", "enter").wants("stopping …")
	c.release()
	c.wants("the sample was stopped; what is done stays")
}

func TestPalette(t *testing.T) {
	c := start(t, few(), 80, 24).keys(":", "outb", "enter").wants("Next try")
	c.keys("ctrl+p", "sear", "enter").wants("A full address")
}

func BenchmarkDown(b *testing.B) {
	for _, size := range [][2]int{{80, 24}, {140, 40}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			c := start(&testing.T{}, &fakeDesk{n: 1_000_000}, size[0], size[1])
			for b.Loop() {
				c.keys("down")
			}
		})
	}
}
