package flows

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
)

// letterIn makes a letter to a pending contact and brings it into a state.
func (d *desk) letterIn(state string) int64 {
	d.t.Helper()
	ctx := d.t.Context()
	d.bring(marie, Pending)
	id := int64(d.countLetters())
	claim := func() mta.Letter {
		got, err := d.Spool().Claim(ctx, "me", 10, 0, time.Minute)
		if d.must(err); len(got) != 1 {
			d.t.Fatalf("claimed %d letters", len(got))
		}
		return got[0]
	}
	mark := func(v mta.Verdict) {
		v.At = d.time
		d.must(d.Spool().Mark(ctx, claim(), v))
	}
	switch state {
	case "sending":
		claim()
	case "deferred":
		mark(mta.Verdict{State: mta.Deferred, Retry: d.time.Add(time.Hour)})
	case "held":
		_, err := d.Hold(ctx, anna, id)
		d.must(err)
	case "refused":
		mark(mta.Verdict{State: mta.Refused})
	case "delivered":
		mark(mta.Verdict{State: mta.Delivered})
	}
	l, err := d.Letter(ctx, anna, id)
	if d.must(err); l.State != state {
		d.t.Fatalf("the letter is %s, want %s", l.State, state)
	}
	return id
}

// act does an act on a letter and returns its state afterwards, "refused by a
// rule", or "gone".
func (d *desk) act(who Actor, act string, id int64) string {
	d.t.Helper()
	ctx := d.t.Context()
	var err error
	switch act {
	case ActRetry:
		_, err = d.Retry(ctx, who, id)
	case ActHold:
		_, err = d.Hold(ctx, who, id)
	case ActRelease:
		_, err = d.Release(ctx, who, id)
	case ActDrop:
		err = d.Drop(ctx, who, id, "sent by mistake")
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return "–"
	}
	d.must(err)
	l, err := d.Letter(ctx, anna, id)
	if errors.Is(err, ErrNotFound) {
		return "gone"
	}
	d.must(err)
	return l.State
}

func TestOutboxActs(t *testing.T) {
	acts := []string{ActRetry, ActHold, ActRelease, ActDrop}
	for state, want := range map[string][4]string{
		"due":       {"–", "held", "–", "gone"},
		"deferred":  {"due", "held", "–", "gone"},
		"sending":   {"–", "–", "–", "–"},
		"held":      {"–", "–", "due", "gone"},
		"refused":   {"–", "–", "–", "gone"},
		"delivered": {"–", "–", "–", "–"},
	} {
		for i, act := range acts {
			t.Run(state+"/"+act, func(t *testing.T) {
				d := newDesk(t)
				id := d.letterIn(state)
				l, err := d.Letter(t.Context(), anna, id)
				d.must(err)
				if why := d.WhyLetter(anna, act, l); (why == "") != (want[i] != "–") {
					t.Errorf("said before: %q", why)
				}
				rows, err := d.Audit(t.Context(), anna, AuditFilter{}, 0, 100)
				d.must(err)
				if got := d.act(anna, act, id); got != want[i] {
					t.Errorf("%s, %s: %s, want %s", state, act, got, want[i])
				}
				after, err := d.Audit(t.Context(), anna, AuditFilter{}, 0, 100)
				d.must(err)
				did, done := act+" letter", want[i] != "–"
				if len(after) != len(rows)+1 || done && (after[0].Act != did || *after[0].SubscriberID != l.SubscriberID) ||
					!done && (after[0].Act != "refused" || !strings.HasPrefix(after[0].Why, did)) {
					t.Errorf("audit: %+v", after[0])
				}
				d.checkOutbox()
			})
		}
	}
}

// checkOutbox compares the outbox's counters with its rows, and what is due
// with what has a text.
func (d *desk) checkOutbox() {
	d.t.Helper()
	rows, err := d.store.Letters(d.t.Context(), 0, 1000)
	d.must(err)
	counted := map[string]int64{}
	for _, l := range rows {
		counted[l.State.String()]++
		_, err := d.store.Envelope(d.t.Context(), l.ID)
		if has := !errors.Is(err, ErrNotFound); has != (l.State.Open() || l.State == store.LetterHeld) {
			d.t.Errorf("letter %d in state %d has a text: %v", l.ID, l.State, has)
		}
	}
	today := store.DayOf(d.time)
	h, err := d.store.History(d.t.Context(), today, today)
	d.must(err)
	for _, state := range []string{"due", "sending", "deferred", "held"} {
		if got := h.At("outbox/"+state, today); got != counted[state] {
			d.t.Errorf("counted %d letters %s, there are %d", got, state, counted[state])
		}
	}
}

func TestRetriedLetterIsDue(t *testing.T) {
	d := newDesk(t)
	woken := 0
	d.OnLetter(func() { woken++ })
	id := d.letterIn("deferred")
	if got, err := d.Spool().Claim(t.Context(), "me", 10, 0, time.Minute); err != nil || len(got) != 0 {
		t.Fatalf("claimed %d before its time, %v", len(got), err)
	}
	before := woken
	if d.act(anna, ActRetry, id); woken != before+1 {
		t.Error("the sender was not told")
	}
	if got, err := d.Spool().Claim(t.Context(), "me", 10, 0, time.Minute); err != nil || len(got) != 1 {
		t.Errorf("claimed %d, %v", len(got), err)
	}
}

func TestLettersOfAFrozenCardStayHeld(t *testing.T) {
	d := newDesk(t)
	id := d.letterIn("due")
	_, err := d.Freeze(t.Context(), anna, d.newest(marie).SubscriberID, "disputed")
	d.must(err)
	if _, err := d.Release(t.Context(), anna, id); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("released: %v", err)
	}
	d.checkOutbox()
}

func TestOutboxActsRefuse(t *testing.T) {
	d := newDesk(t)
	id := d.letterIn("due")
	for _, act := range []string{ActRetry, ActHold, ActRelease, ActDrop} {
		if got := d.act(Actor{Name: "x", Role: Support}, act, id); got != "–" {
			t.Errorf("support may %s: %s", act, got)
		}
	}
	for _, reason := range []string{"", "wrote from " + marie} {
		var refusal *Refusal
		if err := d.Drop(t.Context(), anna, id, reason); !errors.As(err, &refusal) {
			t.Errorf("%q: %v", reason, err)
		}
	}
	if _, err := d.Hold(t.Context(), anna, 999); !errors.Is(err, ErrNotFound) {
		t.Errorf("holding no letter: %v", err)
	}
	if got := d.act(Actor{Name: "x", Role: Marketer}, ActHold, id); got != "held" {
		t.Errorf("a marketer may not hold: %s", got)
	}
	d.checkOutbox()
}
