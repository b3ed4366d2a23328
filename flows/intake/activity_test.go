package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func readActivity(t *testing.T, content string, o Options) []Row {
	t.Helper()
	r, err := OpenActivity(file(t, content), o)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, r)
}

func TestActivity(t *testing.T) {
	at := time.Date(2026, 1, 5, 7, 8, 9, 0, time.UTC)
	for name, c := range map[string]struct {
		content string
		o       Options
		want    []Row
	}{
		"by address": {
			"address,kind,at,city,country,list,campaign\na@b.dk,open,2026-01-05T07:08:09Z,Aarhus,Denmark,News,42\n",
			Options{},
			[]Row{{Line: 2, Email: "a@b.dk", City: "Aarhus", Country: "Denmark", Own: []Field{{"campaign", "42"}}, Event: Event{Kind: Opened, At: at, List: "News"}}},
		},
		"by SubscriberID, in Danish": {
			"SubscriberID;hændelse;tidspunkt\n17;Klikket;05.01.2026 07:08:09\n",
			Options{},
			[]Row{{Line: 2, Event: Event{SubscriberID: 17, Kind: Clicked, At: at}}},
		},
		"JSON lines": {
			`{"email":"a@b.dk","type":"profile_updated","timestamp":"2026-01-05 07:08:09"}` + "\n",
			Options{},
			[]Row{{Line: 1, Email: "a@b.dk", Event: Event{Kind: Updated, At: at}}},
		},
		"a surer column for the kind": {
			"email,type,event,at\na@b.dk,html,open,2026-01-05T07:08:09Z\n",
			Options{},
			[]Row{{Line: 2, Email: "a@b.dk", Own: []Field{{"type", "html"}}, Event: Event{Kind: Opened, At: at}}},
		},
		"mapped": {
			"who,what,at\na@b.dk,OPEN,2026-01-05T07:08:09Z\n",
			Options{Map: map[string]string{"who": "email", "what": "kind"}},
			[]Row{{Line: 2, Email: "a@b.dk", Event: Event{Kind: Opened, At: at}}},
		},
		"lines that can't be used": {"id,kind,at\n0,open,2026-01-05\nx,open,2026-01-05\n1,bounce,2026-01-05\n1,open,9999-01-01\n1,open,yesterday\n", Options{}, []Row{
			{Line: 2, Problem: "the SubscriberID is not a whole number from 1"},
			{Line: 3, Problem: "the SubscriberID is not a whole number from 1"},
			{Line: 4, Problem: "the kind is none of open, click and update"},
			{Line: 5, Problem: "the time lies in the future"},
			{Line: 6, Problem: "the time is not a date that can be read"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readActivity(t, c.content, c.o), rowsEqual); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestActivityWithoutItsColumns(t *testing.T) {
	for content, want := range map[string]string{
		"name,kind,at\n":            "no column holds addresses or SubscriberIDs",
		"email,at\n":                "which one is kind?",
		"email,kind\n":              "which one is at?",
		"a@b.dk,open,2026-01-05\n":  "the first line holds values",
		"email,address,kind,at\n\n": "both hold the field email",
	} {
		_, err := OpenActivity(file(t, content), Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "a@b.dk") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// TestContactsKnowNoActivity: a column named kind or list stays one of the
// company's own in a file of contacts.
func TestContactsKnowNoActivity(t *testing.T) {
	_, rows := read(t, "email,kind,at,list\na@b.dk,open,here,News\n", Options{})
	want := []Row{{Line: 2, Email: "a@b.dk", Own: []Field{{"kind", "open"}, {"at", "here"}, {"list", "News"}}}}
	if diff := cmp.Diff(want, rows, rowsEqual); diff != "" {
		t.Error(diff)
	}
}
