package flows

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kartotek/store"
	"kartotek/store/storetest"
)

// TestRotation rotates the keys of a store with everything in it that is
// sealed, breaks that off and goes on, and destroys the old key.
func TestRotation(t *testing.T) {
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	other := deskOn(t, p) // another process: it goes on with what it knows
	addresses := people(d, 0, 700)
	d.signUp(marie, "news")
	link := d.link("confirm")
	must := func(k KeyFile, err error) []store.SealingKey { t.Helper(); d.must(err); return k.Sealing }
	old := must(d.Keys(t.Context(), anna))[0]
	if old.Values < 702 || old.State != store.KeySealing {
		t.Fatalf("before: %+v", old)
	}
	if _, err := d.DestroyKey(t.Context(), anna, old.ID); !errors.Is(err, store.ErrKeyInUse) {
		t.Errorf("destroying the key that seals: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := d.RotateKeys(ctx, anna, func(done, total int64) {
		if done >= 400 {
			cancel()
		}
		if total < 702 {
			t.Errorf("there are %d values to seal anew", total)
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := d.DestroyKey(t.Context(), anna, old.ID); !errors.Is(err, store.ErrKeyInUse) {
		t.Errorf("destroying a key that seals something: %v", err)
	}
	if _, err := other.Erase(t.Context(), anna, addresses[3], "asked for it"); err != nil {
		t.Error(err)
	}
	_, err = other.Correct(t.Context(), anna, other.newest(addresses[699]).SubscriberID, "first_name", "Anna")
	d.must(err)
	fresh, err := d.RotateKeys(t.Context(), anna, nil)
	d.must(err)
	keys := must(d.Keys(t.Context(), anna))
	if len(keys) != 2 || keys[0].Values != 0 || keys[0].State != store.KeyOld || keys[0].Resealed == nil || keys[1].ID != fresh.ID || keys[1].Values < 702-1 {
		t.Errorf("after: %+v", keys)
	}
	if storetest.Engine == storetest.MySQL { // another machine may be in the middle of something
		if _, err := d.DestroyKey(t.Context(), anna, old.ID); !errors.Is(err, store.ErrKeyInUse) {
			t.Errorf("destroying a key just after it was retired: %v", err)
		}
	}
	d.time = d.time.Add(time.Hour)
	if storetest.Engine == storetest.MySQL {
		d.time = time.Now().Add(time.Hour)
	}
	if _, err := d.DestroyKey(t.Context(), anna, old.ID); err != nil {
		t.Fatal(err)
	}
	for _, on := range []*desk{d, other, deskOn(t, p)} {
		if _, err := on.Open(t.Context(), anna, on.newest(addresses[5]).SubscriberID, nil); err != nil {
			t.Error(err)
		}
	}
	page, err := other.Confirm(t.Context(), link, click)
	if d.must(err); page.State != PageDone {
		t.Errorf("confirming by a link from before: %s", page.State)
	}
	d.check()
}

// TestRotationOnMachines has two machines with key files of their own: the
// other one gets a copy before the new key is used, and is refused without.
func TestRotationOnMachines(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("machines share a server")
	}
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	addresses := people(d, 0, 3)
	copyKeys := func(to string) {
		t.Helper()
		data, err := os.ReadFile(p.Keys)
		d.must(err)
		d.must(os.WriteFile(to, data, 0o600))
	}
	q := storetest.Place{URL: p.URL, Files: t.TempDir()}
	q.Keys = filepath.Join(q.Files, "keys.json")
	copyKeys(q.Keys)
	e := deskOn(t, q)
	stale := filepath.Join(t.TempDir(), "keys.json")
	copyKeys(stale)
	for _, change := range []func() error{
		func() error { _, err := d.RotateKeys(t.Context(), anna, nil); return err },
		func() error { _, err := d.AddPepper(t.Context(), anna, nil); return err },
	} {
		if err := change(); !errors.Is(err, store.ErrCopyKeys) {
			t.Fatalf("with another machine on the store: %v", err)
		}
		copyKeys(q.Keys)
		d.must(change())
	}
	s, err := store.Open(t.Context(), store.Options{URL: p.URL, Keys: stale, Files: t.TempDir()})
	if err == nil {
		s.Close()
		t.Error("a machine without the new key opens the store")
	} else if !strings.Contains(err.Error(), "copy it from the machine") {
		t.Error(err)
	}
	d.must(e.store.Close())
	e = deskOn(t, q)
	if _, err := e.Open(t.Context(), anna, e.newest(addresses[0]).SubscriberID, nil); err != nil {
		t.Error(err)
	}
	people(e, 10, 2)
	for _, address := range []string{addresses[1], "p10@example.com"} {
		if c := d.newest(address); c.Permission != Confirmed {
			t.Errorf("%s: %+v", address, c)
		}
	}
}

// TestPepper adds a pepper: live cards move to it, a tombstone when its
// address is given, by whatever door; its evidence still opens, and it blocks.
func TestPepper(t *testing.T) {
	for door, give := range map[string]func(d *desk, address string) error{
		"find": func(d *desk, address string) error { _, err := d.Find(d.t.Context(), anna, address); return err },
		"sign up": func(d *desk, address string) error {
			return d.SignUp(d.t.Context(), SignUp{Slug: "news", Address: address, Lang: "da", Agreed: true, Client: click})
		},
		"import": func(d *desk, address string) error {
			path := filepath.Join(d.t.TempDir(), "in.csv")
			d.must(os.WriteFile(path, []byte("email\n"+address+"\n"), 0o600))
			res, err := d.Import(d.t.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
			if err == nil && res.Refused != 1 {
				d.t.Errorf("importing an erased address: %+v", res)
			}
			return err
		},
		"erase": func(d *desk, address string) error {
			done, err := d.Erase(d.t.Context(), anna, address, "asked again")
			if err == nil && !done.Before {
				d.t.Errorf("erasing an erased address: %+v", done)
			}
			return err
		},
		"resubscribe": func(d *desk, address string) error {
			_, err := d.Resubscribe(d.t.Context(), anna, Resubscription{Address: address, List: "News", Asked: "by letter"})
			return err
		},
	} {
		t.Run(door, func(t *testing.T) {
			d := newDesk(t)
			d.bring(marie, Deleted)
			d.bring("live@example.com", Confirmed)
			before := d.newest(marie)
			moved, err := d.AddPepper(t.Context(), anna, nil)
			if d.must(err); moved != 1 {
				t.Errorf("%d cards moved", moved)
			}
			d.pass(24 * time.Hour)
			d.must(give(d, marie))
			c := d.newest(marie)
			if c.SubscriberID != before.SubscriberID || c.Permission != Deleted || c.SignedUp.IP == nil || *c.SignedUp.IP != click.IP || c.Deleted.IP == nil {
				t.Errorf("the tombstone: %+v, before %+v", c, before)
			}
			if c := d.newest("live@example.com"); c.Permission != Confirmed || c.SignedUp.IP == nil {
				t.Errorf("the live card: %+v", c)
			}
			a, err := store.ParseAddress(marie)
			d.must(err)
			if ids, err := d.store.IDsOf(t.Context(), d.store.Keys().AddressKey(a)); err != nil || len(ids) != 1 {
				t.Errorf("under the new pepper: %v, %v", ids, err)
			}
			d.bring("new@example.com", Deleted)
			if c := d.newest("new@example.com"); c.Deleted.IP == nil {
				t.Errorf("erased under the new pepper: %+v", c)
			}
			d.check()
		})
	}
}

// TestPepperBehindOnesBack adds a pepper, and erases somebody under it, while
// another process is at work that doesn't know of it: by no door does that one
// bring the person back.
func TestPepperBehindOnesBack(t *testing.T) {
	for door, give := range map[string]func(d *desk, address string){
		"import": func(d *desk, address string) {
			path := filepath.Join(d.t.TempDir(), "in.csv")
			d.must(os.WriteFile(path, []byte("email\nfirst@example.com\n"+address+"\nlast@example.com\n"), 0o600))
			res, err := d.Import(d.t.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
			if d.must(err); res.Refused != 1 || res.Added != 2 {
				d.t.Errorf("importing an erased address: %+v", res)
			}
		},
		"sign up": func(d *desk, address string) {
			d.must(d.SignUp(d.t.Context(), SignUp{Slug: "news", Address: address, Lang: "da", Agreed: true, Client: click}))
		},
		"a click": func(d *desk, _ string) {
			page, err := d.Confirm(d.t.Context(), d.link("confirm"), click)
			if d.must(err); page.State == PageDone {
				d.t.Error("confirmed by a link from before the erasure")
			}
		},
	} {
		t.Run(door, func(t *testing.T) {
			q := storetest.At(t, t.TempDir())
			d, e := deskOn(t, q), deskOn(t, q)
			_, err := d.AddList(t.Context(), anna, "News")
			d.must(err)
			d.bring("somebody@example.com", Confirmed)
			e.bring("before@example.com", Confirmed)
			if door == "a click" {
				e.signUp(marie, "news")
			}
			_, err = d.AddPepper(t.Context(), anna, nil)
			d.must(err)
			_, err = d.Erase(t.Context(), anna, marie, "asked for it")
			d.must(err)
			give(e, marie)
			if f, err := d.Find(t.Context(), anna, marie); err != nil || len(f.Cards) != 1 || f.Cards[0].Permission != Deleted {
				t.Errorf("found: %+v, %v", f.Cards, err)
			}
			d.check()
		})
	}
}
