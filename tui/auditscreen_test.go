package tui

import (
	"testing"

	"kartotek/flows"
)

// TestAuditScreen: it narrows, pages on, opens cards and verifies.
func TestAuditScreen(t *testing.T) {
	c := start(t, few(), 140, 40).keys("4").wants("● whole", "12,345 entries", "1 of 40", "search")
	c.keys("f", "berta", "tab", "tab", "1002", "enter").wants("Only  who berta · card 1002", "1 of 1").keys("F").wants("1 of 40")
	c.keys("f", "tab", "tab", "x", "enter").wants("a SubscriberID is a number").keys("esc")
	c.keys("f", "tab", "tab", "tab", "soon", "enter").wants("a day is written as 2026-01-31").keys("esc")
	c.keys("f", "tab", "tab", "tab", "2026-06-15", "tab", "0d", "enter").wants("since 2026-06-15 · until 2026-06-15", "1 of 40").keys("F")
	c.keys("f", "tab", "tab", "tab", "tab", "1d", "enter").wants("Nothing was done that fits").keys("F")
	c.keys("f", "tab", "nothing like it", "enter").wants("Nothing was done that fits").keys("F")
	c.keys("enter").wants("Audit row", "role", "operator").keys("esc", "down", "o").wants("SubscriberID 1002", "Obligatory").keys("esc")
	c.keys("v").wants("the log is whole: 12,345 entries").hasDone("verify")

	bad := &fakeDesk{n: 40, hostile: true}
	start(t, bad, 140, 40).keys("4", "v").wants("Tampered with", "audit row 7, entry 7 of the log", "Problems in all: 2").keys("esc").wants("✗ tampered with")
	back := start(t, &fakeDesk{n: 40, restored: true}, 140, 40).keys("4").wants("whole but for a restore", "35 entries lost by anna").lacks("● whole  ")
	back.keys("v").wants("Accepted break", "35 entries, from 120 to 154", "the disk was lost")
	start(t, &fakeDesk{n: 300}, 100, 30).keys("4", "end").wants("100 of 200+").keys("end", "end").wants("250 of 250").lacks("250+")
}

// TestProof: from a card that was found by its address, and by the address
// itself; it can be written to a file. Who doesn't know the address is not told
// it by a proof.
func TestProof(t *testing.T) {
	start(t, few(), 100, 30).keys("enter", "p").wants("search the full address first").lacks("Proof of consent", "marie@example.dk")
	start(t, few(), 100, 30).keys("/1006", "enter", "p").wants("search the full address first").lacks("Proof of consent")
	c := start(t, few(), 100, 30).keys("/a@b.example", "enter", "p").wants("Proof of consent for marie@example.dk", "192.0.2.7", "I agree that Example", "Now: erased")
	c.keys("w").wants("proof.html").keys("esc", "s").wants("proof.json")
	c.hasDone("prove 1006, address given: true")
	c.hasDone("keep proof html")
	c.hasDone("keep proof json")
	c = start(t, few(), 100, 30).keys("4", "p", "nobody@example.com", "enter").wants("nobody is known by that address")
	c.keys("esc", "p", "marie@example.dk", "enter").wants("Proof of consent")

	o := Options{Desk: few(), Actor: flows.Actor{Name: "rita", Role: flows.Auditor, From: "ssh"}, Route: "capture", Remote: true}
	startWith(t, o, o.Desk.(*fakeDesk), 100, 30).keys("4", "p", "marie@example.dk", "enter", "w").wants("ssh HOST prove").lacks("written to")
}
