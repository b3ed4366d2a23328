package flows

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kartotek/store"
)

// TestManyActsOnFewAddresses does everything to the same people at once: no
// act fails, and the store is whole after it.
func TestManyActsOnFewAddresses(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.Service.SetClock(time.Now)
	people := filepath.Join(t.TempDir(), "people.csv")
	d.must(os.WriteFile(people, []byte("email\na@example.dk\nb@example.dk\nc@example.dk\n"), 0o600))
	acts := d.actsOn(people)
	names := []string{"sign up", "confirm", "unsubscribe", "erase", "import", "resubscribe"}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 40 {
				name, address := names[rand.IntN(len(names))], fmt.Sprintf("%c@example.dk", 'a'+rune(rand.IntN(3)))
				err := acts[name](address)
				var refusal *Refusal
				if err != nil && !errors.As(err, &refusal) && !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
	if c, err := d.store.Counters(ctx); err != nil || len(c.ByPermission) == 0 {
		t.Errorf("nothing happened: %v", err)
	}
	d.check()
}

// TestErasedBeforeTheFirstSight erases addresses that nobody knows at the very
// moment of their first sign-up or import: whichever comes first, there is no
// tombstone beside a live card.
func TestErasedBeforeTheFirstSight(t *testing.T) {
	d := newDesk(t)
	d.Service.SetClock(time.Now)
	people := filepath.Join(t.TempDir(), "people.csv")
	acts := d.actsOn(people)
	for n := range 60 {
		address := fmt.Sprintf("p%d@example.dk", n)
		d.must(os.WriteFile(people, []byte("email\n"+address+"\n"), 0o600))
		start := make(chan struct{})
		var wg sync.WaitGroup
		for _, name := range []string{"erase", []string{"sign up", "import"}[n%2]} {
			wg.Go(func() {
				<-start
				if err := acts[name](address); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		close(start)
		wg.Wait()
	}
	d.check()
	cards, err := d.store.Browse(t.Context(), store.BrowseQuery{FromEnd: true, Backwards: true, Limit: 100})
	d.must(err)
	for _, c := range cards {
		if ids, err := d.store.IDsOf(t.Context(), c.AddressKey); err != nil || len(ids) > 1 {
			t.Errorf("card %d is live beside a suppression: %v, %v", c.SubscriberID, ids, err)
		}
	}
}

// TestCapturedWhileComingBack captures a mail to erased people at the very moment
// of their click: whether it finds the tombstone or the new card, it is kept.
func TestCapturedWhileComingBack(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.Service.SetClock(time.Now)
	const people = 120
	for n := range people {
		address := fmt.Sprintf("p%d@example.dk", n)
		erased, err := d.Erase(ctx, anna, address, "asked for it")
		d.must(err)
		link := store.Token{SubscriberID: erased.SubscriberID, Data: store.TokenData{Address: address, Resubscribe: true}}
		clicking := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			said := sync.OnceFunc(func() { close(clicking) })
			defer said()
			if err := clickOn(ctx, d.Service, address, link, func(...any) { said() }); err != nil {
				t.Errorf("the click: %v", err)
			}
		})
		<-clicking
		time.Sleep(rand.N(4 * time.Millisecond))
		d.must(d.Capture(ctx, "", address, []byte("Subject: x\r\n\r\nx\r\n")))
		wg.Wait()
	}
	if mails, err := d.Mailbox(ctx, anna, 2*people); err != nil || len(mails) != people {
		t.Errorf("%d of %d mails were kept, %v", len(mails), people, err)
	}
}

// TestForgottenWhileComingBack ends one link of erased people at the very moment
// of their click on another: what belongs to their new card stays.
func TestForgottenWhileComingBack(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.Service.SetClock(time.Now)
	for n := range 120 {
		address := fmt.Sprintf("p%d@example.dk", n)
		erased, err := d.Erase(ctx, anna, address, "asked for it")
		d.must(err)
		old, secret := store.NewToken(), store.NewToken()
		link := store.Token{
			Purpose: store.ForConfirm, SubscriberID: erased.SubscriberID, ListID: 1, CreatedAt: 1, ExpiresAt: 2,
			Data: store.TokenData{Address: address, Resubscribe: true},
		}
		d.must(d.store.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.AddToken(ctx, old, link); err != nil {
				return err
			}
			link.ExpiresAt = store.At(time.Now().Add(time.Hour))
			return tx.AddToken(ctx, secret, link)
		}))
		expired, err := d.store.ExpiredTokens(ctx, store.At(time.Now()), 10)
		d.must(err)
		var wg sync.WaitGroup
		wg.Go(func() {
			if page, err := d.Confirm(ctx, secret, click); err != nil || page.State != PageDone {
				t.Errorf("the click: %q, %v", page.State, err)
			}
		})
		time.Sleep(rand.N(4 * time.Millisecond))
		for _, x := range expired {
			d.must(d.store.InTx(ctx, func(tx *store.Tx) error { return d.forgetOne(ctx, tx, x) }))
		}
		wg.Wait()
		if page, err := d.LookConfirm(ctx, secret); err != nil || page.State != PageUsed {
			t.Fatalf("the link of somebody who came back is %q, %v", page.State, err)
		}
	}
}

// actsOn are all acts, each by its door.
func (d *desk) actsOn(people string) map[string]func(address string) error {
	ctx := d.t.Context()
	return map[string]func(address string) error{
		"sign up": func(address string) error {
			return d.SignUp(ctx, SignUp{Slug: []string{"news", "shop"}[rand.IntN(2)], Address: address, Agreed: true, Client: click})
		},
		"confirm": func(address string) error {
			f, err := d.Find(ctx, anna, address)
			if err != nil || len(f.Cards) == 0 {
				return err
			}
			secret := store.NewToken()
			if err := d.store.InTx(ctx, func(tx *store.Tx) error {
				return tx.AddToken(ctx, secret, store.Token{
					Purpose: store.ForConfirm, SubscriberID: f.Cards[0].SubscriberID, ListID: 1, CreatedAt: 1,
					ExpiresAt: store.At(time.Now().Add(time.Hour)), Data: store.TokenData{Address: address, Resubscribe: true},
				})
			}); err != nil {
				return err
			}
			_, err = d.Confirm(ctx, secret, click)
			return err
		},
		"unsubscribe": func(address string) error {
			f, err := d.Find(ctx, anna, address)
			if err == nil && len(f.Cards) > 0 {
				_, err = d.Unsubscribe(ctx, anna, f.Cards[0].SubscriberID, "")
			}
			return err
		},
		"erase": func(address string) error {
			_, err := d.Erase(ctx, anna, address, "asked for it")
			return err
		},
		"import": func(string) error {
			_, err := d.Import(ctx, anna, people, ImportOptions{List: "News", Confirmed: true}, nil)
			return err
		},
		"resubscribe": func(address string) error {
			_, err := d.Resubscribe(ctx, anna, Resubscription{Address: address, List: "News", Asked: "called on Monday"})
			return err
		},
	}
}
