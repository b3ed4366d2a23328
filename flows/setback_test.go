package flows

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store/ledger"
)

// more adds acts to the log and signs each.
func (d *logged) more(n int, word string) {
	d.t.Helper()
	for i := range n {
		_, err := d.AddList(d.t.Context(), anna, fmt.Sprintf("%s %d %d", word, i, d.time.Unix()))
		d.must(err)
		d.sealed()
	}
}

// setBack puts the kept copy in the place of the database, as a restore does,
// after some acts that it lacks; the restored store goes on from there.
func (d *logged) setBack(lost, after int) (kept, size int64) {
	d.t.Helper()
	d.keep()
	kept = d.number("SELECT size FROM log_head")
	d.more(lost, "Lost")
	size = d.number("SELECT size FROM log_head")
	d.back()
	d.more(after, "After")
	return kept, size
}

// TestAcceptRestore: an owner owns up to a restore, and from then on the walk
// names what was lost by it, by whom and why, instead of a problem.
func TestAcceptRestore(t *testing.T) {
	for _, after := range []int{0, 2, 5} { // how far the restored store went on before
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			d := newLogged(t)
			kept, size := d.setBack(3, after)
			if v := d.verified(); v.Whole() || v.Problems != 1 {
				t.Fatalf("before anybody owned up to it: %+v", v)
			}
			for _, bad := range []string{"", "because", "marie.jensen@example.dk wanted it"} {
				var refusal *Refusal
				if _, err := d.AcceptRestore(t.Context(), anna, bad); !errors.As(err, &refusal) {
					t.Errorf("the reason %q: %v", bad, err)
				}
			}
			_, err := d.AcceptRestore(t.Context(), anna, "the disk was lost")
			d.must(err)
			for range 2 {
				v := d.verified()
				if !v.Whole() || len(v.Setbacks) != 1 {
					t.Fatalf("after: %+v, %+v", v, v.First)
				}
				if s := v.Setbacks[0]; s.Kept != kept || s.Lost != size || s.By != anna.Name || s.Why != "the disk was lost" || s.Row == 0 {
					t.Errorf("lost %d to %d: %+v", kept, size, s)
				}
				d.more(6, "Later") // past the size that was lost
			}
			if _, err := d.AcceptRestore(t.Context(), anna, "once more for luck"); err == nil || !strings.Contains(err.Error(), "lacks nothing") {
				t.Errorf("when nothing is lost: %v", err)
			}
			v, err := d.VerifyAudit(t.Context(), anna, nil)
			d.must(err)
			last, err := d.LastVerification(t.Context(), anna)
			if d.must(err); len(v.Setbacks) != 1 || last == nil || len(last.Setbacks) != 1 {
				t.Errorf("%+v, kept as %+v", v, last)
			}
		})
	}
}

// TestAcceptedAndThenSetBack: what was owned up to excuses nothing that comes
// after it, be it an older copy, the same copy again, or a cut tail.
func TestAcceptedAndThenSetBack(t *testing.T) {
	d := newLogged(t)
	d.setBack(8, 1)
	_, err := d.AcceptRestore(t.Context(), anna, "the disk was lost")
	d.must(err)
	d.sealed()
	first := d.number("SELECT size FROM log_head")

	// A copy from after it is put back, in the range of sizes that was lost then.
	kept, _ := d.setBack(2, 0)
	if v := d.verified(); kept < first || v.Whole() || !strings.Contains(v.First.What, "old copy") || len(v.Setbacks) != 1 {
		t.Errorf("put back: %+v", v)
	}
	d.more(3, "On")
	if v := d.verified(); v.Whole() || !strings.Contains(v.First.What, "not those that were signed") || v.Problems != 1 {
		t.Errorf("gone on: %+v", v)
	}
	_, err = d.AcceptRestore(t.Context(), anna, "the disk was lost again")
	d.must(err)
	if v := d.verified(); !v.Whole() || len(v.Setbacks) != 2 || v.Setbacks[1].Kept != kept {
		t.Errorf("the second: %+v, %+v", v, v.First)
	}
}

// TestForgedSetback: somebody without the key file can't own up to anything,
// by any row; who has the database can't make the fork look like a restore.
func TestForgedSetback(t *testing.T) {
	d := newLogged(t)
	d.setBack(4, 1)
	_, err := d.AddList(t.Context(), anna, "Cover")
	d.must(err)
	d.sealed()
	head, err := d.store.LogHead(t.Context())
	d.must(err)
	row := d.number("SELECT MAX(audit_id) FROM audit")
	s := ledger.Setback{Audit: row, Kept: 0, Lost: head.Size + 100, At: d.time.Add(time.Hour)}
	s.Root, err = tlog.TreeHash(0, nil)
	d.must(err)
	leaf := s.Leaf()
	put := func(query string, args ...any) {
		t.Helper()
		_, err := d.db.Exec(query, args...)
		d.must(err)
	}
	zero := make([]byte, ledger.MACSize)
	d.keep()
	for name, forge := range map[string]func(){
		"a batch that waits": func() {
			put("INSERT INTO batches VALUES (99999, ?, ?)", leaf, zero)
			put("INSERT INTO unplaced VALUES (99999)")
		},
		"a batch with its place and the head": func() {
			put("INSERT INTO batches VALUES (99999, ?, ?)", leaf, zero)
			put("INSERT INTO placed VALUES (?, 99999, 1, ?)", head.Size, zero)
			tree := head.Clone()
			tree.Add(ledger.Hash(leaf), nil)
			put("UPDATE log_head SET size = ?, frontier = ?, mac = ?", tree.Size, tree.Bytes(), zero)
		},
		"in the place of another entry": func() {
			batch := d.number("SELECT MAX(batch_id) FROM batches")
			put("UPDATE batches SET leaves = ? WHERE batch_id = ?", leaf, batch)
		},
		"a row of the audit alone": func() {
			put(fmt.Sprint("INSERT INTO audit SELECT 99999, at, actor, role, door, 'restore', 0, 'the disk was lost', 0, salt, batch_id, place FROM kept_audit WHERE audit_id = ", row))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			forge()
			v := d.verified()
			if v.Whole() || len(v.Setbacks) != 0 || v.Problems < 2 { // the fork, and the forgery
				t.Errorf("%+v, %+v", v, v.First)
			}
			d.back()
		})
	}
	d.t = t
	if v := d.verified(); v.Problems != 1 {
		t.Errorf("without a forgery: %+v", v)
	}
}

// TestTamperedSetback: a true one can't be bent afterwards.
func TestTamperedSetback(t *testing.T) {
	d := newLogged(t)
	d.setBack(3, 1)
	_, err := d.AcceptRestore(t.Context(), anna, "the disk was lost")
	d.must(err)
	d.more(1, "On")
	d.keep()
	row := d.number("SELECT MAX(audit_id) FROM audit WHERE act = 'restore'")
	for name, change := range map[string]string{
		"who": "UPDATE audit SET actor = 'bo' WHERE audit_id = %d", "why": "UPDATE audit SET why = 'because of nothing' WHERE audit_id = %d",
		"when": "UPDATE audit SET at = at - 1000000 WHERE audit_id = %d", "removing the row": "DELETE FROM audit WHERE audit_id = %d",
	} {
		d.sql(fmt.Sprintf(change, row))
		if v := d.verified(); v.Whole() || v.First.Row != fmt.Sprint("audit row ", row) {
			t.Errorf("%s: %+v", name, v.First)
		}
		d.back()
	}
	// Without the file of checkpoints it still says so.
	d.must(os.Remove(d.cfg.Checkpoints))
	if v := d.verified(); !v.Whole() || len(v.Setbacks) != 1 {
		t.Errorf("%+v", v)
	}
}

// TestTamperingIsNoRestore: an owner can't own up to a changed tree.
func TestTamperingIsNoRestore(t *testing.T) {
	d := newLogged(t)
	batch := d.number("SELECT MIN(batch_id) + 2 FROM batches")
	d.sql(fmt.Sprintf("UPDATE batches SET leaves = (SELECT leaves FROM (SELECT leaves FROM batches WHERE batch_id = %d) AS b) WHERE batch_id = %d", batch+1, batch))
	var refusal *Refusal
	if _, err := d.AcceptRestore(t.Context(), anna, "the disk was lost"); !errors.As(err, &refusal) {
		t.Errorf("%v", err)
	}
	if v := d.verified(); v.Whole() || len(v.Setbacks) != 0 {
		t.Errorf("%+v", v)
	}
}
