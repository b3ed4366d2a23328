package flows

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/store"
)

// onTwo brings an address to two lists, and returns its card.
func (d *desk) onTwo(address string) Card {
	d.t.Helper()
	d.bring(address, Confirmed)
	d.signUp(address, "shop")
	d.confirmNewest()
	return d.newest(address)
}

// TestUndo: what an unsubscribing changed is as it was, to the second, and
// both acts stay in the evidence and the audit.
func TestUndo(t *testing.T) {
	for name, list := range map[string]string{"one list": "News", "all lists": ""} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			ctx := t.Context()
			before := d.onTwo(marie)
			stored, err := d.store.Contact(ctx, before.SubscriberID)
			d.must(err)
			history, err := d.Overview(ctx, anna)
			d.must(err)
			d.pass(time.Minute)
			_, err = d.Unsubscribe(ctx, anna, before.SubscriberID, list)
			d.must(err)
			if until := d.UndoUntil(anna, before.SubscriberID); !until.Equal(d.time.Add(UndoWithin)) {
				t.Errorf("it can be undone until %v", until)
			}
			d.pass(UndoWithin)
			_, err = d.UndoUnsubscribe(ctx, anna, before.SubscriberID)
			d.must(err)
			after := d.newest(marie)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the card (-before +after)\n%s", diff)
			}
			now, err := d.store.Contact(ctx, before.SubscriberID)
			if d.must(err); now.WithdrawnAt != stored.WithdrawnAt {
				t.Error("the withdrawal is still noted")
			}
			acts, err := d.store.EvidenceOf(ctx, before.SubscriberID)
			d.must(err)
			n := len(acts)
			if acts[n-1].Kind != store.Restoration || acts[n-1].At != store.At(d.time) {
				t.Errorf("the last evidence is %s", acts[n-1].Kind)
			}
			rows, err := d.Audit(ctx, anna, AuditFilter{SubscriberID: before.SubscriberID}, 0, 3)
			if d.must(err); rows[1].Act != "undo unsubscribe" || rows[2].Act != "unsubscribe" {
				t.Errorf("the audit says %+v", rows)
			}
			if since, err := d.Overview(ctx, anna); err != nil || since.Days[len(since.Days)-1].Resubscribed != history.Days[len(history.Days)-1].Resubscribed {
				t.Errorf("undoing counts as coming back: %v", err)
			}
			if res := d.importOne(marie); res.Refused != 0 {
				t.Errorf("an import after it: %+v", res)
			}
			d.check()
		})
	}
}

// TestUndoIsRefused as soon as it is late, somebody else asks, or anything
// else has happened; and nothing is changed then.
func TestUndoIsRefused(t *testing.T) {
	bob := Actor{Name: "bob", Role: Owner, From: "test"}
	for name, c := range map[string]struct {
		meanwhile func(d *desk, id int64, link string)
		who       Actor
	}{
		"too late":       {func(d *desk, _ int64, _ string) { d.pass(UndoWithin + time.Microsecond) }, anna},
		"somebody else":  {func(*desk, int64, string) {}, bob},
		"without rights": {func(*desk, int64, string) {}, Actor{Name: "anna", Role: Support}},
		"frozen": {func(d *desk, id int64, _ string) {
			_, err := d.Freeze(d.t.Context(), anna, id, "disputed")
			d.must(err)
		}, anna},
		"erased": {func(d *desk, id int64, _ string) {
			_, err := d.Erase(d.t.Context(), anna, marie, "asked for it")
			d.must(err)
		}, anna},
		"signed up again": {func(d *desk, _ int64, _ string) {
			d.must(d.SignUp(d.t.Context(), SignUp{Slug: "news", Address: marie, Agreed: true, Client: click}))
		}, anna},
		"the person's own click": {func(d *desk, id int64, link string) {
			_, err := d.UndoUnsubscribe(d.t.Context(), anna, id)
			d.must(err)
			_, err = d.UnsubscribeByToken(d.t.Context(), link, true, click)
			d.must(err)
		}, anna},
		"undone already": {func(d *desk, id int64, _ string) {
			_, err := d.UndoUnsubscribe(d.t.Context(), anna, id)
			d.must(err)
		}, anna},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			id := d.onTwo(marie).SubscriberID
			link := d.link("unsubscribe")
			d.pass(25 * time.Hour)
			_, err := d.Unsubscribe(t.Context(), anna, id, "")
			d.must(err)
			c.meanwhile(d, id, link)
			before := d.newest(marie)
			var refusal *Refusal
			if _, err := d.UndoUnsubscribe(t.Context(), c.who, id); !errors.As(err, &refusal) {
				t.Errorf("it was not refused: %v", err)
			}
			if diff := cmp.Diff(before, d.newest(marie)); diff != "" {
				t.Errorf("the card (-before +after)\n%s", diff)
			}
			d.check()
		})
	}
}

// TestUndoOfASignUpThatWaits: its link is gone, so it can't be undone.
func TestUndoOfASignUpThatWaits(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Pending)
	id := d.newest(marie).SubscriberID
	_, err := d.Unsubscribe(t.Context(), anna, id, "")
	d.must(err)
	var refusal *Refusal
	if _, err := d.UndoUnsubscribe(t.Context(), anna, id); !errors.As(err, &refusal) || !d.UndoUntil(anna, id).IsZero() {
		t.Errorf("undoing: %v", err)
	}
}

func TestUndoInTheTable(t *testing.T) {
	for from, want := range map[Permission]Outcome{
		Unknown: {Verdict: Impossible}, Pending: {Verdict: Refused}, withdrawnAgain: {Verdict: Refused},
		Confirmed: {Verdict: NoChange}, Unsubscribed: {Verdict: Move, To: Confirmed}, Deleted: {Verdict: Refused},
	} {
		if got := table[from][ActUndo]; got != want {
			t.Errorf("%s: %+v, want %+v", from, got, want)
		}
	}
}

// TestLeavingAllCallsOffTheRest: of two letters to an erased person, one brought
// them back. Once they have left every list, the other must not put them on one.
func TestLeavingAllCallsOffTheRest(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Deleted)
	d.signUp(marie, "shop")
	older := d.link("confirm")
	d.signUp(marie, "news")
	d.confirmNewest()
	id := d.newest(marie).SubscriberID
	d.pass(time.Minute)
	_, err := d.Unsubscribe(ctx, anna, id, "")
	d.must(err)
	if !d.UndoUntil(anna, id).IsZero() {
		t.Error("it can be undone, without what was called off")
	}
	page, err := d.Confirm(ctx, older, click)
	if d.must(err); page.State != PageUnknown {
		t.Errorf("the older letter's link is %s", page.State)
	}
	if c := d.newest(marie); c.Permission != Unsubscribed || c.WaitingUntil != nil {
		t.Errorf("the card is %s, waiting until %v", c.Permission, c.WaitingUntil)
	}
	letters, err := d.store.LettersOf(ctx, id)
	d.must(err)
	for _, l := range letters {
		if l.State.Open() {
			t.Errorf("letter %d still goes out", l.ID)
		}
	}
	d.check()
}
