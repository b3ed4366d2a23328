package store

import (
	"context"
	"testing"
	"time"

	"kartotek/store/storetest"
)

func indexesAre(t *testing.T, s *Store, want Severity) {
	t.Helper()
	f, err := s.examineIndexes(context.Background())
	if err != nil || f.Severity != want {
		t.Errorf("the indexes are found %+v, %v, want %s", f, err, want)
	}
}

func begin(t *testing.T, s *Store) *Load {
	t.Helper()
	l, err := s.BeginLoad(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLoad(t *testing.T) {
	storetest.Embedded(t)
	ctx := context.Background()
	s := open(t, t.TempDir())
	l := begin(t, s)
	indexesAre(t, s, Note)
	if begin(t, s) != nil {
		t.Error("a second load began within the first")
	}
	var told []int
	if err := l.End(ctx, func(n, of int) { told = append(told, n, of) }); err != nil {
		t.Fatal(err)
	}
	indexesAre(t, s, Good)
	if len(told) != 2*len(loadLater) || told[0] != 1 || told[1] != len(loadLater) {
		t.Errorf("told %v of making indexes", told)
	}
	if l := begin(t, s); l == nil {
		t.Error("no load can begin after one")
	}
}

// TestFailedMigrationLeavesNothing: a step that can't be done undoes those
// before it, or the next start would fail at what is there already.
func TestFailedMigrationLeavesNothing(t *testing.T) {
	storetest.Embedded(t)
	ctx := context.Background()
	e := open(t, t.TempDir()).engine.(*sqliteEngine)
	for _, s := range []string{"DROP TABLE sequences", "PRAGMA user_version=0"} {
		if _, err := e.write.conn.ExecContext(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.migrate(ctx); err == nil { // the indexes are there already
		t.Fatal("the migration did not fail")
	}
	var n int
	if err := e.write.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'sequences'").Scan(&n); err != nil || n != 0 {
		t.Errorf("a table of a migration that failed is there: %d, %v", n, err)
	}
}

// TestLoadLeft leaves a load in the middle, as a process does that dies: others
// wait for a sign of life, and then make the indexes themselves.
func TestLoadLeft(t *testing.T) {
	storetest.Embedded(t)
	dir, ctx := t.TempDir(), context.Background()
	dead := open(t, dir)
	begin(t, dead)
	other := open(t, dir)
	if err := other.FinishLoad(ctx); err != nil {
		t.Fatal(err)
	}
	indexesAre(t, other, Note)
	other.SetClock(func() time.Time { return time.Now().Add(loadLease + time.Second) })
	stopped, stop := context.WithCancel(ctx)
	l := &Load{s: other}
	if err := l.End(stopped, func(n, _ int) {
		if n == 3 {
			stop()
		}
	}); err == nil {
		t.Fatal("a load ended that was stopped")
	}
	indexesAre(t, other, Note)
	other.SetClock(func() time.Time { return time.Now().Add(3 * loadLease) })
	if err := other.FinishLoad(ctx); err != nil {
		t.Fatal(err)
	}
	indexesAre(t, other, Good)
}

// TestLoadOnServer: a page is bound to its index there.
func TestLoadOnServer(t *testing.T) {
	s := open(t, t.TempDir())
	if _, ok := s.engine.(loader); ok {
		t.Skip("the embedded store has loads")
	}
	if begin(t, s) != nil {
		t.Error("a load began on a server")
	}
	indexesAre(t, s, Good)
}
