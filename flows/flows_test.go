package flows

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kartotek/flows/letters"
	"kartotek/store"
	"kartotek/store/storetest"
)

// patience is how long is waited for what has to come: minutes, since what
// takes no time here may take one of them where many share a processor.
const patience = 5 * time.Minute

var (
	anna  = Actor{Name: "anna", Role: Owner, From: "test", IP: "198.51.100.4"}
	click = Client{IP: "192.0.2.7", UserAgent: "a browser"}
)

// desk is a service on a fresh store with a clock of its own.
type desk struct {
	*Service
	t    *testing.T
	time time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := deskAt(t, t.TempDir())
	for _, name := range []string{"News", "Shop"} {
		if _, err := d.AddList(t.Context(), anna, name); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// deskAt is a service on the store of a directory, on the engine that tests
// run on now.
func deskAt(t *testing.T, dir string) *desk {
	t.Helper()
	return deskOn(t, storetest.At(t, dir))
}

// deskOn is a service on a store.
func deskOn(t *testing.T, p storetest.Place) *desk {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: p.URL, Keys: p.Keys, Files: p.Files, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{
		Service: New(s, Config{PublicURL: "http://127.0.0.1:8425", Company: "Example", From: letters.Sender{Name: "Example", Address: "news@example.com"}}), t: t,
		time: time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC),
	}
	d.SetClock(func() time.Time { return d.time })
	return d
}

// pass lets time go by.
func (d *desk) pass(by time.Duration) { d.time = d.time.Add(by) }

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) signUp(address, slug string) {
	d.t.Helper()
	d.pass(time.Hour * 9) // past every limit
	d.must(d.SignUp(d.t.Context(), SignUp{Slug: slug, Address: address, Lang: "da", Agreed: true, Client: click}))
}

// link is the newest letter's link of a kind, "confirm" or "unsubscribe".
func (d *desk) link(kind string) string {
	d.t.Helper()
	rows, err := d.store.Letters(d.t.Context(), 0, 1)
	d.must(err)
	if len(rows) == 0 {
		d.t.Fatal("there is no letter")
	}
	e, err := d.store.Envelope(d.t.Context(), rows[0].ID)
	d.must(err)
	raw := strings.ReplaceAll(strings.ReplaceAll(string(e.Data), "=\r\n", ""), "\r\n ", "")
	_, rest, ok := strings.Cut(raw, "/"+kind+"/")
	if !ok {
		d.t.Fatalf("the letter has no %s link", kind)
	}
	return rest[:43]
}

func (d *desk) confirmNewest() {
	d.t.Helper()
	page, err := d.Confirm(d.t.Context(), d.link("confirm"), click)
	d.must(err)
	if page.State != PageDone {
		d.t.Fatalf("confirming: %s", page.State)
	}
}

// only finds the newest card of an address.
func (d *desk) newest(address string) Card {
	d.t.Helper()
	f, err := d.FindOpened(d.t.Context(), anna, address)
	d.must(err)
	if len(f.Cards) == 0 {
		return Card{}
	}
	return f.Cards[0]
}

// bring brings an address into a state of the permission table.
func (d *desk) bring(address string, to Permission) {
	d.t.Helper()
	if to == Unknown {
		return
	}
	d.signUp(address, "news")
	if to == Pending {
		return
	}
	d.confirmNewest()
	id := d.newest(address).SubscriberID
	if to == Unsubscribed || to == withdrawnAgain {
		_, err := d.Unsubscribe(d.t.Context(), anna, id, "")
		d.must(err)
	}
	if to == withdrawnAgain {
		d.signUp(address, "news")
	}
	if to == Deleted {
		_, err := d.Erase(d.t.Context(), anna, address, "asked for it")
		d.must(err)
	}
}

func (d *desk) importOne(address string) ImportResult {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "one.csv")
	d.must(os.WriteFile(path, []byte("email,signed_up_at,signed_up_ip\n"+address+",2026-01-02T03:04:05Z,192.0.2.9\n"), 0o600))
	res, err := d.Import(d.t.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
	d.must(err)
	return res
}

// token makes a confirmation link for a card as it stands.
func (d *desk) token(id int64) string {
	d.t.Helper()
	secret := store.NewToken()
	d.must(d.store.InTx(d.t.Context(), func(tx *store.Tx) error {
		l, err := tx.ListByName(d.t.Context(), "News")
		if err != nil {
			return err
		}
		return tx.AddToken(d.t.Context(), secret, store.Token{
			Purpose: store.ForConfirm, SubscriberID: id, ListID: l.ID,
			CreatedAt: store.At(d.time), ExpiresAt: store.At(d.time.Add(time.Hour)),
		})
	}))
	return secret
}

// do does an act by its door and tells what became of it in a few words.
func (d *desk) do(address string, act Act) string {
	d.t.Helper()
	ctx := d.t.Context()
	before := d.newest(address)
	letters := d.countLetters()
	d.pass(25 * time.Hour)
	var err error
	switch act {
	case ActSignUp:
		slug := "news"
		if before.Permission == Confirmed {
			slug = "shop"
		}
		err = d.SignUp(ctx, SignUp{Slug: slug, Address: address, Agreed: true, Client: click})
	case ActConfirm:
		var page TokenPage
		page, err = d.Confirm(ctx, d.token(before.SubscriberID), click)
		if page.State == PageUnknown {
			return "–"
		}
	case ActUnsubscribe:
		if before.SubscriberID == 0 {
			if _, err := d.Unsubscribe(ctx, anna, 999, ""); !errors.Is(err, ErrNotFound) {
				d.t.Errorf("unsubscribing nobody: %v", err)
			}
			return "–"
		}
		_, err = d.Unsubscribe(ctx, anna, before.SubscriberID, "")
		if before.Permission == Deleted {
			err = nil // refused with a word; nothing changes
		}
	case ActErase:
		_, err = d.Erase(ctx, anna, address, "asked for it")
	case ActResubscribe:
		_, err = d.Resubscribe(ctx, anna, Resubscription{Address: address, List: "News", Asked: "called on Monday"})
		var refusal *Refusal
		if errors.Is(err, ErrNotFound) || errors.As(err, &refusal) {
			return "–"
		}
	case ActImport:
		res := d.importOne(address)
		if res.Refused == 1 {
			return "refused"
		}
	}
	d.must(err)
	return d.told(before, d.newest(address), letters)
}

func (d *desk) told(before, after Card, letters int) string {
	var words []string
	switch {
	case after.WaitingUntil != nil && after.Permission == Deleted:
		words = append(words, "waits beside the tombstone")
	case len(after.Lists) > len(before.Lists) && after.Permission == before.Permission:
		words = append(words, "adds a list")
	case after.Permission != before.Permission:
		words = append(words, "→ "+after.Permission.String())
	default:
		words = append(words, "no change")
	}
	if d.countLetters() > letters {
		words = append(words, "mail")
	}
	return strings.Join(words, ", ")
}

func (d *desk) countLetters() int {
	rows, err := d.store.Letters(d.t.Context(), 0, 1)
	d.must(err)
	if len(rows) == 0 {
		return 0
	}
	return int(rows[0].ID)
}

func TestPermissionTable(t *testing.T) {
	acts := []Act{ActSignUp, ActConfirm, ActUnsubscribe, ActErase, ActResubscribe, ActImport}
	for _, row := range []struct {
		from Permission
		want [6]string
	}{
		{Unknown, [6]string{"→ pending, mail", "–", "–", "→ deleted", "–", "→ confirmed"}},
		{Pending, [6]string{"no change, mail", "→ confirmed", "→ unsubscribed", "→ deleted", "–", "→ confirmed"}},
		{withdrawnAgain, [6]string{"no change, mail", "→ confirmed", "→ unsubscribed", "→ deleted", "–", "refused"}},
		{Confirmed, [6]string{"adds a list, mail", "no change", "→ unsubscribed", "→ deleted", "–", "no change"}},
		{Unsubscribed, [6]string{"→ pending, mail", "→ confirmed", "no change", "→ deleted", "→ pending, mail", "refused"}},
		{Deleted, [6]string{"waits beside the tombstone, mail", "–", "no change", "no change", "waits beside the tombstone, mail", "refused"}},
	} {
		for i, act := range acts {
			t.Run(fmt.Sprintf("%s/%s", row.from, act), func(t *testing.T) {
				d := newDesk(t)
				address := "marie.jensen@example.dk"
				d.bring(address, row.from)
				if got := d.do(address, act); got != row.want[i] {
					t.Errorf("%s, %s: %q, want %q", row.from, act, got, row.want[i])
				}
				d.check()
			})
		}
	}
}

func TestFrozenRefusesAllButErase(t *testing.T) {
	for _, act := range []Act{ActSignUp, ActConfirm, ActUnsubscribe, ActErase, ActResubscribe, ActImport} {
		_, err := decide(&store.Contact{Permission: Confirmed, Frozen: true}, act)
		if (err == nil) != (act == ActErase) {
			t.Errorf("%s on a frozen card: %v", act, err)
		}
	}
}

// check tells whether the store is whole: counters exact, one live card an
// address, no card with what its permission forbids, and so on.
func (d *desk) check() {
	d.t.Helper()
	all, err := d.store.ExamineDeeply(d.t.Context(), nil)
	d.must(err)
	for _, f := range all {
		if f.Severity != store.Good {
			d.t.Errorf("%s: %s", f.What, f.Words)
		}
	}
}
