package flows

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kartotek/store"
	"kartotek/store/storetest"
)

// largeFile writes a file of n contacts that looks like one of many more.
func largeFile(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("email,last_activity_at\n")
	for i := range n {
		fmt.Fprintf(&b, "p%d@example.com,2026-01-%02dT10:00:00Z\n", i, 1+i%28)
	}
	b.WriteString(strings.Repeat(",\n", 50*b.Len()))
	path := filepath.Join(t.TempDir(), "large.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLargeImport: the indexes that are made at the end of a large import are
// there when it has ended, also when it was stopped, and meanwhile all works.
func TestLargeImport(t *testing.T) {
	storetest.Embedded(t)
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped=%v", stopped), func(t *testing.T) {
			d := newDesk(t)
			ctx, stop := context.WithCancel(d.t.Context())
			defer stop()
			var steps []string
			var missing bool
			res, err := d.Import(ctx, anna, largeFile(t, 4*importChunk), ImportOptions{List: "News", Confirmed: true}, func(p ImportProgress) {
				if p.Step != "" {
					steps = append(steps, p.Step)
					return
				}
				if !missing {
					missing = d.indexes() != "ok"
					if page, err := d.Browse(d.t.Context(), anna, Page{Limit: 5}); err != nil || len(page.Cards) != 5 {
						t.Errorf("meanwhile browsing shows %+v, %v", page, err)
					}
				}
				if stopped {
					stop()
				}
			})
			if (err != nil) != stopped || !missing || d.indexes() != "ok" {
				t.Errorf("%+v, %v; indexes left out meanwhile: %v, and in the end %s", res, err, missing, d.indexes())
			}
			if len(steps) == 0 || !slices.IsSorted(steps) {
				t.Errorf("told of the steps %q", steps)
			}
		})
	}
}

// TestLargeTransactions: a file of many rows goes in large transactions, on
// every engine, and comes out the same when it is imported again.
func TestLargeTransactions(t *testing.T) {
	d := newDesk(t)
	file := largeFile(t, 2*loadChunk)
	for _, want := range []string{"added", "unchanged"} {
		var before, most int64
		res, err := d.Import(t.Context(), anna, file, ImportOptions{List: "News", Confirmed: true}, func(p ImportProgress) {
			most, before = max(most, p.Read-before), p.Read
		})
		d.must(err)
		if got := map[string]int64{"added": res.Added, "unchanged": res.Unchanged}[want]; got != 2*loadChunk {
			t.Errorf("want all rows %s: %+v", want, res)
		}
		if most < loadChunk && (want == "added" || !d.store.OnServer()) {
			t.Errorf("at most %d rows went at once, want %d", most, loadChunk)
		}
	}
	d.check()
}

// TestKnownPeopleGoInSmallTransactions: on a server, where their cards are
// locked until the end.
func TestKnownPeopleGoInSmallTransactions(t *testing.T) {
	for _, c := range []struct {
		under *store.Load
		known bool
		want  int
	}{{nil, false, loadChunk}, {nil, true, importChunk}, {&store.Load{}, true, loadChunk}} {
		l := importLoad{under: c.under}
		l.on.Store(true)
		l.note(c.known)
		if got := l.chunk(); got != c.want {
			t.Errorf("%+v: %d rows", c, got)
		}
	}
}

// indexes is what a doctor says of them in a word.
func (d *desk) indexes() string {
	d.t.Helper()
	all, err := d.store.Examine(d.t.Context())
	d.must(err)
	i := slices.IndexFunc(all, func(f store.Finding) bool { return f.What == "indexes" })
	return string(all[i].Severity)
}
