package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"
)

// Options say which store to open, and with which keys.
type Options struct {
	URL  string // "sqlite:PATH" or "mysql://USER:PASS@HOST:PORT/DB", see CheckURL
	Keys string // path of the key file
	// Files is the directory under which files that belong to a store without
	// a directory of its own are kept: exports, reports. An embedded store has one.
	Files string
	// Migrate brings the schema of a MySQL store up to date, or makes it. An
	// embedded store's is always brought up to date.
	Migrate bool
	// NewJournal begins another erasure journal where this machine's was lost
	// for good, unless it returns an error: what was erased since a backup may
	// come back with it. The store that it is given reads, and takes audit rows.
	NewJournal func(context.Context, *Store) error
	// Copying opens a store that another is to be copied into.
	Copying bool
}

// CheckURL tells whether a store's address can be understood, without opening it.
func CheckURL(raw string) error {
	if isMySQL(raw) {
		_, err := parseMySQL(raw)
		return err
	}
	_, err := sqlitePath(raw)
	return err
}

// Store is an open store. Its methods read; InTx writes. It is safe for use by
// several goroutines, and several processes may open one store.
type Store struct {
	queries
	// NewKeys tells that the key file was made just now: say what it is for.
	NewKeys bool

	id      string  // the store's own name; empty while it is being copied to
	raw     queries // also while the store is behind its erasure journal
	engine  engine
	journal *journal
	now     func() time.Time
	wiper   wiper
	agreed  atomic.Int64 // when keys and schema were last compared with the store's
	newer   atomic.Int64 // its schema, once a newer version of the program has changed it
}

// SetClock replaces the time of day, which tells under which day a change is
// counted. Call it before the store is used.
func (s *Store) SetClock(now func() time.Time) { s.now = now }

// Open opens a store. An embedded one is made when it isn't there, and its
// schema brought up to date. It changes nothing when it fails.
func Open(ctx context.Context, o Options) (*Store, error) {
	open := openSQLite
	if isMySQL(o.URL) {
		open = openMySQL
	}
	e, keys, created, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Store{raw: e.reader(), NewKeys: created, engine: e, wiper: wiper{stop: make(chan struct{})}, now: time.Now}
	s.raw.keys = keys
	s.queries = s.raw
	s.queries.stmt = func(ctx context.Context, query string) (*sql.Stmt, error) {
		if err := s.outrun(); err != nil {
			return nil, err
		}
		if err := s.CatchUp(ctx, nil); err != nil {
			return nil, err
		}
		return s.raw.stmt(ctx, query)
	}
	err = s.check(ctx, o)
	if err == nil && !o.Copying {
		err = s.FinishLoad(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return s, nil
}

// check compares the store with what lies outside of it: key file and journal.
func (s *Store) check(ctx context.Context, o Options) error {
	if err := s.notOutrun(ctx); err != nil {
		return err
	}
	copying, err := s.raw.Setting(ctx, settingCopying)
	if err != nil {
		return err
	}
	if copying != "" && !o.Copying {
		return ErrCopying
	}
	if err := errors.Join(s.checkProbe(ctx), s.raw.keys.openLog()); err != nil {
		return err
	}
	if o.Copying { // its journal comes with what is copied
		s.journal = &journal{}
		return nil
	}
	err = s.openJournal(ctx)
	if errors.Is(err, ErrJournal) && o.NewJournal != nil {
		if err = o.NewJournal(ctx, s); err == nil {
			err = s.renewJournal(ctx)
		}
	}
	return err
}

// Keys are the secrets that the store was opened with.
func (q queries) Keys() *Keys { return q.keys }

// Dir is the store's own directory for files of a kind, such as exports; it
// may not exist yet. Two stores never share one, not even two databases under
// one key file: both count their SubscriberIDs from 1.
func (s *Store) Dir(kind string) string {
	if isServer(s.engine) {
		return s.engine.dir(kind) + "-" + s.id[:min(12, len(s.id))]
	}
	return s.engine.dir(kind)
}

// Name is the store in a few words, for a status line.
func (s *Store) Name() string { return s.engine.name() }

// OnServer tells whether the store lies on a database server, which writes
// several transactions at once.
func (s *Store) OnServer() bool { return isServer(s.engine) }

// InCluster tells whether the store lies on a Galera cluster: what a
// transaction writes goes to all of its nodes at once there, and much of it
// holds all of them up.
func (s *Store) InCluster(ctx context.Context) (bool, error) {
	e, ok := s.engine.(*mysqlEngine)
	if !ok {
		return false, nil
	}
	on, err := e.take(ctx)
	if err != nil {
		return false, err
	}
	defer e.give(on, true)
	return on.cluster, nil
}

// SchemaVersion is how many steps of the schema the store has had.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	return s.engine.schemaVersion(ctx)
}

// Sweep removes what the engine itself needed once and no longer needs.
func (s *Store) Sweep(ctx context.Context) error { return s.engine.sweep(ctx) }

// closePatience is how long closing waits for the store to note which
// SubscriberIDs were given out.
const closePatience = 2 * time.Second

// Close waits for the writes that are under way and closes the store.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	// Where that fails, the ids are noted when the next ones are given out.
	_ = s.noteTaken(ctx)
	s.wiper.close()
	return s.engine.close()
}

// Tx is a write transaction. A closure that is given one may run several
// times, so it must have no effect but on the transaction and its own results.
type Tx struct {
	queries
	engine  engine
	journal *journal
	peppers int              // that there were when it began
	records []record         // for the erasure journal
	deltas  map[string]int64 // what the counters change by
	day     Day              // under which the changes are counted
	batch   int64            // of the leaves; 0 until there is one
	leaves  []byte           // of the log, in that batch
	nleaf   int64
	turn    *finder // of leases when it took the turn to claim; nil before that
}

// InTx runs fn in one write transaction, all or nothing. It starts again when
// a row that fn was guarded by has changed in between, and when the database
// gave way or was lost. Where the answer to the commit itself was lost, it
// finds out whether the transaction was kept: then what fn returned last stands.
func (s *Store) InTx(ctx context.Context, fn func(*Tx) error) error {
	if err := s.CatchUp(ctx, nil); err != nil {
		return err
	}
	err := s.noting(ctx, func() error {
		return s.attempt(ctx, fn, func(tx *Tx) error {
			if len(tx.records) > 0 {
				return errNeedsJournal
			}
			return nil
		})
	})
	if errors.Is(err, errNeedsJournal) {
		return s.InErasure(ctx, fn)
	}
	return err
}

// attempt runs fn in one write transaction, and last as its end, just before
// it is kept.
func (s *Store) attempt(ctx context.Context, fn, last func(*Tx) error) error {
	if err := s.fence(ctx); err != nil {
		return err
	}
	return s.engine.inTx(ctx, func(q queries) error {
		q.keys = s.raw.keys
		tx := &Tx{queries: q, engine: s.engine, journal: s.journal, peppers: q.keys.Peppers(), deltas: map[string]int64{}, day: DayOf(s.now())}
		if err := fn(tx); err != nil {
			return err
		}
		if err := tx.flushLeaves(ctx); err != nil {
			return err
		}
		if err := tx.flushCounters(ctx); err != nil {
			return err
		}
		return last(tx)
	})
}

// contactIDs is the sequence of SubscriberIDs.
const contactIDs = "contacts"

// NextIDs takes n ids of a sequence and returns the first; with n = 0 it tells
// which none is above. Ids are never given out twice, except on an embedded
// store those that were taken in a transaction that fails. They may have gaps.
func (tx *Tx) NextIDs(ctx context.Context, sequence string, n int) (int64, error) {
	if sequence == contactIDs && n > 0 {
		if err := tx.likely(ctx, int64(n)); err != nil {
			return 0, err
		}
	}
	first, err := tx.engine.nextIDs(ctx, tx, sequence, n)
	if err == nil && n > 0 && sequence == contactIDs {
		err = tx.given(first+int64(n)-1, int64(n))
	}
	return first, err
}

// ReturnIDs gives back the end of a block of ids, if nobody has taken any
// after it and the engine minds gaps.
func (tx *Tx) ReturnIDs(ctx context.Context, sequence string, from, to int64) error {
	return tx.engine.returnIDs(ctx, tx, sequence, from, to)
}
