package tui

import (
	"fmt"
	"testing"
	"time"

	"kartotek/flows"
)

// TestScreens holds every screen against its golden picture, small and large,
// empty, full, failing, and with hostile texts.
func TestScreens(t *testing.T) {
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
	for _, s := range []struct {
		name string
		desk func() *fakeDesk
		keys []string
	}{
		{"contacts-full", full, nil},
		{"contacts-end", full, []string{"end"}},
		{"contacts-empty", empty, nil},
		{"contacts-failing", failing, nil},
		{"contacts-hostile", hostile, nil},
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
		{"card-pending", few, []string{"/1009", "enter"}},
		{"card-sealed", few, []string{"enter"}},
		{"card-tombstone-sealed", few, []string{"/1006", "enter"}},
		{"card-tombstone-given", few, []string{"/a@b.example", "enter"}},
		{"card-hostile", hostile, []string{"/1012", "enter"}},
		{"card-hostile-end", hostile, []string{"/1012", "enter", "end"}},
		{"export", few, []string{"e"}},
		{"exported", few, []string{"e", "enter"}},
		{"unsubscribe", few, []string{"u"}},
		{"erase", few, []string{"d"}},
		{"resubscribe", few, []string{"/1006", "enter", "r"}},
		{"import", empty, []string{"i"}},
		{"outbox-full", full, []string{"2", "down", "down"}},
		{"outbox-empty", empty, []string{"2"}},
		{"outbox-alarm", alarmed, []string{"2"}},
		{"outbox-failing", failing, []string{"2"}},
		{"outbox-hostile", hostile, []string{"2"}},
		{"outbox-filter", full, []string{"2", "f"}},
		{"outbox-held", full, []string{"2", "f", "h", "enter"}},
		{"outbox-details", full, []string{"2", "down", "down", "enter"}},
		{"outbox-details-hostile", hostile, []string{"2", "down", "enter"}},
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
		{"palette", full, []string{":", "exp"}},
		{"history", full, []string{"r", "!"}},
	} {
		for _, size := range [][2]int{{80, 24}, {140, 40}} {
			name := fmt.Sprintf("%s-%dx%d", s.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				start(t, s.desk(), size[0], size[1]).keys(s.keys...).golden(name)
			})
		}
	}
}
