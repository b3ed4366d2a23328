package tui

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"kartotek/flows"
)

func (d *fakeDesk) Reveal(_ context.Context, _ flows.Actor, id int64, what, reason string) (flows.Revealed, error) {
	if len(reason) < 10 {
		return flows.Revealed{}, &flows.Refusal{Why: "say why in ten characters or more"}
	}
	err := d.begin(fmt.Sprintf("reveal %d %s: %s", id, what, reason))
	value := "marie.jensen@example.dk"
	if d.hostile {
		value = evil
	}
	return flows.Revealed{SubscriberID: id, What: what, Value: value}, err
}

// TestReveal: a value shows for 30 seconds after a reason was given.
func TestReveal(t *testing.T) {
	d := few()
	c := start(t, d, 100, 30).keys("v").wants("It shows for 30 seconds")
	c.keys("enter", "why", "enter", "right", "enter").wants("say why in ten characters").lacks("marie.jensen")
	c.keys("up", " she is on the telephone", "enter", "enter").wants("marie.jensen@example.dk")
	c.later()
	c.lacks("marie.jensen@example.dk")
	if !slices.Equal(d.did, []string{"reveal 1040 email: why she is on the telephone"}) {
		t.Errorf("it did %q", d.did)
	}
}
