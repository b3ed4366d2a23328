package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Options say which store to open, and with which keys.
type Options struct {
	URL  string // "sqlite:PATH"
	Keys string // path of the key file
	// Existing refuses to make a new store where there is none.
	Existing bool
}

// Store is an open store. Its methods read; InTx writes. It is safe for use by
// several goroutines, and several processes may open one store.
type Store struct {
	queries
	// NewKeys tells that the key file was made just now: say what it is for.
	NewKeys bool

	read  *cachedDB
	write *writer
	path  string
	now   func() time.Time
}

// SetClock replaces the time of day, which tells under which day a change is
// counted. Call it before the store is used.
func (s *Store) SetClock(now func() time.Time) { s.now = now }

// Open opens a store, makes it when it isn't there, and brings its schema up
// to date. It changes nothing when it fails.
func Open(ctx context.Context, o Options) (*Store, error) {
	path, err := sqlitePath(o.URL)
	if err != nil {
		return nil, err
	}
	keys, created, err := keysFor(path, o)
	if err != nil {
		return nil, err
	}
	s, err := openSQLite(ctx, path, keys)
	if err != nil {
		return nil, err
	}
	s.NewKeys = created
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// keysFor loads the key file, or makes one when the store is new as well: a
// database without its key file must not get another one.
func keysFor(path string, o Options) (*Keys, bool, error) {
	there, err := exists(path)
	if err != nil {
		return nil, false, err
	}
	if !there && o.Existing {
		return nil, false, fmt.Errorf("there is no store at %s: run kartotek once to make it, or name another with --store", path)
	}
	keys, err := LoadKeys(o.Keys)
	switch {
	case err == nil:
		return keys, false, nil
	case !errors.Is(err, ErrNoKeys):
		return nil, false, err
	case there:
		return nil, false, fmt.Errorf("there is a database at %s but no key file at %s: give the right one with --keys, or restore your copy of it", path, o.Keys)
	}
	keys, err = CreateKeys(o.Keys)
	return keys, err == nil, err
}

// Keys are the secrets that the store was opened with.
func (q queries) Keys() *Keys { return q.keys }

// Path is the database file's path.
func (s *Store) Path() string { return s.path }

// Close waits for the write that is under way and closes the store.
func (s *Store) Close() error {
	return errors.Join(s.write.close(), s.read.close())
}

// Tx is a write transaction. A closure that is given one may run several
// times, so it must have no effect but on the transaction and its own results.
type Tx struct {
	queries
	deltas map[string]int64 // what the counters change by
	day    Day              // under which the changes are counted
}

// InTx runs fn in one write transaction, all or nothing. It starts again when
// a row that fn was guarded by has changed in between.
func (s *Store) InTx(ctx context.Context, fn func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.write.inTx(ctx, func(q queries) error {
			q.keys = s.keys
			tx := &Tx{queries: q, deltas: map[string]int64{}, day: DayOf(s.now())}
			if err := fn(tx); err != nil {
				return err
			}
			return tx.flushCounters(ctx)
		})
		if !errors.Is(err, errConflict) || attempt == 10 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * time.Duration(rand.Int64N(int64(5*time.Millisecond)))):
		}
	}
}

// queries runs SQL by prepared statements, on the readers or in a transaction.
type queries struct {
	keys *Keys
	stmt func(ctx context.Context, query string) (*sql.Stmt, error)
}

func (q queries) exec(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := q.stmt(ctx, query)
	if err != nil {
		return 0, mapError(err)
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, mapError(err)
	}
	n, err := res.RowsAffected()
	return n, mapError(err)
}

// one changes exactly the row that args name; errConflict when it isn't there.
func (q queries) one(ctx context.Context, query string, args ...any) error {
	n, err := q.exec(ctx, query, args...)
	if err == nil && n != 1 {
		err = errConflict
	}
	return err
}

// each runs a query and calls scan for every row.
func (q queries) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	st, err := q.stmt(ctx, query)
	if err != nil {
		return mapError(err)
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return mapError(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return mapError(err)
		}
	}
	return mapError(rows.Err())
}

// all fills a slice of structs by their db tags.
func (q queries) all(ctx context.Context, dest any, query string, args ...any) error {
	st, err := q.stmt(ctx, query)
	if err != nil {
		return mapError(err)
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return mapError(err)
	}
	defer rows.Close()
	return mapError(sqlx.StructScan(rows, dest))
}

// get scans the one row of a query into dest; ErrNotFound when there is none.
func (q queries) get(ctx context.Context, dest []any, query string, args ...any) error {
	st, err := q.stmt(ctx, query)
	if err != nil {
		return mapError(err)
	}
	return mapError(st.QueryRowContext(ctx, args...).Scan(dest...))
}

// cachedDB prepares each query once.
type cachedDB struct {
	db    *sql.DB
	still func() error // whether the file is still the one that was opened
	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

func (c *cachedDB) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if err := c.still(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st, ok := c.stmts[query]; ok {
		return st, nil
	}
	st, err := c.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = st
	return st, nil
}

func (c *cachedDB) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.stmts {
		st.Close()
	}
	return c.db.Close()
}

// writer is the process's one way to write: transactions queue for it here,
// because SQLite's own busy handling stalls for seconds under many writers.
type writer struct {
	db    *sql.DB
	still func() error
	slot  chan struct{}
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (w *writer) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := w.stmts[query]; ok {
		return st, nil
	}
	st, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	w.stmts[query] = st
	return st, nil
}

// hold waits for the connection and runs fn on it.
func (w *writer) hold(ctx context.Context, fn func() error) error {
	select {
	case w.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.slot }()
	if w.conn == nil {
		return errors.New("the store is closed")
	}
	return fn()
}

func (w *writer) inTx(ctx context.Context, fn func(queries) error) error {
	return w.hold(ctx, func() (err error) {
		if err := w.still(); err != nil {
			return err
		}
		if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return mapError(err)
		}
		done := false
		defer func() {
			if !done { // also when fn panics
				w.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			}
		}()
		if err := fn(queries{stmt: w.stmt}); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// From here on the answer must be the commit's own, so it can't be cancelled.
		if _, err := w.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
			return mapError(err)
		}
		done = true
		return nil
	})
}

func (w *writer) close() error {
	w.slot <- struct{}{}
	defer func() { <-w.slot }()
	for _, st := range w.stmts {
		st.Close()
	}
	if w.conn == nil {
		return nil
	}
	err := errors.Join(w.conn.Close(), w.db.Close())
	w.conn = nil
	return err
}

// NextIDs takes n ids of a sequence and returns the first. Ids are never given
// out twice; one that was taken in a transaction that fails is given out again.
func (tx *Tx) NextIDs(ctx context.Context, sequence string, n int) (int64, error) {
	changed, err := tx.exec(ctx, `UPDATE sequences SET next_id = next_id + ? WHERE name = ?`, n, sequence)
	if err != nil {
		return 0, err
	}
	if changed == 0 {
		_, err := tx.exec(ctx, `INSERT INTO sequences (name, next_id) VALUES (?, ?)`, sequence, 1+n)
		return 1, err
	}
	var next int64
	err = tx.get(ctx, []any{&next}, `SELECT next_id FROM sequences WHERE name = ?`, sequence)
	return next - int64(n), err
}

// ReturnIDs gives back the end of a block of ids, if nobody has taken any after it.
func (tx *Tx) ReturnIDs(ctx context.Context, sequence string, from, to int64) error {
	_, err := tx.exec(ctx, `UPDATE sequences SET next_id = ? WHERE name = ? AND next_id = ?`, from, sequence, to)
	return err
}
