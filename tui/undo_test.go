package tui

import (
	"strings"
	"testing"
	"time"
)

// TestUndo: the key is there as long as it does something, for one and for
// several, on every screen.
func TestUndo(t *testing.T) {
	c := start(t, few(), 120, 30).lacks("U undo unsubscribe").keys("U").wants("U undo unsubscribe: within 10 seconds of it only")
	c.didNothing()
	c.keys("u", "tab", "right", "enter").wants("U undo unsubscribe", "U undoes it within 10 seconds", "○ unsubscribed")
	c.keys("2").wants("U undo unsubscribe").keys("U").wants("SubscriberID 1040 is back as before").lacks("U undo unsubscribe")
	c.hasDone("undo 1040")
	c.keys("U").wants("an erasing never")
}

func TestUndoOfSeveral(t *testing.T) {
	c := start(t, few(), 120, 30).keys("   ", "u", "right", "enter", "esc").wants("U undoes it within 10 seconds")
	c.keys("U").wants("2 contacts are back as before").lacks("U undo unsubscribe")
	c.hasDone("undo 1038")
	c.hasDone("undo 1040")
}

// TestUndoOfSome: a sign-up that was called off says so, alone and among others.
func TestUndoOfSome(t *testing.T) {
	start(t, few(), 120, 30).keys("down", "down", "down", "u").wants("called off for good").keys("tab", "right", "enter").lacks("U undo").keys("U").wants("a sign-up that waited for its click stays called off")
	start(t, few(), 120, 30).keys("    ", "u", "right", "enter", "esc").wants("U undoes 2 of them within 10 seconds").keys("U").wants("2 contacts are back as before")
}

// TestUndoIsOver: after ten seconds, after an erasure in its place, and where
// a sign-up that waited was called off, nothing is offered.
func TestUndoIsOver(t *testing.T) {
	c := start(t, few(), 120, 30).keys("u", "tab", "right", "enter").wants("U undo unsubscribe")
	c.m.sh.now = func() time.Time { return today.Add(10 * time.Second) }
	c.lacks("U undo unsubscribe")
	c.keys("U").wants("an erasing never")

	c = start(t, few(), 120, 30).keys("down", "d", "asked", "tab", "right", "enter").lacks("U undo unsubscribe")
	if len(c.desk.did) != 1 || !strings.HasPrefix(c.desk.did[0], "erase") {
		t.Fatalf("done was %v", c.desk.did)
	}
	c.keys("U").lacks("back as before")
}
