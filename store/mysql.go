package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// mysqlReaders and mysqlWriters are how many connections browse and write at
	// once in one process.
	mysqlReaders = 8
	mysqlWriters = 16
	// connectionLife bounds a connection's age, so that connections come back to
	// a node that was away.
	connectionLife = time.Minute
	// appliedFor is how long a transaction can still be found to have been kept:
	// much longer than it is repeated for.
	appliedFor = time.Hour
)

// mysqlEngine is a store on MySQL or MariaDB, one server or several.
type mysqlEngine struct {
	url   mysqlURL
	read  *cachedDB
	write *sql.DB
	files string // directory under which files are kept
	own   string // the store's own name for its directories there
	words string

	once   sync.Once
	closed chan struct{}

	slots chan struct{} // one for each writer
	mu    sync.Mutex
	idle  []*session

	ids idSource
}

func (e *mysqlEngine) reader() queries {
	return queries{stmt: e.read.stmt, told: mapMySQL, again: e.readAgain}
}

// readAgain lets a read be repeated while the server is away, for as long as a
// transaction would be.
func (e *mysqlEngine) readAgain(ctx context.Context, err error, attempt int) bool {
	if !repeatable(err) || attempt > int(busyFor/awayPause) {
		return false
	}
	e.dropIdle()
	return backOff(ctx, attempt, 2*awayPause)
}

// dir is the store's own: two stores must not share one, since both count
// their SubscriberIDs from 1.
func (e *mysqlEngine) dir(kind string) string { return filepath.Join(e.files, kind, e.own) }

func (e *mysqlEngine) name() string { return e.words }

func (e *mysqlEngine) rowsAtOnce() int { return 256 }

func (e *mysqlEngine) wipe(context.Context, time.Duration) (bool, error) { return true, nil }

func (e *mysqlEngine) close() (err error) {
	e.once.Do(func() {
		close(e.closed)
		for range mysqlWriters { // wait for those that are under way
			e.slots <- struct{}{}
		}
		e.dropIdle()
		e.ids.close()
		err = errors.Join(e.write.Close(), e.read.close())
	})
	return err
}

// session is a connection for writing with the statements prepared on it.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	born  time.Time
}

func newSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, mapMySQL(err)
	}
	return &session{conn: conn, stmts: map[string]*sql.Stmt{}, born: time.Now()}, nil
}

func (s *session) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.stmts[query] = st
	return st, nil
}

// close ends the connection; the server gives its statements up with it.
func (s *session) close() { s.conn.Close() }

// take waits for a writer's slot and returns a session.
func (e *mysqlEngine) take(ctx context.Context) (*session, error) {
	select {
	case e.slots <- struct{}{}:
	case <-e.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e.mu.Lock()
	for len(e.idle) > 0 {
		s := e.idle[len(e.idle)-1]
		e.idle = e.idle[:len(e.idle)-1]
		if time.Since(s.born) < connectionLife {
			e.mu.Unlock()
			return s, nil
		}
		s.close()
	}
	e.mu.Unlock()
	s, err := newSession(ctx, e.write)
	if err == nil {
		// Nothing is kept but by COMMIT, whatever the server has ended meanwhile.
		_, err = s.conn.ExecContext(ctx, "SET SESSION autocommit = 0")
		if err = mapMySQL(err); err != nil {
			s.close()
		}
	}
	if err != nil {
		<-e.slots
		return nil, err
	}
	return s, nil
}

// give returns a session, or ends it when it is not whole any more.
func (e *mysqlEngine) give(s *session, whole bool) {
	if whole {
		e.mu.Lock()
		e.idle = append(e.idle, s)
		e.mu.Unlock()
	} else {
		s.close()
	}
	<-e.slots
}

// dropIdle ends the connections that nobody uses: after one broke, the others
// lead to the same node.
func (e *mysqlEngine) dropIdle() {
	e.mu.Lock()
	for _, s := range e.idle {
		s.close()
	}
	e.idle = nil
	e.mu.Unlock()
	e.read.db.SetMaxIdleConns(0)
	e.read.db.SetMaxIdleConns(mysqlReaders)
}

// awayPause is how long, on average, is waited between two attempts while the
// server is away.
const awayPause = 100 * time.Millisecond

// repeatable tells whether a transaction that ended with err can be run again.
func repeatable(err error) bool {
	return errors.Is(err, errConflict) || errors.Is(err, ErrAway) || errors.Is(err, ErrBusy)
}

// act is one transaction over all its attempts.
type act struct {
	key    []byte // written by it: who finds it there was kept
	unsure bool   // the answer to a commit was lost
}

// errApplied: an earlier attempt was kept.
var errApplied = errors.New("the transaction was kept before")

func (e *mysqlEngine) inTx(ctx context.Context, fn func(queries) error) error {
	a := &act{key: appliedKey(time.Now())}
	rand.Read(a.key[8:])
	end := time.Now().Add(busyFor)
	for attempt := 1; ; attempt++ {
		err := e.attempt(ctx, a, fn)
		switch {
		case errors.Is(err, errApplied):
			return nil
		case errors.Is(err, ErrAway):
			e.dropIdle()
		}
		if repeatable(err) && time.Now().Before(end) && backOff(ctx, attempt, 2*awayPause) {
			continue
		}
		switch {
		case a.unsure:
			return ErrUnsure
		case errors.Is(err, errConflict):
			return ErrBusy
		}
		return err
	}
}

// attempt runs fn in one transaction. The key is written first: where an
// earlier attempt was kept, fn must not run again, and where one is being kept
// at this moment, the key waits for it.
func (e *mysqlEngine) attempt(ctx context.Context, a *act, fn func(queries) error) error {
	s, err := e.take(ctx)
	if err != nil {
		return err
	}
	whole := false // also when fn panics: ending the connection rolls back
	defer func() { e.give(s, whole) }()
	if _, err := s.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return mapMySQL(err)
	}
	var broken error // what ended the transaction, whatever fn made of it
	q := queries{
		stmt: func(ctx context.Context, query string) (*sql.Stmt, error) {
			if broken != nil { // the server has ended the transaction: a statement would be kept by itself
				return nil, broken
			}
			return s.stmt(ctx, query)
		},
		told: func(err error) error {
			err = mapMySQL(err)
			if broken == nil && (repeatable(err) || errors.Is(err, ErrFull)) {
				broken = err
			}
			return err
		},
	}
	err = e.apply(ctx, q, a, fn)
	if broken != nil {
		err = broken
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		whole = !errors.Is(err, ErrAway) && s.rollback(ctx)
		return err
	}
	// From here on the answer must be the commit's own, so it can't be cancelled.
	_, err = s.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT")
	if err = mapMySQL(err); err != nil {
		a.unsure = errors.Is(err, ErrAway)
		return err
	}
	whole = true
	return nil
}

func (e *mysqlEngine) apply(ctx context.Context, q queries, a *act, fn func(queries) error) error {
	_, err := q.exec(ctx, `INSERT INTO applied (applied_key) VALUES (?)`, a.key)
	if errors.Is(err, ErrTaken) {
		return errApplied
	}
	if err != nil {
		return err
	}
	a.unsure = false // it was not kept, or the key would be there
	if err := fn(q); err != nil {
		return err
	}
	return inOnePiece(ctx, q, a.key)
}

// inOnePiece makes sure, by its key, that a transaction holds all that was
// done in it. A node of a Galera cluster that gives way to another while it
// prepares a statement has answered already: it goes back without a word, and
// what follows would be kept without what came before.
func inOnePiece(ctx context.Context, q queries, key []byte) error {
	var n int
	err := q.get(ctx, []any{&n}, `SELECT COUNT(*) FROM applied WHERE applied_key = ?`, key)
	if err == nil && n == 0 {
		err = errConflict
	}
	return err
}

func (s *session) rollback(ctx context.Context) bool {
	_, err := s.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return err == nil
}

// appliedKey is the key of an act at a time, without its random half. Keys of
// one time lie together, so that old ones are found without an index.
func appliedKey(at time.Time) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())), make([]byte, 8)...)
}

// sweep removes the keys of acts that nobody repeats any more, a thousand at
// a time.
func (e *mysqlEngine) sweep(ctx context.Context) error {
	before := appliedKey(time.Now().Add(-appliedFor))
	for {
		var n int64
		if err := e.inTx(ctx, func(q queries) (err error) {
			n, err = q.exec(ctx, `DELETE FROM applied WHERE applied_key < ? ORDER BY applied_key LIMIT 1000`, before)
			return err
		}); err != nil || n < 1000 {
			return err
		}
	}
}

// nameOf is the server's kind and the database's name, for a status line.
func nameOf(version, database string) string {
	kind := "MySQL "
	if strings.Contains(version, "MariaDB") {
		kind = "MariaDB "
	}
	return kind + database
}
