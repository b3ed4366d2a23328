package tui

import (
	"testing"

	"kartotek/flows"
)

// TestActingOnLetters: the acts go to the letter under the cursor, their keys
// say why they are off, and a drop asks.
func TestActingOnLetters(t *testing.T) {
	c := start(t, few(), 100, 30).keys("2", "t").wants("t retry now: it is not deferred").andNothing()
	c.keys("down", "down", "t").wants("letter 128 is due now").hasDone("retry 128")
	c.keys("h").wants("letter 128 is held until it is released", "■ held 2", "h release").hasDone("hold 128")
	c.keys("h").wants("letter 128 is released", "h hold").hasDone("release 128")

	start(t, few(), 100, 30).keys("2", "x", "asked", "enter", "enter").andNothing()
	start(t, few(), 100, 30).keys("2", "x", "tab", "right", "enter").wants("give a reason").andNothing()
	c = start(t, few(), 100, 30).keys("2", "down", "down", "x", "sent twice", "tab", "right", "enter")
	c.hasDone(`drop 128 "sent twice"`)
	c.wants("letter 128 is dropped", "3 of 29").lacks("Greylisted")
}

// andNothing is didNothing with the console given back.
func (c *console) andNothing() *console {
	c.t.Helper()
	c.didNothing()
	return c
}

// TestLetterDetails: the same keys act in the details, which show what comes
// of it, also when the letter leaves the list that it was found in.
func TestLetterDetails(t *testing.T) {
	c := start(t, few(), 100, 30).keys("2", "f", "d", "d", "enter").wants("Only  ◑ deferred", "1 of 1").keys("enter")
	c.wants("Letter 128", "next try  15 Jun 2026 12:14 UTC (in 14 min)", "451 4.7.1")
	c.keys("t").hasDone("retry 128")
	c.later()
	c.wants("Letter 128", "◔ due", "next try  now", "(t retry now)").keys("x", "not wanted", "tab", "right", "enter").wants("letter 128 is dropped").lacks("Letter 128")
	c.keys("F").wants("1 of 29").keys("enter", "o").wants("SubscriberID 1030", "Obligatory").keys("esc").wants("Next try")
}

// TestCursorStaysOnItsLetter when newer ones come: what is acted on is what
// was read.
func TestCursorStaysOnItsLetter(t *testing.T) {
	c := start(t, few(), 100, 30).keys("2", "down", "down").wants("3 of 30")
	c.desk.outbox = append([]flows.Letter{{ID: 131, State: "due", Created: today}}, c.desk.outbox...)
	c.later()
	c.wants("4 of 31").keys("t").hasDone("retry 128")
}

// TestEngineLine: the states are told apart however many letters wait.
func TestEngineLine(t *testing.T) {
	d := few()
	start(t, d, 140, 40).keys("2").wants("due 1   ▸ sending 1   ◑ deferred 1   ■ held 1", "delivered 5")
	d.queued = 1 << 40
	start(t, d, 140, 40).keys("2").wants("due 1,099,511,627,777   ▸ sending 1   ◑ deferred 1")
	start(t, d, 60, 20).keys("2").wants("due 1,099,511,627,777")
}

// TestAlarms stand above the letters until somebody has seen them.
func TestAlarms(t *testing.T) {
	d := few()
	d.alarms = []flows.Alarm{{Kind: flows.AlarmPolicy, Count: 3, Since: today, Words: "5.7.1 not from you" + evil}}
	c := start(t, d, 140, 40).keys("2").wants("▲ 3 since", "check SPF", "5.7.1 not from you", "A alarms seen")
	c.keys("A").hasDone("clear alarms")
	c.wants("taken as seen").lacks("check SPF")
}

// TestRefusedLetterActs: a refusal is said, and the letters are fetched anew.
func TestRefusedLetterActs(t *testing.T) {
	c := start(t, few(), 100, 30).keys("2", "down", "down")
	c.desk.outbox[2].ID = 900 // somebody was faster
	c.keys("t").wants("retry: ", "900")
}
