package flows

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"kartotek/flows/lang"
	"kartotek/store"
)

const marie = "marie.jensen@example.dk"

func TestErasedPersonComesBackByOwnClickOnly(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Deleted)
	tomb := d.newest(marie)
	d.pass(time.Hour)
	w, err := d.Resubscribe(ctx, anna, Resubscription{Address: " Marie.Jensen@Example.DK", ID: tomb.SubscriberID, List: "News", Asked: "called on Monday"})
	d.must(err)
	if w.SubscriberID != tomb.SubscriberID || !w.Until.Equal(d.time.Add(ConfirmWithin)) {
		t.Errorf("waiting: %+v", w)
	}
	secret := d.link("confirm")
	for range 3 { // robots look; looking changes nothing
		page, err := d.LookConfirm(ctx, secret)
		d.must(err)
		want := TokenPage{State: PageOpen, Purpose: "resubscribe", List: "News", MaskedAddress: "mar**.******@example.dk", Lang: lang.English, Until: w.Until, Notice: page.Notice}
		if diff := cmp.Diff(want, page); diff != "" || page.Notice == "" {
			t.Errorf("page (-want +got):\n%s", diff)
		}
	}
	d.pass(time.Hour)
	d.confirmNewest()
	f, err := d.FindOpened(ctx, anna, marie)
	d.must(err)
	if len(f.Cards) != 2 {
		t.Fatalf("%d cards", len(f.Cards))
	}
	back, old := f.Cards[0], f.Cards[1]
	if back.SubscriberID == old.SubscriberID || back.Permission != Confirmed || *back.Source != "Resubscribed" || *back.Rating != "average" ||
		*back.Predecessor != old.SubscriberID || *old.Successor != back.SubscriberID || old.Permission != Deleted {
		t.Errorf("came back as %+v beside %+v", back, old)
	}
	if *back.Confirmed.IP != click.IP || *old.SignedUp.IP != click.IP || *old.Deleted.IP != anna.IP || old.Deleted.By != "anna" {
		t.Errorf("IPs don't show to somebody who gave the address")
	}
	c, err := d.store.Contact(ctx, back.SubscriberID)
	d.must(err)
	p, err := d.store.Open(c)
	d.must(err)
	if diff := cmp.Diff(store.Person{Email: marie}, p); diff != "" {
		t.Errorf("the new card holds more than the address:\n%s", diff)
	}
	again, err := d.Confirm(ctx, secret, click)
	d.must(err)
	if again.State != PageUsed {
		t.Errorf("a second click: %s", again.State)
	}
	d.check()
}

func TestTombstoneOpensToItsAddressOnly(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Deleted)
	id := d.newest(marie).SubscriberID
	other, err := store.ParseAddress("somebody.else@example.dk")
	d.must(err)
	for name, given := range map[string]*Given{"by id": nil, "by another address": {other}} {
		card, err := d.Open(ctx, anna, id, given)
		d.must(err)
		for _, e := range card.Timeline {
			if !e.Closed || e.IP != "" || e.By != "" || e.Notice != "" {
				t.Errorf("%s: %+v shows", name, e)
			}
		}
	}
	f, err := d.Find(ctx, anna, marie)
	d.must(err)
	card, err := d.Open(ctx, anna, id, f.Given)
	d.must(err)
	var kinds []string
	for _, e := range card.Timeline {
		kinds = append(kinds, e.Kind+" "+e.IP)
	}
	want := []string{"signed up " + click.IP, "confirmed " + click.IP, "erased " + anna.IP}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("time line (-want +got):\n%s", diff)
	}
	f, err = d.FindOpened(ctx, anna, strconv.FormatInt(id, 10))
	d.must(err)
	if f.Cards[0].SignedUp.IP != nil {
		t.Error("an IP shows to somebody who gave the SubscriberID")
	}
}

func TestPieceOfAnAddressFindsNothing(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	for _, q := range []string{"marie", "jensen@", "@example.dk", "marie.jensen@example", "%", "marie*", "arie.jensen@example.d k", ""} {
		if _, err := d.Find(t.Context(), anna, q); !errors.Is(err, ErrPiece) {
			t.Errorf("%q: %v", q, err)
		}
	}
	f, err := d.Find(t.Context(), anna, "arie.jensen@example.dk")
	if d.must(err); len(f.Cards) != 0 {
		t.Error("a piece that is an address found somebody")
	}
}

func TestBrowsingShowsNoTombstone(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Deleted)
	d.bring("a@example.dk", Confirmed)
	cards, err := d.Browse(t.Context(), anna, Page{})
	if d.must(err); len(cards.Cards) != 1 || cards.Cards[0].Permission != Confirmed {
		t.Errorf("browse: %+v", cards.Cards)
	}
	var refusal *Refusal
	if _, err := d.Browse(t.Context(), anna, Page{Filter: Filter{Permission: Deleted}}); !errors.As(err, &refusal) {
		t.Errorf("browsing tombstones: %v", err)
	}
}

func TestUnconfirmedIsForgotten(t *testing.T) {
	for _, c := range []struct {
		from Permission
		want string
	}{{Unknown, "nobody"}, {Confirmed, "confirmed News"}, {Unsubscribed, "unsubscribed (News), (Shop)"}, {Deleted, "deleted "}} {
		t.Run(c.from.String(), func(t *testing.T) {
			d := newDesk(t)
			d.bring(marie, c.from)
			d.signUp(marie, "shop")
			d.must(d.Capture(t.Context(), "", marie, []byte("Subject: x\r\n\r\nx\r\n")))
			d.pass(ConfirmWithin - time.Minute)
			d.must(d.Tick(t.Context()))
			if card := d.newest(marie); card.SubscriberID == 0 || card.WaitingUntil == nil {
				t.Fatalf("forgotten too early: %+v", card)
			}
			d.pass(2 * time.Minute)
			d.must(d.Tick(t.Context()))
			card := d.newest(marie)
			got := card.Permission.String() + " " + card.ListNames()
			if card.SubscriberID == 0 {
				got = "nobody"
			}
			if got != c.want || card.WaitingUntil != nil {
				t.Errorf("after 7 days: %q, want %q", got, c.want)
			}
			mails, err := d.Mailbox(t.Context(), anna, 10)
			if d.must(err); (len(mails) == 0) != (c.from == Unknown || c.from == Deleted) {
				t.Errorf("%d captured mails are left", len(mails))
			}
			d.check()
		})
	}
}

func TestConfirmationMailsAreLimited(t *testing.T) {
	d := newDesk(t)
	sent := func() int { n := d.countLetters(); return n }
	try := func(want int, why string) {
		t.Helper()
		d.must(d.SignUp(t.Context(), SignUp{Slug: "news", Address: marie, Agreed: true, Client: click}))
		if got := sent(); got != want {
			t.Errorf("%s: %d letters, want %d", why, got, want)
		}
	}
	try(1, "the first")
	d.pass(9 * time.Minute)
	try(1, "within ten minutes")
	d.pass(2 * time.Minute)
	try(2, "after ten minutes")
	d.pass(time.Hour)
	try(3, "the third")
	d.pass(20 * time.Hour)
	try(3, "a fourth within a day")
	d.pass(3 * time.Hour)
	try(4, "a day after the first")
	try(4, "at once after it")
}

func TestCancelLinkCancelsASignUp(t *testing.T) {
	d := newDesk(t)
	d.signUp(marie, "news")
	confirm, cancel := d.link("confirm"), d.link("unsubscribe")
	for range 2 {
		page, err := d.UnsubscribeByToken(t.Context(), cancel, false, click)
		if d.must(err); page.State != PageDone {
			t.Errorf("cancelling: %s", page.State)
		}
	}
	if got := d.newest(marie).Permission; got != Unsubscribed {
		t.Errorf("permission %s", got)
	}
	if page, err := d.Confirm(t.Context(), confirm, click); err != nil || page.State != PageUnknown {
		t.Errorf("confirming a cancelled sign-up: %s, %v", page.State, err)
	}
}

func TestUnsubscribingOneListLeavesTheOthers(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	d.signUp(marie, "shop")
	d.confirmNewest()
	id := d.newest(marie).SubscriberID
	card, err := d.Unsubscribe(t.Context(), anna, id, "News")
	d.must(err)
	if card.Permission != Confirmed || card.ListNames() != "(News), Shop" {
		t.Errorf("after one: %s %s", card.Permission, card.ListNames())
	}
	if res := d.importOne(marie); res.Refused != 1 {
		t.Errorf("an import raised a list that was left: %+v", res)
	}
	card, err = d.Unsubscribe(t.Context(), anna, id, "Shop")
	if d.must(err); card.Permission != Unsubscribed {
		t.Errorf("after the last: %s", card.Permission)
	}
}

// TestLeavingAListIsRemembered: nobody but the person brings them back to a
// list that they left, whatever a stranger typed into its form meanwhile.
func TestLeavingAListIsRemembered(t *testing.T) {
	for name, meanwhile := range map[string]func(*desk){
		"a sign-up that waits": func(d *desk) { d.signUp(marie, "news") },
		"a sign-up that lapsed": func(d *desk) {
			d.signUp(marie, "news")
			d.pass(ConfirmWithin + time.Minute)
			d.must(d.Tick(d.t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.bring(marie, Confirmed)
			d.signUp(marie, "shop")
			d.confirmNewest()
			_, err := d.Unsubscribe(t.Context(), anna, d.newest(marie).SubscriberID, "News")
			d.must(err)
			meanwhile(d)
			if res := d.importOne(marie); res.Refused != 1 {
				t.Errorf("an import: %+v", res)
			}
			d.signUp(marie, "news")
			d.confirmNewest()
			if got := d.newest(marie).ListNames(); got != "News, Shop" {
				t.Errorf("after the person's own click: %s", got)
			}
			if res := d.importOne(marie); res.Refused != 0 {
				t.Errorf("an import after it: %+v", res)
			}
		})
	}
}

func TestErasingAnOldTombstoneSparesTheNewCard(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Deleted)
	old := d.newest(marie).SubscriberID
	d.pass(25 * time.Hour)
	_, err := d.Resubscribe(t.Context(), anna, Resubscription{Address: marie, List: "News", Asked: "called on Monday"})
	d.must(err)
	cancel := d.link("unsubscribe")
	d.confirmNewest()
	done, err := d.Export(t.Context(), anna, marie, nil, "json", "")
	d.must(err)
	again, err := d.Erase(t.Context(), anna, strconv.FormatInt(old, 10), "asked again")
	if d.must(err); !again.Before || again.Files != 0 {
		t.Errorf("erased again: %+v", again)
	}
	if _, err := os.Stat(done.Path); err != nil {
		t.Error(err)
	}
	if page, err := d.LookUnsubscribe(t.Context(), cancel); err != nil || page.State != PageOpen {
		t.Errorf("the new card's link: %s, %v", page.State, err)
	}
	var refusal *Refusal
	if _, err := d.Erase(t.Context(), anna, strconv.FormatInt(old, 10), "it was else@example.com"); !errors.As(err, &refusal) {
		t.Errorf("an address in the reason of a second erasure: %v", err)
	}
}

func TestPendingImportKeepsItsOwnTimes(t *testing.T) {
	d := newDesk(t)
	path := filepath.Join(t.TempDir(), "in.csv")
	d.must(os.WriteFile(path, []byte("email,signed_up_at,signed_up_ip\n"+marie+",2021-05-05T10:00:00Z,203.0.113.9\n"), 0o600))
	_, err := d.Import(t.Context(), anna, path, ImportOptions{List: "News"}, nil)
	d.must(err)
	check := func(what string) {
		t.Helper()
		card := d.newest(marie)
		if card.SignedUp == nil || !card.SignedUp.At.Equal(time.Date(2021, 5, 5, 10, 0, 0, 0, time.UTC)) || card.SignedUp.IP == nil || *card.SignedUp.IP != "203.0.113.9" {
			t.Errorf("%s: signed up %+v", what, card.SignedUp)
		}
	}
	check("pending")
	f, err := d.Find(t.Context(), anna, marie)
	d.must(err)
	details, err := d.Open(t.Context(), anna, f.Cards[0].SubscriberID, f.Given)
	if d.must(err); details.Timeline[0].Notice != "" {
		t.Error("a notice that nobody saw is evidence")
	}
	d.pass(time.Hour)
	d.confirmNewest()
	check("confirmed")
	_, err = d.Erase(t.Context(), anna, marie, "asked for it")
	d.must(err)
	check("erased")
}

func TestReasonsHoldNothingPersonal(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	var refusal *Refusal
	for _, reason := range []string{"", "  \n ", "wrote from marie.jensen@example.dk", "see <else@example.com>", "from 203.0.113.77", "call +45 20 12 34 56", "call 20 12 34 56", strings.Repeat("x", 2000)} {
		if _, err := d.Erase(t.Context(), anna, marie, reason); !errors.As(err, &refusal) {
			t.Errorf("%.40q: %v", reason, err)
		}
	}
	if d.newest(marie).Permission != Confirmed {
		t.Error("erased all the same")
	}
	if _, err := d.Erase(t.Context(), anna, marie, "asked by letter on 2026-11-22 (22.11.2026), ticket 20261122"); err != nil {
		t.Errorf("a date and a ticket: %v", err)
	}
}

func TestEraseTakesExportsAndLettersAway(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	d.signUp(marie, "shop")
	d.must(d.Capture(t.Context(), "", marie, []byte("Subject: x\r\n\r\nx\r\n")))
	done, err := d.Export(t.Context(), anna, marie, nil, "json", "")
	d.must(err)
	if info, err := os.Stat(done.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the export: %v, %v", info, err)
	}
	erased, err := d.Erase(t.Context(), anna, marie, "asked for it")
	d.must(err)
	if erased.Files != 1 {
		t.Errorf("%d files removed", erased.Files)
	}
	if left, _ := filepath.Glob(filepath.Join(d.cfg.Exports, "*")); len(left) != 0 {
		t.Errorf("exports left: %v", left)
	}
	rows, err := d.store.Letters(t.Context(), 0, 10)
	if d.must(err); len(rows) != 0 {
		t.Errorf("%d letters left", len(rows))
	}
	d.must(d.Capture(t.Context(), "", marie, []byte("Subject: x\r\n\r\nwas on its way\r\n")))
	if mails, err := d.Mailbox(t.Context(), anna, 10); err != nil || len(mails) != 0 {
		t.Errorf("%d captured mails left, %v", len(mails), err)
	}
}

func TestExportedJSONIsPrintable(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	hostile := "Marie\u009b2J\u202egnp\x1b[31m \U000e0001 Ω李"
	id := d.newest(marie).SubscriberID
	if _, err := d.Correct(t.Context(), anna, id, "first_name", hostile); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	d.must(d.ExportTo(t.Context(), anna, marie, "json", &b))
	for _, r := range b.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("the export holds %U", r)
		}
	}
	var card ExportedCard
	d.must(json.Unmarshal(b.Bytes(), &card))
	if *card.FirstName != hostile {
		t.Errorf("the name came out as %q", *card.FirstName)
	}
}

// TestCapturingGuardsTheCard: an erasure that read the card before a mail was
// captured starts again, and takes that away too; after it none is kept.
func TestCapturingGuardsTheCard(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	before, err := d.store.Contact(ctx, id)
	d.must(err)
	mail := []byte("Subject: x\r\n\r\nx\r\n")
	d.must(d.Capture(ctx, "", marie, mail))
	now, err := d.store.Contact(ctx, id)
	if d.must(err); now.Version == before.Version {
		t.Error("who read the card before could write it back")
	}
	_, err = d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	d.must(d.Capture(ctx, "", marie, mail))
	mails, err := d.Mailbox(ctx, anna, 10)
	if d.must(err); len(mails) != 0 {
		t.Errorf("%d mails are left of an erased person", len(mails))
	}
	d.check()
}
