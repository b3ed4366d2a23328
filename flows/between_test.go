package flows

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
	"kartotek/store/storetest"
)

// within runs act beside, the nth time that the clock is looked at in a function:
// between two statements of its transaction, which goes on when act is done, or
// waits for it. Only where a server lies behind can somebody else write at that
// moment. Whoever calls end waits for act.
func (d *desk) within(function string, nth int64, act func()) (end func()) {
	d.t.Helper()
	if !d.store.OnServer() {
		d.t.Skip("the embedded store has one writer")
	}
	var looks atomic.Int64
	done := make(chan struct{})
	d.SetClock(func() time.Time {
		pc := make([]uintptr, 4)
		f, _ := runtime.CallersFrames(pc[:runtime.Callers(2, pc)]).Next()
		if strings.HasSuffix(f.Function, function) && looks.Add(1) == nth {
			go func() {
				defer close(done)
				act()
			}()
			select {
			case <-done:
			case <-time.After(time.Second):
			}
		}
		return d.time
	})
	return func() {
		d.t.Helper()
		select {
		case <-done:
		case <-time.After(patience):
			d.t.Fatal("nothing came between")
		}
	}
}

// TestCalledOffWhileComingBack: somebody calls off by the link in the letter, at
// the moment of their click on the other. Whichever comes first, they are on no
// list afterwards.
func TestCalledOffWhileComingBack(t *testing.T) {
	for _, way := range []string{"link", "complaint"} {
		t.Run(way, func(t *testing.T) {
			d := newDesk(t)
			ctx := t.Context()
			d.cfg.BounceDomain = "bounces.test"
			wrong := 0
			for n := range 150 {
				address := fmt.Sprintf("p%d@example.dk", n)
				_, err := d.Erase(ctx, anna, address, "asked for it")
				d.must(err)
				d.signUp(address, "news")
				yes, no := d.link("confirm"), d.link("unsubscribe")
				rows, err := d.store.Letters(ctx, 0, 1)
				d.must(err)
				from, err := d.senderOf(rows[0].ID, "")
				d.must(err)
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := d.Confirm(ctx, yes, click); err != nil {
						t.Errorf("the click: %v", err)
					}
				})
				time.Sleep(rand.N(4 * time.Millisecond))
				if way == "link" {
					page, err := d.UnsubscribeByToken(ctx, no, false, click)
					if d.must(err); page.State != PageDone {
						t.Fatalf("calling off: %s", page.State)
					}
				} else {
					d.must(d.TakeBounce(ctx, Bounce{Local: local(from), Complaint: true}))
				}
				wg.Wait()
				if c := d.newest(address); c.Permission == Confirmed {
					wrong++
				}
			}
			if wrong > 0 {
				t.Errorf("%d of 150 who called off are subscribed", wrong)
			}
		})
	}
}

// TestUndoAfterTheirOwnClick: staff's slip can't be undone once the person
// wanted the same themselves.
func TestUndoAfterTheirOwnClick(t *testing.T) {
	for _, all := range []bool{true, false} {
		d := newDesk(t)
		ctx := t.Context()
		d.signUp(marie, "news")
		no := d.link("unsubscribe")
		d.confirmNewest()
		id := d.newest(marie).SubscriberID
		_, err := d.Unsubscribe(ctx, anna, id, "")
		d.must(err)
		d.pass(time.Second)
		page, err := d.UnsubscribeByToken(ctx, no, all, click)
		if d.must(err); page.State != PageDone {
			t.Fatalf("unsubscribing: %s", page.State)
		}
		d.pass(time.Second)
		_, err = d.UndoUnsubscribe(ctx, anna, id)
		var refusal *Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("undoing: %v", err)
		}
		if c := d.newest(marie); c.Permission != Unsubscribed {
			t.Errorf("who unsubscribed themselves is %s", c.Permission)
		}
	}
}

// TestUnsubscribedWhileAskedBack: a second unsubscribing from all, while staff
// ask them back, leaves no card waiting for a link that is gone.
func TestUnsubscribedWhileAskedBack(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.signUp(marie, "news")
	no := d.link("unsubscribe")
	d.confirmNewest()
	id := d.newest(marie).SubscriberID
	_, err := d.Unsubscribe(ctx, anna, id, "")
	d.must(err)
	d.pass(24 * time.Hour)
	end := d.within(".leave", 1, func() {
		_, err := d.Resubscribe(ctx, anna, Resubscription{Address: marie, List: "News", Asked: "called on Monday"})
		d.must(err)
	})
	_, err = d.UnsubscribeByToken(ctx, no, true, click)
	d.must(err)
	end()
	d.pass(2 * ConfirmWithin)
	d.must(d.Tick(ctx))
	if c := d.newest(marie); c.Permission != Unsubscribed {
		t.Errorf("two weeks later the card is %s, on %v, until %v", c.Permission, c.Lists, c.WaitingUntil)
	}
}

// TestErasedWhileApproved: a bulk export of marked people is approved while one
// of them is erased.
func TestErasedWhileApproved(t *testing.T) {
	d, first, second, opens := staffed(t)
	ctx := t.Context()
	_, err := d.Erase(ctx, first, marie, "asked for it")
	d.must(err)
	d.signUp(marie, "news") // two generations, so that the clock is looked at twice
	d.confirmNewest()
	id := d.newest(marie).SubscriberID
	r, err := d.AskExport(ctx, first, BulkWish{IDs: []int64{id}, Reason: "a campaign"})
	d.must(err)
	end := d.within(".purge", 2, func() {
		_, err := d.Approve(ctx, second, r.ID, nil)
		var refusal *Refusal
		if err != nil && !errors.As(err, &refusal) {
			t.Error(err)
		}
	})
	_, err = d.Erase(ctx, first, marie, "asked for it")
	d.must(err)
	end()
	d.must(d.Tick(ctx))
	if d.bulkFiles() > 0 {
		if c, in := d.opened(first, r.ID, opens)[marie]; in {
			t.Errorf("the file that is kept tells of the erased: %+v", c)
		}
	}
}

// TestForgottenWhileApproved: a bulk export is made while a sign-up that nobody
// confirmed is forgotten.
func TestForgottenWhileApproved(t *testing.T) {
	d, first, second, opens := staffed(t)
	ctx := t.Context()
	told := 0
	for n := range 60 {
		address := fmt.Sprintf("waits%d@example.dk", n)
		d.signUp(address, "news")
		r, err := d.AskExport(ctx, first, BulkWish{All: true, Reason: "a campaign"})
		d.must(err)
		d.pass(ConfirmWithin + time.Hour)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := d.Approve(ctx, second, r.ID, nil)
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Error(err)
			}
		})
		time.Sleep(rand.N(12 * time.Millisecond))
		_, err = d.forget(ctx)
		d.must(err)
		wg.Wait()
		d.must(d.Tick(ctx))
		if r, err = d.Request(ctx, first, r.ID); err != nil || r.State != "done" || r.Export.Gone {
			continue
		}
		if _, in := d.opened(first, r.ID, opens)[address]; in {
			told++
		}
	}
	if told > 0 {
		t.Errorf("%d of 60 files tell of who was forgotten", told)
	}
}

// TestReleasedWhileFrozen: a letter is released while its card is frozen.
func TestReleasedWhileFrozen(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	letter := d.letterIn("held")
	id := d.newest(marie).SubscriberID
	end := d.within(".moveLetter.func2", 1, func() {
		_, err := d.Freeze(ctx, anna, id, "disputes the data")
		d.must(err)
	})
	_, err := d.Release(ctx, anna, letter)
	end()
	l, e := d.Letter(ctx, anna, letter)
	if d.must(e); l.State != "held" {
		t.Errorf("releasing: %v; the letter to the frozen card (%t) is %s", err, d.newest(marie).Frozen, l.State)
	}
}

// TestHandedOverWhileClicking: a letter's delivery is written while its person
// clicks, and is in the evidence of both.
func TestHandedOverWhileClicking(t *testing.T) {
	for _, from := range []Permission{Deleted, Unknown} {
		t.Run(from.String(), func(t *testing.T) {
			d := newDesk(t)
			ctx := t.Context()
			d.bring(marie, from)
			d.signUp(marie, "news")
			yes := d.link("confirm")
			sp := d.Spool()
			l := d.claim(sp, 1)[0]
			in := ".Confirm.func1" // between the token and the card
			if from == Deleted {
				in = ".comeBack" // after both
			}
			end := d.within(in, 1, func() {
				d.must(sp.Mark(ctx, l, mta.Verdict{State: mta.Delivered, At: d.time, Code: 250, Host: "mx.example.dk"}))
			})
			page, err := d.Confirm(ctx, yes, click)
			if d.must(err); page.State != PageDone {
				t.Fatalf("the click: %s", page.State)
			}
			end()
			c, err := d.store.Contact(ctx, d.newest(marie).SubscriberID)
			d.must(err)
			acts, err := d.store.EvidenceOf(ctx, c.SubscriberID)
			d.must(err)
			address, err := store.ParseAddress(marie)
			d.must(err)
			key, err := d.store.Keys().EvidenceKey(address)
			d.must(err)
			sent, told := false, false
			for _, e := range acts {
				d.must(key.Open(e))
				sent = sent || e.Kind == store.LetterSent
				told = told || e.Kind == store.Confirmation && e.Act.Handed.At != 0
			}
			if !sent || !told {
				t.Errorf("the letter is in the evidence: %t; in the confirmation's: %t", sent, told)
			}
		})
	}
}

// TestOldTombstoneErasedWhileComingBack: an old tombstone is erased again, by its
// SubscriberID, while the person comes back from the newer one.
func TestOldTombstoneErasedWhileComingBack(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Deleted)
	oldest := d.newest(marie).SubscriberID
	d.signUp(marie, "news")
	d.confirmNewest()
	_, err := d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	d.signUp(marie, "news")
	yes := d.link("confirm")
	back := false
	end := d.within(".purge", 1, func() {
		page, err := d.Confirm(ctx, yes, click)
		if err != nil {
			t.Error(err)
		}
		back = page.State == PageDone // else what waited was taken away first
		d.must(d.Capture(ctx, "", marie, []byte("Subject: x\r\n\r\nx\r\n")))
	})
	_, err = d.Erase(ctx, anna, fmt.Sprint(oldest), "asked for it")
	d.must(err)
	end()
	if mails, err := d.Mailbox(ctx, anna, 10); err != nil || back && len(mails) != 1 {
		t.Errorf("%d mails of who came back were kept, %v", len(mails), err)
	}
}

// TestDelayedWhileErased: mail is reported late while the person is erased.
func TestDelayedWhileErased(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	l := d.sentLetter(mta.Verdict{State: mta.Delivered})
	address, err := store.ParseAddress(marie)
	d.must(err)
	end := d.within(".comesBack", 1, func() {
		_, err := d.Erase(ctx, anna, marie, "asked for it")
		d.must(err)
	})
	d.must(d.TakeBounce(ctx, Bounce{Local: local(l.From), Status: "4.2.2", Words: "the mailbox is full"}))
	end()
	if r, err := d.store.Returned(ctx, d.store.Keys().AddressKey(address)); !errors.Is(err, ErrNotFound) {
		t.Errorf("of the erased it is kept that mail came back: %+v, %v", r, err)
	}
}

// TestOnHoldAfterItsEnd: a sign-up for a second list doesn't keep the first one
// on hold for good.
func TestOnHoldAfterItsEnd(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.signUp(marie, "news")
	d.pass(3 * 24 * time.Hour)
	d.signUp(marie, "shop")
	second := d.link("confirm")
	d.pass(5 * 24 * time.Hour)
	d.must(d.Tick(ctx))
	page, err := d.Confirm(ctx, second, click)
	if d.must(err); page.State != PageDone {
		t.Fatalf("the click: %s", page.State)
	}
	d.pass(100 * 24 * time.Hour)
	d.must(d.Tick(ctx))
	for _, l := range d.newest(marie).Lists {
		if l.Status == store.OnHold {
			t.Errorf("months later %s is %s", l.List, l.Status)
		}
	}
}

// TestOtherLetterCalledOff: who came back by one of two letters calls the other
// off by the link in that.
func TestOtherLetterCalledOff(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Deleted)
	d.signUp(marie, "news")
	yes := d.link("confirm")
	d.signUp(marie, "shop")
	shop, no := d.link("confirm"), d.link("unsubscribe")
	_, err := d.Confirm(ctx, yes, click)
	d.must(err)
	page, err := d.UnsubscribeByToken(ctx, no, false, click)
	if d.must(err); page.State != PageDone {
		t.Fatalf("calling off: %s", page.State)
	}
	if page, err := d.LookConfirm(ctx, shop); err != nil || page.State != PageUnknown {
		t.Errorf("the link that was called off is %s, %v", page.State, err)
	}
}

// TestReturnedWhileDropped: what came back long ago is dropped while mail comes
// back again.
func TestReturnedWhileDropped(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	old, now := store.At(d.time.Add(-2*returnedKept)), store.At(d.time)
	lost := 0
	for n := range 300 {
		key := fmt.Appendf(nil, "%032d", n)
		d.must(d.store.InTx(ctx, func(tx *store.Tx) error { return tx.NoteReturned(ctx, key, false, old, "4.2.2") }))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := d.store.InTx(ctx, func(tx *store.Tx) error { return tx.NoteReturned(ctx, key, true, now, "5.1.1") }); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(rand.N(2 * time.Millisecond))
		d.must(d.store.InTx(ctx, func(tx *store.Tx) error {
			return tx.DropOldReturned(ctx, store.At(d.time.Add(-returnedKept)), 500)
		}))
		wg.Wait()
		if _, err := d.store.Returned(ctx, key); err != nil {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of 300 addresses that take no mail were forgotten", lost)
	}
}

// TestMarkedWhileNamed: a field is named by one of staff while another marks it
// sensitive.
func TestMarkedWhileNamed(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	plain := 0
	for n := range 150 {
		name := fmt.Sprintf("field%d", n)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := d.MarkOwnKind(ctx, anna, name, true); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(rand.N(2 * time.Millisecond))
		_, _ = d.AddOwnKind(ctx, anna, OwnKind{Name: name, Kind: "text"}) // refused when it comes second
		wg.Wait()
		kinds, e := d.store.OwnKinds(ctx)
		if d.must(e); !sensitive(kinds, name) {
			plain++
		}
	}
	if plain > 0 {
		t.Errorf("%d of 150 marks were lost", plain)
	}
}

// TestRestoredBesideAWaitingOne: a backup from before a sign-up was forgotten is
// restored. The address was erased since under another SubscriberID, and stays
// blocked.
func TestRestoredBesideAWaitingOne(t *testing.T) {
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	ctx := t.Context()
	for _, name := range []string{"News", "Shop"} {
		_, err := d.AddList(ctx, anna, name)
		d.must(err)
	}
	d.signUp(marie, "news")
	d.must(d.store.Close())
	restore := snapshot(t, p)
	d = deskOn(t, p)
	d.pass(10 * 24 * time.Hour)
	d.must(d.Tick(ctx))
	d.signUp(marie, "news")
	d.confirmNewest()
	_, err := d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	d.must(d.store.Close())
	restore()
	d = deskOn(t, p)
	_, err = d.CatchUp(ctx, nil)
	d.must(err)
	d.pass(20 * 24 * time.Hour)
	d.must(d.Tick(ctx))
	if res := d.importOne(marie); res.Refused != 1 {
		t.Errorf("the erased address is imported: %+v", res)
	}
	d.check()
}

// TestKeptLongerWhileRemoved: evidence is to be kept longer, while some of it is
// removed.
func TestKeptLongerWhileRemoved(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	const people = chunk + 50
	for n := range people {
		_, err := d.Erase(ctx, anna, fmt.Sprintf("p%d@example.dk", n), "asked for it")
		d.must(err)
	}
	d.pass(3 * 366 * 24 * time.Hour)
	longer := sync.OnceFunc(func() { d.must(d.SetRetention(ctx, anna, Retention{EvidenceKept: "10y"})) })
	n, err := d.RunRetention(ctx, anna, func(int) { longer() })
	if d.must(err); n != chunk {
		t.Errorf("the evidence of %d is removed: of %d before it was to be kept for ten years", n, chunk)
	}
}
