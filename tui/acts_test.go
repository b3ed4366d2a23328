package tui

import (
	"errors"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

func few() *fakeDesk { return (&fakeDesk{n: 40}).withMail() }

func (c *console) didNothing() {
	c.t.Helper()
	for _, d := range c.desk.did {
		if d != "find" {
			c.t.Fatalf("something was done: %v", c.desk.did)
		}
	}
}

func (c *console) hasDone(want string) {
	c.t.Helper()
	if !slices.Contains(c.desk.did, want) {
		c.t.Fatalf("%s was not done, but %v", want, c.desk.did)
	}
}

// TestErasingAsks: nothing but choosing the other button, with a reason,
// erases; the keys that people press without reading do not.
func TestErasingAsks(t *testing.T) {
	for name, keys := range map[string][]string{
		"enter":                  {"d", "enter", "enter"},
		"enter after the reason": {"d", "asked", "enter", "enter"},
		"esc":                    {"d", "asked", "tab", "right", "esc"},
		"no reason":              {"d", "tab", "right", "enter"},
		"there and back":         {"d", "asked", "tab", "right", "left", "enter"},
	} {
		t.Run(name, func(t *testing.T) { start(t, few(), 80, 24).keys(keys...).didNothing() })
	}
	c := start(t, few(), 80, 24).keys("d", "asked by letter", "enter", "right", "enter")
	c.hasDone(`erase 1040 "asked by letter"`)
	c.wants("SubscriberID 1040 is erased: a tombstone is left; 1 export file removed", "Tombstone", "What is kept").lacks("Goes for good")
	c.keys("esc").wants("(tombstone)")
}

func TestUnsubscribing(t *testing.T) {
	start(t, few(), 80, 24).keys("u", "enter", "enter").didNothing()
	c := start(t, few(), 80, 24).keys("u", "tab", "right", "enter")
	c.hasDone(`unsubscribe 1040 "News"`)
	c.wants("○ unsubscribed", "is unsubscribed from News")

	// A card on two lists is asked which; all is the first answer.
	two := few()
	onTwo := func(card *flows.Card) {
		card.Lists = append(card.Lists, flows.OnList{List: "Offers", Status: "subscribed", Since: today})
	}
	two.change(1040, onTwo)
	start(t, two, 80, 24).keys("u", "tab", "right", "enter").hasDone(`unsubscribe 1040 ""`)
	two = few()
	two.change(1040, onTwo)
	start(t, two, 80, 24).keys("u", "o", "tab", "right", "enter").hasDone(`unsubscribe 1040 "Offers"`)
}

func TestResubscribingATombstone(t *testing.T) {
	c := start(t, few(), 80, 24).keys("/1006", "enter", "r")
	c.wants("A confirmed sign-up is required", "A tombstone does not know its address")
	c.keys("marie@example.dk", "tab", "right", "tab", "by phone today", "enter", "right", "enter")
	c.hasDone(`resubscribe 1006 Offers of the week "by phone today"`)
	c.wants("waits for the person's click until 22 Jun 2026 12:00 UTC").lacks("marie@example.dk")
}

// TestTypedTextSurvives a fault: the overlay stays with all that was typed.
func TestTypedTextSurvives(t *testing.T) {
	c := start(t, few(), 80, 24).keys("/1006", "enter", "r", "marie@example.dk", "tab", "tab", "by phone", "enter")
	c.desk.down = errDown
	c.keys("right", "enter").wants("marie@example.dk", "by phone", "✗ connection refused", "✗ lost")
	c.desk.down = nil
	c.keys("enter").hasDone(`resubscribe 1006 News "by phone"`)
}

func TestExporting(t *testing.T) {
	c := start(t, few(), 80, 24).keys("e", "right", "enter")
	c.hasDone("export 1040 xlsx")
	c.wants("Only you may read the file", "contact-1040-20260615T120000Z")
}

// TestOffActsSayWhy: a key that is off says why, and so does the page of keys.
func TestOffActsSayWhy(t *testing.T) {
	c := start(t, few(), 140, 40).keys("/1006", "enter")
	c.wants("(u unsubscribe)", "(d erase)").keys("d").wants("d erase: it is erased already").didNothing()
	c.keys("?").wants("(erase): it is erased already", "(unsubscribe): a tombstone is on no list")
}

// TestActsTellAfterTheScreenHasChanged: a reply is never lost with a screen.
func TestActsTellAfterTheScreenHasChanged(t *testing.T) {
	c := start(t, few(), 80, 24).keys("enter", "u", "tab", "right")
	c.hold = true
	c.keys("enter").wants("One moment").keys("esc", "esc", "2")
	c.release()
	c.wants("is unsubscribed from News")
}

func TestSearch(t *testing.T) {
	c := start(t, few(), 140, 40)
	c.keys("/marie", "enter").wants("only a full address").keys("esc").lacks("marie")
	c.keys("/nobody@example.com", "enter").wants("Nobody is known by that").keys("esc")
	c.keys("/").send(tea.PasteMsg{Content: "two@example.com"})
	c.keys("enter").wants("1 of 2 cards found", "(tombstone)").keys("down", "enter").wants("Tombstone", "from 192.0.2.7").lacks("sealed: it opens")
	c.keys("esc").wants("2 of 2 cards found").keys("esc").wants("1 of 39")
	c.keys("/1006", "enter").wants("Tombstone", "sealed: it opens only to a search by the full address")
	c.keys("]").wants("SubscriberID 1040").keys("[").wants("Tombstone")
	c.keys("!").lacks("nobody@example.com", "two@example.com", "marie")
}

// TestWaitingCardSeesTheClick: a card that waits shows what came of it.
func TestWaitingCardSeesTheClick(t *testing.T) {
	c := start(t, few(), 100, 30)
	c.desk.change(1006, func(card *flows.Card) { card.WaitingUntil, card.Successor = ptr(today.AddDate(0, 0, 7)), nil })
	c.keys("/1006", "enter").wants("waits for the person's click").lacks("successor")
	c.desk.change(1006, func(card *flows.Card) { card.WaitingUntil, card.Successor = nil, ptr(int64(1041)) })
	c.desk.n++
	c.later()
	c.later()
	c.wants("] successor 1041").lacks("waits for the person's click").keys("]").wants("SubscriberID 1041")
}

func TestMailbox(t *testing.T) {
	var opened []string
	d := few()
	o := Options{Desk: d, Actor: flows.Actor{Name: "anna", Role: flows.Owner}, Route: "capture", OpenURL: func(u string) error {
		opened = append(opened, u)
		return nil
	}}
	startWith(t, o, d, 80, 24).keys("6", "enter").wants("please confirm it here").keys("o")
	if want := d.mails[0].Links; !slices.Equal(opened, want) {
		t.Fatalf("opened %q, want %q", opened, want)
	}
	o.OpenURL = func(string) error { return errors.New("no browser") }
	c := startWith(t, o, d, 80, 24).keys("6", "o").wants("no browser opened", d.mails[0].Links[0])
	if c.m.View().MouseMode != tea.MouseModeNone {
		t.Error("the mouse is not left to the terminal, so the link can't be selected")
	}
	c.keys("esc", "1").lacks("Mailbox 1")
	d.mails = append([]flows.Mail{{Number: 13, At: today, Subject: "Fresh", Links: []string{"https://x.example/confirm/1"}}}, d.mails...)
	c.later()
	c.wants("Mailbox 1").keys("6").wants("Fresh").lacks("Mailbox 1")
	o.Route = "relay"
	startWith(t, o, d, 80, 24).lacks("Mailbox")
}

func TestMouse(t *testing.T) {
	c := start(t, few(), 140, 40)
	c.send(tea.MouseClickMsg{X: 20, Y: 5, Button: tea.MouseLeft})
	c.wants("3 of 39").send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	c.wants("6 of 39").send(tea.MouseClickMsg{X: 20, Y: 8, Button: tea.MouseLeft})
	c.wants("Obligatory").send(tea.MouseClickMsg{X: strings.Index(c.screen(), "Outbox"), Y: 0, Button: tea.MouseLeft})
	c.wants("Server's last words")
}

func TestSmallAndOddSizes(t *testing.T) {
	c := start(t, few(), 40, 10).wants("needs 60×15")
	for w := 60; w < 200; w += 7 {
		for _, keys := range [][]string{nil, {"enter"}, {"esc", "d"}, {"esc", "2"}, {"5"}, {"6"}, {"enter"}, {"esc", "?"}, {"esc", "1"}} {
			c.w, c.h = w, 15+w%23
			c.send(tea.WindowSizeMsg{Width: c.w, Height: c.h})
			c.keys(keys...).screen()
		}
	}
	c.send(tea.WindowSizeMsg{})
}

func TestFreezingAndCorrecting(t *testing.T) {
	start(t, few(), 80, 24).keys("z", "disputed", "enter", "enter").didNothing()
	c := start(t, few(), 80, 24).keys("z", "disputed", "tab", "right", "enter")
	c.hasDone(`freeze 1040 "disputed"`)
	c.wants("SubscriberID 1040 is frozen")
	c.keys("enter").wants("■ frozen").keys("z", "settled", "tab", "right", "enter")
	c.hasDone(`unfreeze 1040 "settled"`)
	c.keys("c", "enter", "enter", "enter").lacks("is corrected")
	c = start(t, few(), 80, 24).keys("enter", "c", "c", "tab", "Aarhus", "tab", "right", "enter")
	c.hasDone(`correct 1040 country "Aarhus"`)
	c.wants("country is corrected")
}

// TestNothingIsDoneUnseen: behind the word that the window is too small no key
// acts, and quitting still works.
func TestNothingIsDoneUnseen(t *testing.T) {
	start(t, few(), 40, 10).keys("d", "blind", "tab", "right", "enter", "enter").didNothing()
}
