package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

	line  line
	lanes chan struct{} // one for each group
	slots chan struct{} // one for each writer
	mu    sync.Mutex
	idle  []*session

	ids idSource

	noFiles atomic.Bool // the server has refused to take rows as a file
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

// dir is that of the stores of a key file.
func (e *mysqlEngine) dir(kind string) string { return filepath.Join(e.files, kind, e.own) }

func (e *mysqlEngine) name() string { return e.words }

func (e *mysqlEngine) wipe(context.Context, time.Duration) (bool, error) { return true, nil }

func (e *mysqlEngine) owe() {}

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
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	born    time.Time
	cluster bool // the server is a node of a Galera cluster
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
		if err == nil {
			s.cluster, err = inCluster(ctx, s.conn)
		}
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

// inCluster tells whether a connection leads to a node of a Galera cluster.
func inCluster(ctx context.Context, conn *sql.Conn) (bool, error) {
	var name, on string
	err := conn.QueryRowContext(ctx, "SHOW VARIABLES LIKE 'wsrep_on'").Scan(&name, &on)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return strings.EqualFold(on, "ON"), err
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
