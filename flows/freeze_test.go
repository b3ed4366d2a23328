package flows

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kartotek/store"
)

func TestFrozenCard(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Pending)
	secret := d.link("confirm")
	id := d.newest(marie).SubscriberID
	if card, err := d.Freeze(ctx, anna, id, "the person disputes the data"); err != nil || !card.Frozen {
		t.Fatalf("freezing: %+v, %v", card, err)
	}
	var refusal *Refusal
	if _, err := d.Confirm(ctx, secret, click); !errors.As(err, &refusal) {
		t.Errorf("confirming: %v", err)
	}
	if _, err := d.Unsubscribe(ctx, anna, id, ""); !errors.As(err, &refusal) {
		t.Errorf("unsubscribing: %v", err)
	}
	if _, err := d.Correct(ctx, anna, id, "city", "Aarhus"); !errors.As(err, &refusal) {
		t.Errorf("correcting: %v", err)
	}
	if due, err := d.store.AnyDue(ctx, store.At(d.time), 1, 0); err != nil || due {
		t.Errorf("letters would go out: %v, %v", due, err)
	}
	before := d.countLetters()
	d.signUp(marie, "shop")
	if d.countLetters() != before {
		t.Error("a frozen card gets mail")
	}
	if _, err := d.Export(ctx, anna, marie, nil, "json", ""); err != nil {
		t.Errorf("exporting: %v", err)
	}
	if card, err := d.Unfreeze(ctx, anna, id, "settled"); err != nil || card.Frozen {
		t.Fatalf("unfreezing: %+v, %v", card, err)
	}
	if due, err := d.store.AnyDue(ctx, store.At(d.time), 1, 0); err != nil || !due {
		t.Errorf("letters go on: %v, %v", due, err)
	}
	if counts, err := d.Counts(ctx, anna); err != nil || counts.Due != 1 {
		t.Errorf("the counter says %d, %v", counts.Due, err)
	}
	if page, err := d.Confirm(ctx, secret, click); err != nil || page.State != PageDone {
		t.Errorf("confirming after all: %s, %v", page.State, err)
	}
	if _, err := d.Freeze(ctx, anna, id, "again"); err != nil {
		t.Error(err)
	}
	if _, err := d.Erase(ctx, anna, marie, "asked for it"); err != nil {
		t.Errorf("erasing: %v", err)
	}
	d.check()
}

func TestCorrect(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	for field, value := range map[string]string{"mobile": "+45 20 12 34 56", "last_name": "Jensen\r\nBcc: x", "language": "sv"} {
		if _, err := d.Correct(ctx, anna, id, field, value); err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
	var refusal *Refusal
	for _, c := range [][2]string{{"email", "other@example.dk"}, {"mobile", "20123456"}, {"language", "klingon"}, {"own:shop", "x"}, {"nothing", "x"}} {
		if _, err := d.Correct(ctx, anna, id, c[0], c[1]); !errors.As(err, &refusal) {
			t.Errorf("%s: %v", c[0], err)
		}
	}
	f, err := d.Find(ctx, anna, "+4520123456")
	if d.must(err); len(f.Cards) != 1 || *f.Cards[0].MobileMasked != "+4520****56" {
		t.Errorf("found by the new number: %+v", f.Cards)
	}
	card, err := d.Open(ctx, anna, id, &Given{mustAddress(t, marie)})
	d.must(err)
	if card.LastName != "Jensen Bcc: x" || card.Updates != 3 {
		t.Errorf("the card: %+v", card)
	}
	for _, e := range card.Timeline {
		if strings.Contains(e.Note, "Jensen") || strings.Contains(e.Note, "+45") {
			t.Errorf("the evidence tells the value: %+v", e)
		}
	}
	if _, err := d.Correct(ctx, anna, id, "mobile", ""); err != nil || d.newest(marie).MobileMasked != nil {
		t.Errorf("taking a number out: %v", err)
	}
}

func mustAddress(t *testing.T, s string) store.Address {
	t.Helper()
	a, err := store.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestFrozenIsNotForgotten: the clock takes a sign-up that waits as little from
// a frozen card as anybody else does, until the card is unfrozen.
func TestFrozenIsNotForgotten(t *testing.T) {
	for _, from := range []Permission{Pending, Confirmed, withdrawnAgain} {
		d := newDesk(t)
		ctx := t.Context()
		d.bring(marie, from)
		d.signUp(marie, "shop")
		before := d.newest(marie)
		_, err := d.Freeze(ctx, anna, before.SubscriberID, "needed for a claim")
		d.must(err)
		for range 3 {
			d.pass(ConfirmWithin)
			d.must(d.Tick(ctx))
		}
		if card := d.newest(marie); !card.Frozen || card.ListNames() != before.ListNames() || card.Permission != before.Permission {
			t.Errorf("%v: frozen, it became %v %q", from, card.Permission, card.ListNames())
		}
		d.check()
		_, err = d.Unfreeze(ctx, anna, before.SubscriberID, "settled")
		d.must(err)
		d.pass(frozenPause)
		d.must(d.Tick(ctx))
		if card := d.newest(marie); card.WaitingUntil != nil || (card.SubscriberID == 0) != (from == Pending) {
			t.Errorf("%v: unfrozen, it still waits: %+v", from, card)
		}
	}
}

// TestUnfreezingLeavesHeldLetters: what staff hold by hand isn't let go by the
// card's being frozen and unfrozen; what was held with the card goes on.
func TestUnfreezingLeavesHeldLetters(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	held := d.letterIn("held")
	l, err := d.Letter(ctx, anna, held)
	d.must(err)
	d.pass(time.Hour)
	d.signUp(marie, "shop") // another letter to the same person
	_, err = d.Freeze(ctx, anna, l.SubscriberID, "disputed")
	d.must(err)
	if counts, err := d.OutboxStats(ctx, anna); err != nil || counts.Due != 0 || counts.Held != 2 {
		t.Errorf("frozen: %+v, %v", counts, err)
	}
	_, err = d.Unfreeze(ctx, anna, l.SubscriberID, "settled")
	d.must(err)
	if counts, err := d.OutboxStats(ctx, anna); err != nil || counts.Due != 1 || counts.Held != 1 {
		t.Errorf("unfrozen: %+v, %v", counts, err)
	}
	if l, err = d.Letter(ctx, anna, held); err != nil || l.State != "held" {
		t.Errorf("what staff hold is %s, %v", l.State, err)
	}
	if got := d.act(anna, ActRelease, held); got != "due" {
		t.Errorf("released by hand it is %s", got)
	}
	d.check()
}
