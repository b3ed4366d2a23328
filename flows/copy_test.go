package flows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kartotek/store"
	"kartotek/store/storetest"
)

// TestCopy moves a store with something in every corner, from and to each
// engine, broken off again and again: what every door shows is the same after
// it, and the checker finds the copy whole.
func TestCopy(t *testing.T) {
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	addresses := people(d, 0, 2500)
	d.bring(marie, Deleted)
	back := addresses[7]
	_, err := d.Erase(t.Context(), anna, back, "asked for it")
	d.must(err)
	d.comeBack(back)
	d.signUp("waits@example.com", "news")
	dir := t.TempDir()
	targets := []string{"sqlite:" + filepath.Join(dir, "copy.db")}
	if storetest.Engine == storetest.MySQL { // and from the file back to a server
		targets = append(targets, storetest.At(t, dir).URL)
	}
	from := p
	for i, url := range targets {
		before := shown(d, append([]string{marie, back, "waits@example.com"}, addresses[:20]...))
		d.must(d.store.Close())
		to := storetest.Place{URL: url, Keys: p.Keys, Files: dir}
		if copied := broken(t, from, to); copied.Contacts != int64(2503+i) {
			t.Errorf("copied %+v", copied)
		}
		d = deskOn(t, to)
		d.check()
		if diff := cmp.Diff(before, shown(d, append([]string{marie, back, "waits@example.com"}, addresses[:20]...))); diff != "" {
			t.Errorf("-before +after\n%s", diff)
		}
		rows, err := d.Audit(t.Context(), anna, AuditFilter{What: "copy"}, 0, 10)
		if d.must(err); len(rows) != i+1 || rows[0].Actor != anna.Name {
			t.Errorf("the copy doesn't tell who made it: %+v", rows)
		}
		// It is a store like any other, with a journal of this machine.
		_, err = d.Erase(t.Context(), anna, people(d, 5000+i, 1)[0], "asked for it")
		d.must(err)
		d.check()
		if j, err := d.store.Journal(t.Context()); err != nil || j.Erasures != 3+i {
			t.Errorf("the copy's journal: %+v, %v", j, err)
		}
		from = to
	}
}

// broken copies a store, and breaks that off again and again.
func broken(t *testing.T, from, to storetest.Place) store.Copied {
	t.Helper()
	for tries := 0; ; tries++ {
		s, err := store.Open(t.Context(), store.Options{URL: from.URL, Keys: from.Keys, Files: from.Files})
		if err != nil {
			t.Fatal(err)
		}
		target, err := store.Open(t.Context(), store.Options{URL: to.URL, Keys: to.Keys, Files: to.Files, Migrate: true, Copying: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		copied, err := New(s, Config{}).Copy(ctx, anna, target, func(int64, int64) {
			if steps++; steps == 3 && tries < 5 {
				cancel()
			}
		})
		cancel()
		if e := errors.Join(s.Close(), target.Close()); e != nil {
			t.Fatal(e)
		}
		if err == nil {
			return copied
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if s, err := store.Open(t.Context(), store.Options{URL: to.URL, Keys: to.Keys, Files: to.Files}); !errors.Is(err, store.ErrCopying) {
			t.Errorf("a copy that was broken off opens: %v", err)
			if err == nil {
				s.Close()
			}
		}
	}
}

// shown is what doors show of some addresses, and of everything.
func shown(d *desk, addresses []string) (out []string) {
	d.t.Helper()
	for _, a := range addresses {
		f, err := d.FindOpened(d.t.Context(), anna, a)
		d.must(err)
		for _, c := range f.Cards {
			details, err := d.Open(d.t.Context(), anna, c.SubscriberID, f.Given)
			d.must(err)
			out = append(out, fmt.Sprintf("%+v", details.Timeline), fmt.Sprint(c.SubscriberID, c.Permission, c.Lists))
		}
	}
	counts, err := d.Counts(d.t.Context(), anna)
	d.must(err)
	return append(out, fmt.Sprint(counts.ByPermission, counts.BySource, counts.Due))
}

// TestStoresOfOneKeyFile: two stores of one key file, say one to try things on,
// keep their files apart. Both count from 1, and have a log of their own.
func TestStoresOfOneKeyFile(t *testing.T) {
	p, q := storetest.At(t, t.TempDir()), storetest.At(t, t.TempDir())
	q.Keys, q.Files = p.Keys, p.Files
	var desks []*desk
	var exports []string
	for i, place := range []storetest.Place{p, q} {
		d := deskOn(t, place)
		_, err := d.AddList(t.Context(), anna, "News")
		d.must(err)
		d.bring(marie, Confirmed)
		if i == 0 { // so that its log is longer
			d.bring("somebody@example.com", Confirmed)
		}
		e, err := d.Export(t.Context(), anna, "1", nil, "json", "")
		d.must(err)
		d.must(d.Seal(t.Context()))
		desks, exports = append(desks, d), append(exports, e.Path)
	}
	_, err := desks[0].Erase(t.Context(), anna, "1", "asked for it")
	desks[0].must(err)
	if _, err := os.Stat(exports[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the erased one's export: %v", err)
	}
	if _, err := os.Stat(exports[1]); err != nil {
		t.Errorf("the export of another store's #1: %v", err)
	}
	for i, d := range desks {
		d.must(d.Seal(t.Context()))
		if v, err := d.verifyLog(t.Context(), nil); err != nil || !v.Whole() {
			t.Errorf("the log of store %d: %+v, %v", i+1, v.First, err)
		}
	}
}
