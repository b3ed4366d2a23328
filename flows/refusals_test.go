package flows

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kartotek/store"
)

// TestRefusalsLeaveATrace: what a rule forbids staff is in the audit, with the
// card and the rule and nothing that they typed; the act itself left nothing.
func TestRefusalsLeaveATrace(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	brought := func(address string, to Permission) int64 {
		d.bring(address, to)
		return d.newest(address).SubscriberID
	}
	frozen, gone, here := brought("frozen@example.dk", Confirmed), brought("gone@example.dk", Deleted), brought("here@example.dk", Confirmed)
	_, err := d.Freeze(ctx, anna, frozen, "the person disputes it")
	d.must(err)
	for _, c := range []struct {
		name, why string
		card      int64
		do        func() error
	}{
		{"frozen", "unsubscribe: the card is frozen", frozen, func() error { return err2(d.Unsubscribe(ctx, anna, frozen, "")) }},
		{"frozen again", "freeze: ", frozen, func() error { return err2(d.Freeze(ctx, anna, frozen, "once more for luck")) }},
		{"correcting a frozen card", "correct: ", frozen, func() error { return err2(d.Correct(ctx, anna, frozen, "first_name", "Marie")) }},
		{"correcting a tombstone", "correct: ", gone, func() error { return err2(d.Correct(ctx, anna, gone, "first_name", "Marie")) }},
		{"revealing a tombstone", "reveal: a tombstone holds nothing", gone, func() error { return err2(d.Reveal(ctx, anna, gone, RevealEmail, "is on the telephone")) }},
		{"revealing without a reason", "reveal: say why", here, func() error { return err2(d.Reveal(ctx, anna, here, RevealEmail, "why")) }},
		{"resubscribing who is there", "resubscribe: card … is …", here, func() error {
			return err2(d.Resubscribe(ctx, anna, Resubscription{Address: "here@example.dk", List: "News", Asked: "by telephone"}))
		}},
		{"a reason that names the person", "erase: … names the person", here, func() error { return err2(d.Erase(ctx, anna, "here@example.dk", "here@example.dk asked")) }},
		{"unsubscribing twice", "", 0, func() error { return err2(d.UndoUnsubscribe(ctx, anna, here)) }},
		{"a key that there is not", "staff: ", 0, func() error { return err2(d.AddStaff(ctx, anna, "secret name!", Support, "")) }},
		{"a bulk export without a key", "export: ", 0, func() error { return err2(d.AskExport(ctx, anna, BulkWish{All: true, Reason: "yearly copy"})) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.pass(time.Minute)
			before := d.state()
			said := c.do()
			var refusal *Refusal
			if !errors.As(said, &refusal) {
				t.Fatalf("it says %v", said)
			}
			rows, err := d.store.Audit(ctx, store.AuditQuery{Limit: 2})
			d.must(err)
			r := rows[0]
			if r.Act != "refused" || r.Actor != anna.Name || !strings.HasPrefix(r.Why, c.why) || c.card != 0 && r.SubscriberID != c.card || rows[1].Act == "refused" && rows[1].At == r.At {
				t.Errorf("the row is %+v", r)
			}
			for _, word := range []string{"@", "secret", "Marie"} {
				if strings.Contains(r.Why, word) {
					t.Errorf("the audit keeps what was typed: %q", r.Why)
				}
			}
			if after := d.state(); after != before {
				t.Errorf("the act left something: %s, and before %s", after, before)
			}
		})
	}
}

// state is what refused acts may not change.
func (d *desk) state() string {
	d.t.Helper()
	out := ""
	for id := int64(1); ; id++ {
		c, err := d.store.Contact(d.t.Context(), id)
		if errors.Is(err, ErrNotFound) {
			return out
		}
		d.must(err)
		out += fmt.Sprintf("%d:%d:%d ", id, c.Version, c.Acts)
	}
}

// refusedRows counts the refusals in the audit.
func (d *desk) refusedRows() int {
	d.t.Helper()
	rows, err := d.store.Audit(d.t.Context(), store.AuditQuery{Act: "refused", Limit: 500})
	d.must(err)
	return len(rows)
}

// TestRefusalsAreBounded: a flood of refusals of one kind leaves a few rows,
// and one that counts the rest.
func TestRefusalsAreBounded(t *testing.T) {
	d := newDesk(t)
	for range 500 {
		if _, err := d.AddStaff(t.Context(), anna, "not a name!", Support, ""); err == nil {
			t.Fatal("it was taken")
		}
	}
	if n := d.refusedRows(); n > refusalsEach {
		t.Errorf("%d rows", n)
	}
	d.pass(time.Minute)
	d.must(d.tellRefusals(t.Context()))
	rows, err := d.store.Audit(t.Context(), store.AuditQuery{Limit: 1})
	if d.must(err); len(rows) != 1 || !strings.HasSuffix(rows[0].Why, fmt.Sprintf("%d times more", 500-refusalsEach)) {
		t.Errorf("the rest: %+v", rows)
	}
	d.must(d.tellRefusals(t.Context()))
	if n := d.refusedRows(); n != refusalsEach+1 {
		t.Errorf("%d rows in the end", n)
	}
}

// TestFloodOfSignUps: strangers who sign up again and again, or sign up those
// who are frozen or get no mail, leave no more rows for it anywhere.
func TestFloodOfSignUps(t *testing.T) {
	d := newLogged(t)
	ctx := t.Context()
	d.bring("frozen@example.dk", Confirmed)
	_, err := d.Freeze(ctx, anna, d.newest("frozen@example.dk").SubscriberID, "the person disputes it")
	d.must(err)
	signUp := func(address string) {
		t.Helper()
		d.must(d.SignUp(ctx, SignUp{Slug: "news", Address: address, Agreed: true, Client: click}))
	}
	sizes := func() string {
		out := ""
		for _, table := range append([]string{"outbox", "tokens", "limits", "memberships", "notices"}, logTables...) {
			out += fmt.Sprintf("%s %d, ", table, d.number("SELECT COUNT(*) FROM "+table))
		}
		return out
	}
	for range 3 {
		signUp("new@example.dk")
		signUp("frozen@example.dk")
	}
	before := sizes()
	for range 200 {
		signUp("new@example.dk")
		signUp("frozen@example.dk")
	}
	if after := sizes(); after != before {
		t.Errorf("a flood leaves rows: %s, and before %s", after, before)
	}
}
