package tui

import (
	"fmt"
	"testing"
	"time"

	"kartotek/flows"
)

// Steps of a golden screen that are no keys.
const (
	lose = "the store is lost"
	hold = "answers stay away"
	late = "timers fire"
)

// steps presses keys, and does what else can happen.
func (c *console) steps(steps ...string) *console {
	c.t.Helper()
	for _, step := range steps {
		switch step {
		case lose:
			c.desk.down = errDown
			c.later()
		case hold:
			c.hold = true
		case late:
			c.later()
			c.later()
		default:
			c.keys(step)
		}
	}
	return c
}

// TestScreens holds every screen against its golden picture, small and large,
// empty, full, failing, and with hostile texts. A golden picture holds how it is
// written on every kind of terminal, and nothing in it is told by colour alone.
func TestScreens(t *testing.T) {
	known := legend(t)
	for _, s := range screens() {
		for _, size := range [][2]int{{80, 24}, {140, 40}} {
			name := fmt.Sprintf("%s-%dx%d", s.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				golden(t, name, start(t, s.desk(), size[0], size[1]).steps(s.keys...).picture(known))
			})
		}
	}
}

// shown is a golden screen: a desk, and the way to it.
type shown struct {
	name string
	desk func() *fakeDesk
	keys []string
}

// screens are all golden screens.
func screens() []shown {
	full := func() *fakeDesk { return (&fakeDesk{n: 2000}).withMail() }
	few := func() *fakeDesk { return (&fakeDesk{n: 40}).withMail() }
	hostile := func() *fakeDesk { return (&fakeDesk{n: 40, hostile: true}).withMail() }
	asked := func() *fakeDesk { return (&fakeDesk{n: 40}).withMail().withRequests() }
	evilAsked := func() *fakeDesk { return (&fakeDesk{n: 40, hostile: true}).withMail().withRequests() }
	empty := func() *fakeDesk { return &fakeDesk{} }
	alarmed := func() *fakeDesk {
		d := full()
		d.alarms = []flows.Alarm{{Kind: flows.AlarmPolicy, Count: 3, Since: today.Add(-time.Hour), Words: "5.7.1 Message rejected: the sender's domain has no valid SPF record"}}
		return d
	}
	failing := func() *fakeDesk { return &fakeDesk{n: 40, down: errDown} }
	return []shown{
		{"contacts-full", full, nil},
		{"contacts-end", full, []string{"end"}},
		{"contacts-empty", empty, nil},
		{"contacts-failing", failing, nil},
		{"contacts-hostile", hostile, nil},
		{"contacts-lost", full, []string{"down", "down", lose}},
		{"contacts-coming", full, []string{hold, "pgdown", "pgdown", "pgdown", "pgdown", "pgdown", "pgdown"}},
		{"contacts-sorted", full, []string{"o"}},
		{"contacts-nobody-fits", empty, []string{"f", "right", "enter"}},
		{"contacts-filtered", full, []string{"f", "right", "down", "right", "enter"}},
		{"contacts-marked", full, []string{"   ", "down", " ", "up"}},
		{"unsubscribe-marked", full, []string{"   ", "u"}},
		{"erase-marked", full, []string{"   ", "d"}},
		{"unsubscribed-marked", full, []string{"   ", "u", "right", "enter"}},
		{"contacts-hostile-marked", hostile, []string{"  ", "d"}},
		{"filter", full, []string{"f"}},
		{"search", full, []string{"/", "marie"}},
		{"search-piece", full, []string{"/", "marie", "enter"}},
		{"search-several", full, []string{"/", "two@example.com", "enter"}},
		{"card-full", few, []string{"/two@example.com", "enter", "enter"}},
		{"card-unsubscribed", few, []string{"/1009", "enter"}},
		{"card-pending", few, []string{"/1012", "enter"}},
		{"card-undelivered", few, []string{"/1017", "enter"}},
		{"card-sealed", few, []string{"enter"}},
		{"card-tombstone-sealed", few, []string{"/1006", "enter"}},
		{"card-tombstone-given", few, []string{"/a@b.example", "enter"}},
		{"card-opening", few, []string{hold, "enter"}},
		{"card-failing", few, []string{lose, "enter"}},
		{"card-frozen", few, []string{"z", "disputed", "tab", "right", "enter", "enter"}},
		{"card-end", few, []string{"/two@example.com", "enter", "enter", "end"}},
		{"card-hostile", hostile, []string{"/1012", "enter"}},
		{"card-hostile-end", hostile, []string{"/1012", "enter", "end"}},
		{"export", few, []string{"e"}},
		{"exported", few, []string{"e", "enter"}},
		{"unsubscribe", few, []string{"u"}},
		{"erase", few, []string{"d"}},
		{"erase-picked", few, []string{"d", "asked by letter", "tab", "right"}},
		{"erase-waiting", few, []string{"d", "asked by letter", "tab", "right", hold, "enter", late}},
		{"erase-failing", few, []string{"d", "asked by letter", "tab", "right", lose, "enter"}},
		{"freeze", few, []string{"z"}},
		{"correct", few, []string{"enter", "c"}},
		{"resubscribe", few, []string{"/1006", "enter", "r"}},
		{"import", empty, []string{"i"}},
		{"imported", empty, []string{"i", "people.csv", "tab", "News", "tab", "right", "tab", "right", "tab", "enter"}},
		{"importing", full, []string{hold, "i", "people.csv", "tab", "News", "tab", "tab", "tab", "enter"}},
		{"importing-overview", full, []string{"5", "1", hold, "i", "people.csv", "tab", "News", "tab", "tab", "tab", "enter", "5"}},
		{"quit", full, []string{hold, "i", "people.csv", "tab", "News", "tab", "tab", "tab", "enter", "q"}},
		{"outbox-full", full, []string{"2", "down", "down"}},
		{"outbox-empty", empty, []string{"2"}},
		{"outbox-alarm", alarmed, []string{"2"}},
		{"outbox-failing", failing, []string{"2"}},
		{"outbox-hostile", hostile, []string{"2"}},
		{"outbox-filter", full, []string{"2", "f"}},
		{"outbox-held", full, []string{"2", "f", "h", "enter"}},
		{"outbox-details", full, []string{"2", "down", "down", "enter"}},
		{"outbox-details-hostile", hostile, []string{"2", "down", "enter"}},
		{"outbox-destinations", full, []string{"2", "b"}},
		{"outbox-destinations-hostile", hostile, []string{"2", "b"}},
		{"copy", few, []string{"y"}},
		{"retention", few, []string{":", "evidence", "enter"}},
		{"setting", few, []string{":", "public", "enter"}},
		{"outbox-drop", full, []string{"2", "x"}},
		{"overview-full", full, []string{"5"}},
		{"overview-empty", empty, []string{"5"}},
		{"overview-failing", failing, []string{"5"}},
		{"overview-hostile", hostile, []string{"5"}},
		{"mailbox-full", full, []string{"6"}},
		{"mailbox-empty", empty, []string{"6"}},
		{"mailbox-failing", failing, []string{"6"}},
		{"mailbox-hostile", hostile, []string{"6"}},
		{"mail", full, []string{"6", "enter"}},
		{"mail-hostile", hostile, []string{"6", "enter"}},
		{"mail-link", full, []string{"6", "l"}},
		{"audit-full", full, []string{"4", "down"}},
		{"audit-empty", empty, []string{"4"}},
		{"audit-failing", failing, []string{"4"}},
		{"audit-hostile", hostile, []string{"4", "down"}},
		{"audit-filter", full, []string{"4", "f"}},
		{"audit-filtered", full, []string{"4", "f", "berta", "tab", "export", "enter"}},
		{"audit-details", full, []string{"4", "enter"}},
		{"proof", few, []string{"/a@b.example", "enter", "p"}},
		{"proof-hostile", hostile, []string{"/a@b.example", "enter", "p"}},
		{"requests-full", asked, []string{"3"}},
		{"requests-all", asked, []string{"3", "f", "left", "enter"}},
		{"requests-empty", empty, []string{"3"}},
		{"requests-failing", failing, []string{"3"}},
		{"requests-hostile", evilAsked, []string{"3"}},
		{"request", asked, []string{"3", "f", "right", "right", "enter", "enter"}},
		{"request-hostile", evilAsked, []string{"3", "end", "up", "enter"}},
		{"request-approve", asked, []string{"3", "down", "down", "y"}},
		{"request-close", asked, []string{"3", "x"}},
		{"request-new", asked, []string{"3", "n"}},
		{"export-marked", full, []string{"   ", "e"}},
		{"reveal", few, []string{"v"}},
		{"revealed-hostile", hostile, []string{"v", "enter", "she is on the telephone", "enter", "right", "enter"}},
		{"keys", full, []string{"?"}},
		{"palette-all", full, []string{":"}},
		{"palette-none", full, []string{":", "zzz"}},
		{"palette", full, []string{":", "exp"}},
		{"history", full, []string{"r", "!"}},
		{"history-empty", full, []string{"!"}},
	}
}

// TestTooSmall: a window in which nothing fits says so, and what is told in
// colours elsewhere is not needed for it.
func TestTooSmall(t *testing.T) {
	known := legend(t)
	for _, size := range [][2]int{{40, 10}, {59, 30}, {140, 14}} {
		golden(t, fmt.Sprintf("too-small-%dx%d", size[0], size[1]), start(t, few(), size[0], size[1]).keys("d").picture(known))
	}
}
