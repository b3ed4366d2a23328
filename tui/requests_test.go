package tui

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"kartotek/flows"
)

// withRequests gives the fake a person's requests, one of them late, and bulk
// exports that wait, are made and are gone.
func (d *fakeDesk) withRequests() *fakeDesk {
	day := 24 * time.Hour
	note := func(s string) string {
		if d.hostile {
			return evil
		}
		return s
	}
	soon := today.Add(5 * day)
	d.requests = []flows.Request{
		{ID: 3, Kind: "erase", State: "open", SubscriberID: ptr(int64(1003)), Received: today.Add(-33 * day), Due: today.Add(-2 * day), By: "bo", Note: note("by letter")},
		{ID: 5, Kind: "access", State: "open", SubscriberID: ptr(int64(1007)), Received: today.Add(-28 * day), Due: today.Add(3 * day), By: "bo", Note: note("at the counter")},
		{ID: 6, Kind: "export", State: "open", Received: today.Add(-2 * time.Hour), Due: today.Add(7 * day), By: note("bo"), Note: note("the move to another shop"), Export: &flows.BulkExport{What: note("the list News")}},
		{ID: 7, Kind: "export", State: "open", Received: today.Add(-time.Hour), Due: today.Add(7 * day), By: "anna", Note: "yearly copy", Export: &flows.BulkExport{What: "everybody"}},
		{ID: 4, Kind: "export", State: "done", Received: today.Add(-3 * day), Due: today.Add(4 * day), Closed: ptr(today.Add(-2 * day)), By: "bo", ClosedBy: "anna", Note: note("for the printer"), Export: &flows.BulkExport{What: "the list News", File: "bulk-4-ABCDEF.jsonl.age", Machine: "desk", Contacts: 1234, Expires: &soon}},
		{ID: 1, Kind: "object", State: "refused", SubscriberID: ptr(int64(1009)), Received: today.Add(-90 * day), Due: today.Add(-60 * day), Closed: ptr(today.Add(-80 * day)), By: "anna", ClosedBy: "bo", Note: "by telephone", Answer: note("there is no such use")},
	}
	return d
}

func (d *fakeDesk) Requests(_ context.Context, _ flows.Actor, state string, _ int64, _ int) ([]flows.Request, error) {
	if err := d.begin(""); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.requests), func(r flows.Request) bool { return state != "" && r.State != state }), nil
}

// requestAct does an act on a request, as far as a fake needs to.
func (d *fakeDesk) requestAct(what string, id int64, state string) (flows.Request, error) {
	if err := d.begin(fmt.Sprintf("%s %d", what, id)); err != nil {
		return flows.Request{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.requests {
		if d.requests[i].ID == id {
			d.requests[i].State = state
			return d.requests[i], nil
		}
	}
	return flows.Request{}, flows.ErrNotFound
}

func (d *fakeDesk) AddRequest(_ context.Context, _ flows.Actor, n flows.NewRequest) (flows.Request, error) {
	err := d.begin(fmt.Sprintf("add request %s %d %s", n.Kind, n.SubscriberID, n.Note))
	return flows.Request{ID: 8, State: "open"}, err
}

func (d *fakeDesk) CloseRequest(_ context.Context, _ flows.Actor, id int64, refused bool, answer string) (flows.Request, error) {
	if refused && answer == "" {
		return flows.Request{}, &flows.Refusal{Why: "a request is refused with a reason"}
	}
	return d.requestAct("close request "+answer, id, map[bool]string{true: "refused", false: "done"}[refused])
}

func (d *fakeDesk) Approve(_ context.Context, _ flows.Actor, id int64, progress func(flows.ImportProgress)) (flows.Request, error) {
	progress(flows.ImportProgress{Read: 1234})
	r, err := d.requestAct("approve", id, "done")
	if err == nil {
		r.Export = &flows.BulkExport{What: r.Export.What, File: "bulk-6-ABCDEF.jsonl.age", Contacts: 1234}
	}
	return r, err
}

func (d *fakeDesk) Reject(_ context.Context, _ flows.Actor, id int64, reason string) (flows.Request, error) {
	return d.requestAct("reject "+reason, id, "refused")
}

func TestRequests(t *testing.T) {
	d := (&fakeDesk{n: 40}).withMail().withRequests()
	c := start(t, d, 140, 40).keys(":", "requests", "enter")
	c.wants("▲ late", "#1003", "1 of 4 open", "the list News")
	c.keys("y").wants("only a bulk export is approved")
	c.keys("down", "down", "down", "y").wants("a second person approves")
	c.keys("up", "x").wants("a bulk export is approved or rejected")
	c.keys("y").wants("bo asks for the list News").keys("right", "enter").wants("1,234 contacts are in bulk-6-ABCDEF.jsonl.age", "3 of 3 open")
	c.keys("b", "not needed", "enter", "right", "enter").wants("request 7 is refused")
	c.keys("home", "x", "right", "enter", "enter", "right", "enter").wants("a request is refused with a reason")
	c.keys("up", "no longer here", "enter", "enter").wants("request 3 is refused", "#1007")
	c.keys("n", "1012", "enter", "right", "enter", "by letter", "enter", "enter").wants("request 8 is open")
	want := []string{"approve 6", "reject not needed 7", "close request no longer here 3", "add request correct 1012 by letter"}
	if !slices.Equal(d.did, want) {
		t.Errorf("it did %q, want %q", d.did, want)
	}
}
