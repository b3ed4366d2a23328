package flows

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
)

// TestWithdrawingFromAFrozenCard: a person's own withdrawal is evidence at
// once, changes nothing while the card is frozen, and is done when it is
// unfrozen, as of when the person asked; whichever way it came.
func TestWithdrawingFromAFrozenCard(t *testing.T) {
	press := func(all bool) func(d *desk, l mta.Letter) {
		return func(d *desk, l mta.Letter) {
			_, rest, _ := strings.Cut(strings.ReplaceAll(string(l.Data), "\r\n ", ""), "/unsubscribe/")
			page, err := d.UnsubscribeByToken(d.t.Context(), rest[:base64.RawURLEncoding.EncodedLen(32)], all, click)
			if d.must(err); page.State != PageDone {
				d.t.Errorf("the page says %s", page.State)
			}
		}
	}
	for name, tt := range map[string]struct {
		do   func(d *desk, l mta.Letter)
		ip   string
		both bool // lists are left
	}{
		"one click": {press(false), click.IP, false},
		"all lists": {press(true), click.IP, true},
		"complaint": {leaveByComplaint, "", false},
		"mail":      {leaveByMail, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			ctx := t.Context()
			l := d.sentLetter(mta.Verdict{State: mta.Delivered})
			_, secret, _ := strings.Cut(string(l.Data), "/confirm/")
			_, err := d.Confirm(ctx, secret[:base64.RawURLEncoding.EncodedLen(32)], click)
			d.must(err)
			d.signUp(marie, "shop")
			d.confirmNewest()
			before := d.newest(marie)
			_, err = d.Freeze(ctx, anna, before.SubscriberID, "disputed")
			d.must(err)
			d.pass(time.Hour)
			asked := d.time
			tt.do(d, l)
			acts := len(d.events(marie))
			d.pass(time.Hour)
			tt.do(d, l) // harmless
			if got := len(d.events(marie)); got != acts {
				t.Errorf("%d acts are kept of asking twice, %d of asking once", got, acts)
			}
			if frozen := d.newest(marie); frozen.ListNames() != before.ListNames() || frozen.Permission != Confirmed {
				t.Errorf("frozen, it became %v %q", frozen.Permission, frozen.ListNames())
			}
			d.check()
			_, err = d.Unfreeze(ctx, anna, before.SubscriberID, "settled")
			d.must(err)
			d.wantsOut(asked, tt.ip, tt.both)
			d.check()
			// What was asked for before is done, and not again.
			d.signUp(marie, "news")
			d.confirmNewest()
			for range 2 {
				_, err = d.Freeze(ctx, anna, before.SubscriberID, "disputed again")
				d.must(err)
				_, err = d.Unfreeze(ctx, anna, before.SubscriberID, "settled again")
				d.must(err)
			}
			if card := d.newest(marie); card.Permission != Confirmed || card.Lists[0].Status != "subscribed" {
				t.Errorf("who came back is %v on %+v", card.Permission, card.Lists)
			}
		})
	}
}

// wantsOut checks marie's card, which was on News and Shop, after it left News,
// or both, as asked for then and from there.
func (d *desk) wantsOut(asked time.Time, ip string, both bool) {
	d.t.Helper()
	details, err := d.Open(d.t.Context(), anna, d.newest(marie).SubscriberID, &Given{mustAddress(d.t, marie)})
	d.must(err)
	for _, l := range details.Lists {
		if left := l.List == "News" || both; (l.Status == "unsubscribed") != left || left && !l.Since.Equal(asked) {
			d.t.Errorf("%s: %s since %v, asked %v", l.List, l.Status, l.Since, asked)
		}
	}
	if (details.Permission == Unsubscribed) != both || details.Frozen {
		d.t.Errorf("the card is %v", details.Permission)
	}
	n := 0
	for _, e := range details.Timeline {
		if e.Kind != store.Withdrawal.String() {
			continue
		}
		n++
		if !e.At.Equal(asked) || e.IP != ip || e.Note != whileFrozen {
			d.t.Errorf("the evidence is %+v", e)
		}
	}
	if want := map[bool]int{false: 1, true: 2}[both]; n != want {
		d.t.Errorf("%d acts of %d", n, want)
	}
}

// TestCallingOffOnAFrozenCard: a sign-up that waits on a frozen card is called
// off when it is unfrozen, before its letter goes out, also where it waits for
// a list that the card has no place on.
func TestCallingOffOnAFrozenCard(t *testing.T) {
	for _, from := range []Permission{Pending, Confirmed, Unsubscribed, withdrawnAgain} {
		for _, all := range []bool{false, true} {
			d := newDesk(t)
			ctx := t.Context()
			d.bring(marie, from)
			d.signUp(marie, "shop")
			confirm, leave := d.link("confirm"), d.link("unsubscribe")
			id := d.newest(marie).SubscriberID
			_, err := d.Freeze(ctx, anna, id, "disputed")
			d.must(err)
			_, err = d.UnsubscribeByToken(ctx, leave, all, click)
			d.must(err)
			_, err = d.Unfreeze(ctx, anna, id, "settled")
			d.must(err)
			if page, err := d.LookConfirm(ctx, confirm); err != nil || page.State != PageUnknown {
				t.Errorf("%v, all %v: the sign-up for Shop still waits: %v, %v", from, all, page.State, err)
			}
			card := d.newest(marie)
			if all && (card.Permission != Unsubscribed || card.WaitingUntil != nil) {
				t.Errorf("%v: having left everything the card is %+v", from, card)
			}
			if !all && from == Confirmed && card.Permission != Confirmed {
				t.Errorf("having called off another list's sign-up the card is %v", card.Permission)
			}
			d.check()
		}
	}
}
