package flows

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kartotek/store"
	"kartotek/store/ledger"
	"kartotek/store/storetest"
)

// logged is a desk with some history in its log, and the database past it.
type logged struct {
	*desk
	db    *sql.DB
	place storetest.Place
}

// logTables hold the log and what it is of.
var logTables = []string{"audit", "evidence", "batches", "unplaced", "placed", "subtrees", "log_head", "checkpoints", "contacts"}

func newLogged(t *testing.T) *logged {
	t.Helper()
	place := storetest.At(t, t.TempDir())
	d := &logged{desk: deskOn(t, place), place: place}
	d.db = storetest.SQL(t, place)
	for _, name := range []string{"News", "Shop"} {
		_, err := d.AddList(t.Context(), anna, name)
		d.must(err)
	}
	d.bring(marie, Unsubscribed)
	d.sealed()
	d.bring("ole@example.com", Deleted)
	d.sealed()
	d.importMany(160) // more than one row of subtrees' hashes
	d.sealed()
	return d
}

func (d *logged) importMany(n int) {
	d.t.Helper()
	var b strings.Builder
	b.WriteString("email\n")
	for i := range n {
		fmt.Fprintf(&b, "person%d@example.org\n", i)
	}
	path := filepath.Join(d.t.TempDir(), "many.csv")
	d.must(os.WriteFile(path, []byte(b.String()), 0o600))
	_, err := d.Import(d.t.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
	d.must(err)
}

func (d *logged) sealed() {
	d.t.Helper()
	d.pass(time.Minute)
	d.must(d.Seal(d.t.Context()))
}

func (d *logged) sql(statements ...string) {
	d.t.Helper()
	for _, s := range statements {
		if _, err := d.db.Exec(s); err != nil {
			d.t.Fatalf("%s: %v", s, err)
		}
	}
}

// keep copies the tables; back puts the copies in their place.
func (d *logged) keep() {
	for _, table := range logTables {
		empty := "CREATE TABLE kept_" + table + " AS SELECT * FROM " + table + " WHERE FALSE"
		if storetest.Engine == storetest.MySQL { // a cluster keeps only what has a primary key
			empty = "CREATE TABLE kept_" + table + " LIKE " + table
		}
		d.sql("DROP TABLE IF EXISTS kept_"+table, empty, "INSERT INTO kept_"+table+" SELECT * FROM "+table)
	}
}

func (d *logged) back() {
	for _, table := range logTables {
		d.sql("DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM kept_"+table)
	}
}

func (d *logged) verified() Verification {
	d.t.Helper()
	v, err := d.verifyLog(d.t.Context(), nil)
	d.must(err)
	return v
}

func (d *logged) whole() {
	d.t.Helper()
	if v := d.verified(); !v.Whole() {
		d.t.Fatalf("the log is not whole: %+v", *v.First)
	}
}

func (d *logged) number(query string) (n int64) {
	d.t.Helper()
	d.must(d.db.QueryRow(query).Scan(&n))
	return n
}

// TestTampering changes the rows and the tree in every way by SQL: each is
// found, and the first row that it is about named.
func TestTampering(t *testing.T) {
	d := newLogged(t)
	d.whole()
	d.keep()
	one := d.number("SELECT subscriber_id FROM contacts WHERE permission = 3")
	tomb := d.number("SELECT subscriber_id FROM contacts WHERE permission = 4")
	row := d.number("SELECT MIN(audit_id) FROM audit WHERE act = 'unsubscribe'")
	batch := d.number(fmt.Sprint("SELECT batch_id FROM audit WHERE audit_id = ", row))
	first := d.number(fmt.Sprint("SELECT first_leaf FROM placed WHERE batch_id = ", batch))
	audit, act := fmt.Sprint("audit row ", row), fmt.Sprint("act 2 of card ", one)
	where := fmt.Sprint(" WHERE audit_id = ", row)
	ofAct := fmt.Sprintf(" WHERE subscriber_id = %d AND n = 2", one)
	for _, c := range []struct {
		name, row string
		do        []string
	}{
		{"who in an audit row", audit, []string{"UPDATE audit SET actor = 'bo'" + where}},
		{"why in an audit row", audit, []string{"UPDATE audit SET why = 'because'" + where}},
		{"the time of an audit row", audit, []string{"UPDATE audit SET at = at + 1" + where}},
		{"whom an audit row is about", audit, []string{"UPDATE audit SET subscriber_id = 99" + where}},
		{"the salt of an audit row", audit, []string{"UPDATE audit SET salt = X'00'" + where}},
		{"the time of an act", act, []string{"UPDATE evidence SET at = at - 1" + ofAct}},
		{"the kind of an act", act, []string{"UPDATE evidence SET kind = 5" + ofAct}},
		{"the sealed part of an act", act, []string{"UPDATE evidence SET sealed = X'0011'" + ofAct}},
		{"the sealed part of a tombstone's act", fmt.Sprintf("act 1 of card %d", tomb), []string{fmt.Sprintf("UPDATE evidence SET sealed = X'0011' WHERE subscriber_id = %d AND n = 1", tomb)}},
		{"removing an audit row", audit, []string{"DELETE FROM audit" + where}},
		{"removing the first audit row", "audit row 1", []string{"DELETE FROM audit WHERE audit_id = 1"}},
		{"removing an act", act, []string{"DELETE FROM evidence" + ofAct}},
		{"removing an act and the card's count of it", "entry ", []string{
			fmt.Sprintf("DELETE FROM evidence WHERE subscriber_id = %d AND n = 3", one), fmt.Sprintf("UPDATE contacts SET acts = 2 WHERE subscriber_id = %d", one),
		}},
		{"removing all acts of a tombstone", fmt.Sprintf("of card %d", tomb), []string{fmt.Sprint("DELETE FROM evidence WHERE subscriber_id = ", tomb)}},
		{"inserting an audit row", "audit row 99999", []string{"INSERT INTO audit SELECT 99999, at, actor, role, door, act, subscriber_id, why, dropped, salt, batch_id, place FROM kept_audit" + where}},
		{"inserting an audit row of no batch", "audit row 99999", []string{"INSERT INTO audit SELECT 99999, at, actor, role, door, act, subscriber_id, why, dropped, salt, 99999, 0 FROM kept_audit" + where}},
		{"inserting an act", fmt.Sprintf("act 9 of card %d", one), []string{"INSERT INTO evidence SELECT subscriber_id, 9, kind, at, sealed, batch_id, place FROM kept_evidence" + ofAct}},
		{"swapping two audit rows", "audit row ", []string{
			"UPDATE audit SET audit_id = 99999" + where, fmt.Sprintf("UPDATE audit SET audit_id = %d WHERE audit_id = %d", row, row+1), fmt.Sprintf("UPDATE audit SET audit_id = %d WHERE audit_id = 99999", row+1),
		}},
		{"swapping two acts", fmt.Sprintf(" of card %d", one), []string{
			fmt.Sprintf("UPDATE evidence SET n = 99 WHERE subscriber_id = %d AND n = 1", one), fmt.Sprintf("UPDATE evidence SET n = 1 WHERE subscriber_id = %d AND n = 2", one), fmt.Sprintf("UPDATE evidence SET n = 2 WHERE subscriber_id = %d AND n = 99", one),
		}},
		{"the entries of a batch", "act ", []string{fmt.Sprintf("UPDATE batches SET leaves = (SELECT leaves FROM kept_batches WHERE batch_id = %d) WHERE batch_id = %d", batch-1, batch)}},
		{"removing a batch", "act ", []string{fmt.Sprint("DELETE FROM batches WHERE batch_id = ", batch)}},
		{"removing a batch's place", "act ", []string{fmt.Sprint("DELETE FROM placed WHERE batch_id = ", batch)}},
		{"moving a batch's place far away", "entry ", []string{fmt.Sprintf("UPDATE placed SET first_leaf = 1152921504606846976 WHERE batch_id = %d", batch)}},
		{"inserting a batch's place", "batch 99999", []string{fmt.Sprintf("INSERT INTO placed SELECT %d, 99999, 1, mac FROM kept_placed WHERE batch_id = %d", first+1, batch)}},
		{"swapping the places of two batches", "a", []string{
			fmt.Sprintf("UPDATE placed SET batch_id = -1 WHERE batch_id = %d", batch), fmt.Sprintf("UPDATE placed SET batch_id = %d WHERE batch_id = %d", batch, batch-1), fmt.Sprintf("UPDATE placed SET batch_id = %d WHERE batch_id = -1", batch-1),
		}},
		{"the tree's hashes", "entry 0", []string{"UPDATE subtrees SET hashes = X'" + strings.Repeat("00", 32) + "'"}},
		{"removing the tree's hashes", "entry 0", []string{"DELETE FROM subtrees"}},
		{"the tree's head", "the log's head", []string{"UPDATE log_head SET frontier = X''"}},
		{"a shorter head", "", []string{"UPDATE log_head SET size = size - 1"}},
		{"a checkpoint", "checkpoint ", []string{"UPDATE checkpoints SET note = REPLACE(note, '2026-', '2025-')"}},
		{"removing what waits", "audit row 99999", []string{"INSERT INTO batches SELECT 99999, leaves, mac FROM kept_batches WHERE batch_id = 1", "INSERT INTO audit SELECT 99999, at, actor, role, door, act, subscriber_id, why, dropped, salt, 99999, 0 FROM kept_audit" + where}},
		{"inserting before the signing", "batch 99999", []string{"INSERT INTO batches SELECT 99999, leaves, mac FROM kept_batches WHERE batch_id = 1", "INSERT INTO unplaced VALUES (99999)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			d.sql(c.do...)
			v := d.verified()
			if v.Whole() || !strings.Contains(v.First.Row, c.row) {
				t.Errorf("found %+v (%d in all), want %q", v.First, v.Problems, c.row)
			}
			d.back()
			d.whole()
		})
	}
}

// TestTamperingWithTheKey: who has the key file too can make rows and entries
// that fit, but not the checkpoints that were signed before.
func TestTamperingWithTheKey(t *testing.T) {
	d := newLogged(t)
	d.whole()
	row := d.number("SELECT MIN(audit_id) FROM audit WHERE act = 'unsubscribe'")
	rows, err := d.store.AuditFrom(t.Context(), row, 1)
	d.must(err)
	r := rows[0]
	b, err := d.store.Batch(t.Context(), r.Batch)
	d.must(err)
	old := r.Leaf()
	r.Why = "the person asked"
	leaves := []byte(strings.Replace(string(b.Leaves), string(old), string(r.Leaf()), 1))
	mac := d.store.Keys().Log().MAC("batch", leaves, r.Batch)
	for query, args := range map[string][]any{
		"UPDATE audit SET why = ? WHERE audit_id = ?":               {r.Why, r.ID},
		"UPDATE batches SET leaves = ?, mac = ? WHERE batch_id = ?": {leaves, mac, r.Batch},
	} {
		_, err := d.db.Exec(query, args...)
		d.must(err)
	}
	v := d.verified()
	if v.Whole() || !strings.Contains(v.First.Row, "entry") || !strings.Contains(v.First.What, "not those that were signed") {
		t.Errorf("found %+v", v.First)
	}
}

// TestOldCopy: a database that is put back, or cut, knows of a smaller log than
// the file beside it; one that then goes on has another log than was signed.
func TestOldCopy(t *testing.T) {
	d := newLogged(t)
	d.whole()
	d.keep()
	size := d.number("SELECT size FROM log_head")
	for range 3 {
		_, err := d.AddList(t.Context(), anna, fmt.Sprint("List ", d.time.Unix()))
		d.must(err)
		d.sealed()
	}
	d.whole()
	d.back()
	v := d.verified()
	if v.Whole() || v.First.Entry != size || !strings.Contains(v.First.What, "old copy") {
		t.Errorf("put back: %+v", v.First)
	}
	for range 5 {
		_, err := d.AddList(t.Context(), anna, fmt.Sprint("Another ", d.time.Unix()))
		d.must(err)
		d.sealed()
	}
	v = d.verified()
	if v.Whole() || v.First.Entry != size || !strings.Contains(v.First.What, "not those that were signed") {
		t.Errorf("gone on: %+v", v.First)
	}
}

// TestCutTail removes the newest act with everything that knows of it in the
// database, by somebody who even has the key file.
func TestCutTail(t *testing.T) {
	d := newLogged(t)
	ctx := t.Context()
	from, err := d.store.LogHead(ctx)
	d.must(err)
	frontier, mac := from.Bytes(), d.store.Keys().Log().MAC("head", from.Bytes(), from.Size)
	_, err = d.AddList(ctx, anna, "Last")
	d.must(err)
	d.sealed()
	d.sql(
		"DELETE FROM audit WHERE batch_id IN (SELECT batch_id FROM placed WHERE first_leaf >= "+fmt.Sprint(from.Size)+")",
		"DELETE FROM batches WHERE batch_id IN (SELECT batch_id FROM placed WHERE first_leaf >= "+fmt.Sprint(from.Size)+")",
		"DELETE FROM placed WHERE first_leaf >= "+fmt.Sprint(from.Size), "DELETE FROM checkpoints WHERE size > "+fmt.Sprint(from.Size),
	)
	_, err = d.db.Exec("UPDATE log_head SET size = ?, frontier = ?, mac = ?", from.Size, frontier, mac)
	d.must(err)
	if v := d.verified(); v.Whole() || v.First.Entry != from.Size || !strings.Contains(v.First.What, "file of checkpoints") {
		t.Errorf("found %+v", v.First)
	}
	d.must(os.Remove(d.cfg.Checkpoints))
	d.whole() // the file is what tells
}

// TestForeignBatchIsNotSigned: what somebody without the key file appends
// stays out of the tree, and the rest goes on.
func TestForeignBatchIsNotSigned(t *testing.T) {
	d := newLogged(t)
	salt := ledger.NewSalt()
	r := store.AuditRow{ID: 99999, At: store.At(d.time), Actor: "anna", Role: "owner", Door: "console", Act: "erase", SubscriberID: 1, Salt: salt[:], Batch: 88888}
	for query, args := range map[string][]any{
		"INSERT INTO batches VALUES (?, ?, ?)":                          {r.Batch, r.Leaf(), make([]byte, ledger.MACSize)},
		"INSERT INTO unplaced VALUES (?)":                               {r.Batch},
		"INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)": {r.ID, int64(r.At), r.Actor, r.Role, r.Door, r.Act, r.SubscriberID, "", 0, r.Salt, r.Batch, 0},
	} {
		_, err := d.db.Exec(query, args...)
		d.must(err)
	}
	_, err := d.AddList(t.Context(), anna, "Third")
	d.must(err)
	before := d.number("SELECT size FROM log_head")
	if err := d.Seal(t.Context()); !errors.Is(err, errLogChanged) {
		t.Errorf("sealing: %v", err)
	}
	if d.number("SELECT size FROM log_head") != before+1 {
		t.Error("the foreign batch stops the others, or was signed")
	}
	if v := d.verified(); v.Whole() || v.First.Row != "audit row 99999" {
		t.Errorf("found %+v", v.First)
	}
}

// TestVerifyWhileOthersWork: what is appended and signed during the walk is no problem.
func TestVerifyWhileOthersWork(t *testing.T) {
	d := newLogged(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, err := d.AddList(t.Context(), anna, fmt.Sprint("List ", i))
			if err = errors.Join(err, d.Seal(t.Context())); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 30 {
		if v, err := d.verifyLog(t.Context(), nil); err != nil || !v.Whole() {
			t.Errorf("%+v, %+v, %v", v, v.First, err)
			break
		}
	}
	stop()
	wg.Wait()
}

// TestVerifyAudit goes through the door: it tells the next who looks, and writes a row.
func TestVerifyAudit(t *testing.T) {
	d := newLogged(t)
	ctx := t.Context()
	auditor := Actor{Name: "rita", Role: Auditor, From: "test"}
	if v, err := d.LastVerification(ctx, auditor); err != nil || v != nil {
		t.Fatalf("before there was one: %+v, %v", v, err)
	}
	var done, total int64
	v, err := d.VerifyAudit(ctx, auditor, func(p ImportProgress) { done, total = p.Done, p.Total })
	if d.must(err); !v.Whole() || v.Entries == 0 || v.InStore < 3 || v.InFile < 3 || done == 0 || done > total {
		t.Errorf("%+v, progress %d of %d", v, done, total)
	}
	d.sql("UPDATE audit SET why = 'because' WHERE audit_id = 1")
	_, err = d.VerifyAudit(ctx, auditor, nil)
	d.must(err)
	last, err := d.LastVerification(ctx, auditor)
	if d.must(err); last == nil || last.First == nil || last.First.Row != "audit row 1" {
		t.Errorf("the last one: %+v", last)
	}
	rows, err := d.Audit(ctx, auditor, AuditFilter{What: "verify audit", Who: "rita"}, 0, 10)
	if d.must(err); len(rows) != 2 || !strings.Contains(rows[0].Why, "audit row 1") || !strings.HasSuffix(rows[1].Why, "whole") {
		t.Errorf("%+v", rows)
	}
}

// TestSealingLeavesItToOthers: while another process holds the lease nothing
// is signed, unless it has to be.
func TestSealingLeavesItToOthers(t *testing.T) {
	d := newLogged(t)
	ctx := t.Context()
	other := New(d.store, Config{})
	other.SetClock(func() time.Time { return d.time })
	n := 0
	add := func() {
		t.Helper()
		n++
		_, err := d.AddList(ctx, anna, fmt.Sprint("List ", n))
		d.must(err)
	}
	waiting := func() int {
		t.Helper()
		ids, err := d.store.Unplaced(ctx, 10)
		d.must(err)
		return len(ids)
	}
	d.pass(sealLease + time.Second)
	add()
	d.must(other.SealRest(ctx)) // takes the lease
	d.pass(time.Second)
	add()
	if d.must(d.SealRest(ctx)); waiting() != 1 {
		t.Error("another's lease was not kept")
	}
	if d.must(d.Seal(ctx)); waiting() != 0 {
		t.Error("sealing on demand waited for another")
	}
	add()
	d.pass(sealLease + time.Second)
	if d.must(other.SealRest(ctx)); waiting() != 0 {
		t.Error("a lease that is over was kept")
	}
	add()
	d.must(other.EndSealing(ctx))
	add()
	if d.must(d.SealRest(ctx)); waiting() != 0 {
		t.Error("a lease that was given back was kept")
	}
	d.whole()
}

// TestManyWriters: transactions of several services at once, sealed meanwhile,
// make one whole log.
func TestManyWriters(t *testing.T) {
	d := newLogged(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	failed := make(chan error, 8)
	var services [4]*Service
	for i := range services { // before any works: each tells the store of itself
		services[i] = New(d.store, Config{Checkpoints: d.cfg.Checkpoints})
	}
	for i, s := range services {
		go func() {
			for n := range 10 {
				if _, err := s.AddList(ctx, anna, fmt.Sprintf("List %d of %d", n, i)); err != nil {
					failed <- err
					return
				}
				if err := s.SealRest(ctx); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range 4 {
		d.must(<-failed)
	}
	d.must(d.Seal(ctx))
	d.whole()
}

// TestManyLooks: those who search at once each have their row before they have
// their answer.
func TestManyLooks(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	const lookers = 24
	failed := make(chan error, lookers)
	for i := range lookers {
		go func() {
			who := Actor{Name: fmt.Sprint("looker ", i), Role: Support, From: "test"}
			if _, err := d.Find(t.Context(), who, marie); err != nil {
				failed <- err
				return
			}
			rows, err := d.Audit(t.Context(), anna, AuditFilter{Who: who.Name, What: "search"}, 0, 9)
			if err == nil && len(rows) != 1 {
				err = fmt.Errorf("%d rows of %s", len(rows), who.Name)
			}
			failed <- err
		}()
	}
	for range lookers {
		d.must(<-failed)
	}
	d.must(d.Seal(t.Context()))
	v, err := d.verifyLog(t.Context(), nil)
	if d.must(err); !v.Whole() {
		t.Errorf("%+v", v.First)
	}
}

// TestOpeningAgain: a screen that refreshes a card is one look, another's or a
// later one is a look of its own.
func TestOpeningAgain(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	open := func(a Actor) int {
		t.Helper()
		_, err := d.Open(ctx, a, 1, nil)
		d.must(err)
		rows, err := d.Audit(ctx, anna, AuditFilter{What: "open"}, 0, 9)
		d.must(err)
		return len(rows)
	}
	for i, who := range []Actor{anna, anna, {Name: "bo", Role: Support, From: "test"}} {
		if want := []int{1, 1, 2}[i]; open(who) != want {
			t.Errorf("looks are miscounted at the opening number %d", i+1)
		}
	}
	d.pass(reopened + time.Second)
	if open(anna) != 3 {
		t.Error("a later look is none")
	}
}
