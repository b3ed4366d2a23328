package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settingLoading tells of a load that is under way: until when it is to be
// left alone, in epoch microseconds. After that whoever finds it ends it.
const settingLoading = "loading_until"

// loadLease is for how long a load is left alone after its last sign of life.
const loadLease = time.Minute

// loadLater are the indexes that a load makes at its end: those whose entries
// come in no order. Filling them row by row, an import of a million goes back
// to every page of them again and again; sorted at once they take seconds. What
// acts ask for stays: addresses, and every order by SubscriberID.
var loadLater = []string{"contacts_mobile", "contacts_by_seen", "contacts_source_by_seen", "contacts_rate", "memberships_by_seen", "memberships_source_by_seen"}

// loader is an engine on which it pays to make indexes after a load. On a
// server, a page is bound to its index and would fail without it.
type loader interface {
	dropIndexes(ctx context.Context, tx *Tx, names []string) error
	makeIndex(ctx context.Context, statement string) error
}

// Load is a large import into a store that is small beside it. While it lasts,
// everything works, and sorting by activity and finding a number take long.
type Load struct {
	s     *Store
	until time.Time
}

// BeginLoad begins a load; nil when the engine has no use for one or another
// process is at one.
func (s *Store) BeginLoad(ctx context.Context) (*Load, error) {
	if _, ok := s.engine.(loader); !ok {
		return nil, nil
	}
	var l *Load
	until := s.now().Add(loadLease)
	err := s.InTx(ctx, func(tx *Tx) error {
		l = nil
		value, err := tx.Setting(ctx, settingLoading)
		if err != nil || value != "" {
			return err
		}
		l = &Load{s: s, until: until}
		return errors.Join(l.tell(ctx, tx), s.dropIndexes(ctx, tx))
	})
	return l, err
}

// dropIndexes drops them, on an engine that has loads.
func (s *Store) dropIndexes(ctx context.Context, tx *Tx) error {
	if e, ok := s.engine.(loader); ok {
		return e.dropIndexes(ctx, tx, loadLater)
	}
	return nil
}

// makeIndexes makes those that are not there; first is called before each.
func (s *Store) makeIndexes(ctx context.Context, first func(n int) error) error {
	e, ok := s.engine.(loader)
	if !ok {
		return nil
	}
	for i, name := range loadLater {
		if err := first(i + 1); err != nil {
			return err
		}
		if err := e.makeIndex(ctx, indexStatement(name)); err != nil {
			return fmt.Errorf("making the index %s: %w", name, err)
		}
	}
	return nil
}

// Keep tells others now and then that the load goes on.
func (l *Load) Keep(ctx context.Context) error {
	now := l.s.now()
	if l.until.Sub(now) > loadLease/2 {
		return nil
	}
	l.until = now.Add(loadLease)
	return l.s.InTx(ctx, func(tx *Tx) error { return l.tell(ctx, tx) })
}

func (l *Load) tell(ctx context.Context, tx *Tx) error {
	return tx.SetSetting(ctx, settingLoading, strconv.FormatInt(int64(At(l.until)), 10))
}

// End makes the indexes; tell, which may be nil, hears of each before it is
// begun. Where it fails, the next one to open the store makes the rest.
func (l *Load) End(ctx context.Context, tell func(n, of int)) error {
	if err := l.s.makeIndexes(ctx, func(n int) error {
		if tell != nil {
			tell(n, len(loadLater))
		}
		return l.Keep(ctx)
	}); err != nil {
		return err
	}
	return l.s.InTx(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM settings WHERE name = ?`, settingLoading)
		return err
	})
}

// loading tells whether a load is under way, and whether it has been left.
func (s *Store) loading(ctx context.Context) (under, left bool, err error) {
	value, err := s.raw.Setting(ctx, settingLoading)
	if err != nil || value == "" {
		return false, false, err
	}
	until, err := strconv.ParseInt(value, 10, 64)
	return true, until < int64(At(s.now())), err
}

// FinishLoad makes the indexes of a load whose process died.
func (s *Store) FinishLoad(ctx context.Context) error {
	_, left, err := s.loading(ctx)
	if err != nil || !left {
		return err
	}
	return (&Load{s: s}).End(ctx, nil)
}

// indexStatement is the schema's own, for an index that may be there.
func indexStatement(name string) string {
	i := slices.IndexFunc(sqliteSteps(), func(step string) bool { return strings.HasPrefix(step, "CREATE INDEX "+name+" ") })
	return strings.Replace(sqliteSteps()[i], "CREATE INDEX", "CREATE INDEX IF NOT EXISTS", 1)
}

func (e *sqliteEngine) dropIndexes(ctx context.Context, tx *Tx, names []string) error {
	tx.changes()
	if _, err := e.write.conn.ExecContext(ctx, "PRAGMA cache_size="+loadCache); err != nil {
		return mapSQLite(err)
	}
	e.write.most = loadPages * walFrame
	for _, name := range names {
		if _, err := e.write.conn.ExecContext(ctx, "DROP INDEX IF EXISTS "+name); err != nil {
			return mapSQLite(err)
		}
	}
	return nil
}

// The pragmas of sorting: in files, which are encrypted under a random key,
// since millions of entries don't fit into memory; the cache is also what SQLite
// sorts in at once.
const (
	sortPragmas = "PRAGMA temp_store=FILE; PRAGMA cache_size=-8000; "
	unsort      = "PRAGMA temp_store=MEMORY; PRAGMA cache_size=" + writeCache
)

func (e *sqliteEngine) makeIndex(ctx context.Context, statement string) error {
	return e.write.hold(ctx, func() (err error) {
		if err := e.still(); err != nil {
			return err
		}
		e.write.most = walPages * walFrame
		defer func() {
			_, back := e.write.conn.ExecContext(context.WithoutCancel(ctx), unsort)
			err = errors.Join(err, mapSQLite(back))
		}()
		_, err = e.write.conn.ExecContext(ctx, sortPragmas+statement)
		return mapSQLite(err)
	})
}
