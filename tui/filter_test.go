package tui

import (
	"testing"

	"kartotek/flows"
)

// TestFilterByRatingAndDays: what is set shows above the grid, stays on while
// screens change, and stands in the form again.
func TestFilterByRatingAndDays(t *testing.T) {
	c := start(t, few(), 140, 40).keys("f", "down", "down", "down", "right", "down", "2026-06-14", "down", "1d", "enter")
	c.wants("rating: VIP", "active 2026-06-14 to 2026-06-14", "F clears", "1 of 4").lacks("high  ")
	c.keys("2", "1").wants("rating: VIP").keys("f").wants("2026-06-14", "● VIP").keys("esc", "F").lacks("Only").wants("1 of 39")
}

func TestDaysThatCantBeRead(t *testing.T) {
	c := start(t, few(), 100, 30).keys("f", "up", "soon", "enter").wants("a day is written as 2026-01-31, or as 30d")
	c.keys("esc").wants("1 of 39")
}

// TestOrder: by id or by last activity; days go with the latter only, and the
// console says why.
func TestOrder(t *testing.T) {
	c := start(t, few(), 100, 30).keys("o").wants("newest id first", "o sort by activity")
	if c.desk.order != flows.ByID {
		t.Errorf("asked for the order %q", c.desk.order)
	}
	c.keys("f", "up", "30d", "enter").wants("days can't narrow").keys("esc", "o").lacks("newest id first").keys("f", "up", "30d", "enter")
	c.wants("active until 2026-05-16", "Only").keys("o").wants("dates narrow only the order by last activity")
	if c.desk.order != flows.ByActivity {
		t.Errorf("asked for the order %q", c.desk.order)
	}
}

// TestManyChips: however many there are, and however long, the line fits.
func TestManyChips(t *testing.T) {
	c := start(t, &fakeDesk{n: 40, hostile: true}, 80, 24)
	c.contacts().filter = flows.Filter{Permission: flows.Unsubscribed, List: evil, Source: evil + evil, Rating: "average", From: today, Before: today}
	c.wants("F clears")
}
