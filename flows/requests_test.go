package flows

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"kartotek/store"
)

func TestAMonthAfter(t *testing.T) {
	for from, want := range map[string]string{
		"2026-01-31": "2026-02-28", "2028-01-31": "2028-02-29", "2026-02-28": "2026-03-28", "2026-03-31": "2026-04-30", "2026-12-15": "2027-01-15",
	} {
		at, err := time.Parse(time.DateOnly, from)
		if err != nil {
			t.Fatal(err)
		}
		if got := aMonthAfter(at).Format(time.DateOnly); got != want {
			t.Errorf("a month after %s is %s, want %s", from, got, want)
		}
	}
}

func TestRequests(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	r, err := d.AddRequest(ctx, anna, NewRequest{Kind: KindAccess, SubscriberID: id, Note: "by letter"})
	d.must(err)
	if r.State != "open" || !r.Due.Equal(aMonthAfter(d.time).Truncate(time.Second)) {
		t.Errorf("the request is %+v", r)
	}
	for word, n := range map[string]NewRequest{
		"a request is one of": {Kind: "export", SubscriberID: id},
		"later than now":      {Kind: KindErase, SubscriberID: id, Received: d.time.Add(time.Hour)},
		"names the person":    {Kind: KindErase, SubscriberID: id, Note: "from " + marie},
	} {
		_, err := d.AddRequest(ctx, anna, n)
		turnedDown(t, err, word)
	}
	if _, err := d.AddRequest(ctx, anna, NewRequest{Kind: KindErase, SubscriberID: nobody}); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	d.counted(1)
	_, err = d.CloseRequest(ctx, anna, r.ID, true, " ")
	turnedDown(t, err, "refused with a reason")
	_, err = d.Approve(ctx, anna, r.ID, nil)
	turnedDown(t, err, "only a bulk export")
	r, err = d.CloseRequest(ctx, anna, r.ID, false, "sent by post")
	d.must(err)
	if r.State != "done" || r.ClosedBy != "anna" || r.Closed == nil {
		t.Errorf("the request is %+v", r)
	}
	_, err = d.CloseRequest(ctx, anna, r.ID, false, "")
	turnedDown(t, err, "done already")
	d.counted(0)
	_, err = d.Erase(ctx, anna, marie, "asked for it")
	d.must(err)
	r, err = d.Request(ctx, anna, r.ID)
	d.must(err)
	if r.Note != "" || r.Answer != "" || r.Kind != KindAccess {
		t.Errorf("after the erasure the request is %+v", r)
	}
	if all, err := d.Requests(ctx, anna, "done", 0, 10); err != nil || len(all) != 1 {
		t.Errorf("%d requests are done, %v", len(all), err)
	}
}

// counted holds the counter of open requests against the rows.
func (d *desk) counted(want int64) {
	d.t.Helper()
	c, err := d.Counts(d.t.Context(), anna)
	d.must(err)
	if c.Requests != want {
		d.t.Errorf("the counter says %d open requests, want %d", c.Requests, want)
	}
}

// keyPair makes an SSH key with what opens files that are encrypted to it.
func keyPair(t *testing.T) (ssh.PublicKey, age.Identity) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	id, err := agessh.NewEd25519Identity(private)
	if err != nil {
		t.Fatal(err)
	}
	return key, id
}

// staffed is a desk with two owners, who come over SSH, and three contacts.
func staffed(t *testing.T) (d *desk, first, second Actor, opens age.Identity) {
	t.Helper()
	d = newDesk(t)
	ctx := t.Context()
	mine, opens := keyPair(t)
	other, _ := keyPair(t)
	_, err := d.AddStaff(ctx, anna, "anna", Owner, keyLine(mine))
	d.must(err)
	_, err = d.AddStaff(ctx, d.as("anna"), "bo", Owner, keyLine(other))
	d.must(err)
	first, err = d.KnownKey(ctx, mine)
	d.must(err)
	second, err = d.KnownKey(ctx, other)
	d.must(err)
	for _, address := range []string{marie, "two@example.dk", "three@example.dk"} {
		d.bring(address, Confirmed)
	}
	return d, first, second, opens
}

// opened decrypts a bulk export and returns its lines by address.
func (d *desk) opened(a Actor, id int64, opens age.Identity) map[string]bulkContact {
	d.t.Helper()
	var sealed bytes.Buffer
	d.must(d.FetchExport(d.t.Context(), a, id, &sealed))
	r, err := age.Decrypt(&sealed, opens)
	d.must(err)
	out := map[string]bulkContact{}
	for dec := json.NewDecoder(r); ; {
		var c bulkContact
		if err := dec.Decode(&c); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			d.t.Fatal(err)
		}
		out[c.Email] = c
	}
}

func (d *desk) bulkFiles() int {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(globSafe(d.cfg.Exports), "bulk-*"))
	d.must(err)
	return len(files)
}

func TestBulkExport(t *testing.T) {
	d, first, second, opens := staffed(t)
	ctx := t.Context()
	_, err := d.Freeze(ctx, first, d.newest("two@example.dk").SubscriberID, "disputed")
	d.must(err)
	_, err = d.Erase(ctx, first, "three@example.dk", "asked for it")
	d.must(err)
	r, err := d.AskExport(ctx, first, BulkWish{List: "News", Reason: "the move to another shop"})
	d.must(err)
	if d.bulkFiles() != 0 {
		t.Fatal("there is a file before anybody approved")
	}
	turnedDown(t, d.FetchExport(ctx, first, r.ID, io.Discard), "not made yet")
	_, err = d.Approve(ctx, first, r.ID, nil)
	turnedDown(t, err, "second person")
	r, err = d.Approve(ctx, second, r.ID, nil)
	d.must(err)
	if r.State != "done" || r.Export.Contacts != 2 || r.Export.Expires == nil {
		t.Errorf("the export is %+v %+v", r, r.Export)
	}
	info, err := os.Stat(filepath.Join(d.cfg.Exports, r.Export.File))
	d.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %o", info.Mode().Perm())
	}
	turnedDown(t, d.FetchExport(ctx, second, r.ID, io.Discard), "only they can fetch it")
	got := d.opened(first, r.ID, opens)
	if len(got) != 2 || got[marie].SubscriberID == 0 || !got["two@example.dk"].Frozen || got[marie].Lists[0].List != "News" {
		t.Errorf("the file holds %+v", got)
	}
	_, err = d.Approve(ctx, second, r.ID, nil)
	turnedDown(t, err, "done already")

	// It goes when anybody in it is erased.
	_, err = d.Erase(ctx, first, marie, "asked for it")
	d.must(err)
	if d.bulkFiles() != 0 {
		t.Error("somebody in it was erased, and the file is there")
	}
	turnedDown(t, d.FetchExport(ctx, first, r.ID, io.Discard), "gone")
	if left, err := d.store.ExportMembers(ctx, r.ID, 0, 10); err != nil || len(left) != 0 {
		t.Errorf("it is still noted who was in it: %v, %v", left, err)
	}
}

func TestBulkExportEnds(t *testing.T) {
	d, first, second, opens := staffed(t)
	ctx := t.Context()
	r, err := d.AskExport(ctx, first, BulkWish{All: true, Reason: "yearly copy"})
	d.must(err)
	_, err = d.Approve(ctx, second, r.ID, nil)
	d.must(err)
	if got := d.opened(first, r.ID, opens); len(got) != 3 {
		t.Errorf("the file holds %d", len(got))
	}
	d.pass(7*24*time.Hour - time.Minute)
	d.must(d.Tick(ctx))
	if d.bulkFiles() != 1 {
		t.Error("the file went too early")
	}
	d.pass(2 * time.Minute)
	d.must(d.Tick(ctx))
	if d.bulkFiles() != 0 {
		t.Error("the file is there after 7 days")
	}
	turnedDown(t, d.FetchExport(ctx, first, r.ID, io.Discard), "gone")
}

// TestBulkExportOfMarked: who is erased before it is approved is not in it;
// one that is erased while it is made ends it.
func TestBulkExportOfMarked(t *testing.T) {
	d, first, second, opens := staffed(t)
	ctx := t.Context()
	ids := []int64{d.newest(marie).SubscriberID, d.newest("two@example.dk").SubscriberID, d.newest("two@example.dk").SubscriberID}
	r, err := d.AskExport(ctx, first, BulkWish{IDs: ids, Reason: "a sample to look at"})
	d.must(err)
	_, err = d.Erase(ctx, first, marie, "asked for it")
	d.must(err)
	_, err = d.Approve(ctx, second, r.ID, nil)
	d.must(err)
	if got := d.opened(first, r.ID, opens); len(got) != 1 || got["two@example.dk"].SubscriberID == 0 {
		t.Errorf("the file holds %+v", got)
	}

	r, err = d.AskExport(ctx, first, BulkWish{All: true, Reason: "one that is late"})
	d.must(err)
	_, err = d.Approve(ctx, second, r.ID, func(ImportProgress) {
		_, err := d.Erase(context.WithoutCancel(ctx), first, "two@example.dk", "asked for it")
		d.must(err)
	})
	turnedDown(t, err, "erased while it was made")
	if d.bulkFiles() != 0 {
		t.Error("a file is left")
	}
	_, err = d.Approve(ctx, second, r.ID, nil)
	turnedDown(t, err, "ask for it anew")
}

// TestSecondPerson: nobody approves their own wish, under whatever name.
func TestSecondPerson(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	local, err := d.SignIn(ctx, "root", "root", "command line")
	d.must(err)
	_, err = d.AskExport(ctx, local, BulkWish{All: true, Reason: "yearly copy"})
	turnedDown(t, err, "there are no staff")

	d, first, second, _ := staffed(t)
	for word, w := range map[string]BulkWish{
		"say what":              {Reason: "yearly copy"},
		"the reason is missing": {All: true},
		"holds an email":        {All: true, Reason: "for eva@example.com"},
	} {
		_, err := d.AskExport(ctx, first, w)
		turnedDown(t, err, word)
	}
	_, err = d.AskExport(ctx, d.keyless("eva"), BulkWish{All: true, Reason: "yearly copy"})
	turnedDown(t, err, "you have none that can be used")

	here := d.as("anna")
	r, err := d.AskExport(ctx, here, BulkWish{All: true, Reason: "yearly copy"})
	d.must(err)
	_, err = d.Approve(ctx, d.as("bo"), r.ID, nil) // the same user of this machine
	turnedDown(t, err, "under another name")
	_, err = d.Approve(ctx, Actor{Name: "bo", Role: Owner, From: "test"}, r.ID, nil)
	turnedDown(t, err, "no second person")
	_, err = d.Reject(ctx, d.keyless("ulla"), r.ID, "not needed")
	turnedDown(t, err, "role operator")
	_, err = d.EnableStaff(ctx, second, "anna", false)
	d.must(err)
	_, err = d.Approve(ctx, second, r.ID, nil)
	turnedDown(t, err, "may not export any more")
	_, err = d.Reject(ctx, second, r.ID, "not needed")
	d.must(err)
	d.counted(0)
}

// keyless is an operator who has no key.
func (d *desk) keyless(name string) Actor {
	d.t.Helper()
	any := Actor{Name: "test", Role: Owner, From: "test"}
	_, err := d.AddStaff(d.t.Context(), any, name, Operator, "")
	d.must(err)
	return d.as(name)
}

// TestBrokenOffExport: a run that died is made anew, and the file that it left
// goes.
func TestBrokenOffExport(t *testing.T) {
	d, first, second, opens := staffed(t)
	ctx := t.Context()
	r, err := d.AskExport(ctx, first, BulkWish{All: true, Reason: "yearly copy"})
	d.must(err)
	broken, stop := context.WithCancel(ctx)
	_, err = d.Approve(broken, second, r.ID, func(ImportProgress) { stop() })
	if err == nil {
		t.Fatal("it was not broken off")
	}
	left := filepath.Join(d.cfg.Exports, bulkPrefix+strconv.FormatInt(r.ID, 10)+"-OLD.jsonl.age.1.tmp")
	d.must(os.WriteFile(left, []byte("half"), 0o600))
	if r, err = d.Approve(ctx, second, r.ID, nil); err != nil || r.State != "done" {
		t.Fatalf("again: %+v, %v", r, err)
	}
	d.must(d.Tick(ctx))
	if d.bulkFiles() != 1 || len(d.opened(first, r.ID, opens)) != 3 {
		t.Errorf("%d files are there", d.bulkFiles())
	}
	rows, err := d.store.Audit(ctx, store.AuditQuery{Limit: 20})
	d.must(err)
	for _, row := range rows {
		if strings.Contains(row.Why, "@") {
			t.Errorf("the audit tells an address: %+v", row)
		}
	}
}
