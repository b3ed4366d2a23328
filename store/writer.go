package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// maxGroup is how many transactions share a commit, and groupTime how long the
// first of them waits for that at most before no other is begun.
const (
	maxGroup  = 64
	groupTime = 10 * time.Millisecond
)

// writer is the process's one way to write: transactions queue for it here,
// because SQLite's own busy handling stalls for seconds under many writers.
// Those that wait at once share one transaction of the database, and so one
// commit: what is durable costs what one does. Where one of them fails after it
// has written, all is undone, and each is run again by itself: that is rare,
// and a savepoint for each would cost every one of them.
//
// While a commit gets onto the disk the next group runs, and commits once the
// one before it is there. Others may read what is on its way there, but nobody
// is told that it is kept.
type writer struct {
	db     *sql.DB
	still  func() error
	slot   chan struct{}
	full   chan struct{} // told when the write-ahead log is
	most   int64         // how long it may get before, in bytes
	conn   *sql.Conn
	engine engine // of which it is the writer
	stmts  map[string]*sql.Stmt
	line   line

	landed chan struct{} // closed once the last commit is on the disk, or isn't
	adrift atomic.Bool   // a commit isn't: what is in the log can't be relied on
}

func newWriter(db *sql.DB, conn *sql.Conn, still func() error) *writer {
	landed := make(chan struct{})
	close(landed)
	return &writer{
		db: db, conn: conn, still: still, slot: make(chan struct{}, 1), full: make(chan struct{}, 1), most: walPages * walFrame, stmts: map[string]*sql.Stmt{},
		line: line{came: make(chan struct{}, 1)}, landed: landed,
	}
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
		return errClosed
	}
	return fn()
}

// inTx runs fn in a transaction and returns once that is kept, or is not.
func (w *writer) inTx(ctx context.Context, fn func(queries) error) error {
	return w.line.wait(newTurn(ctx, fn), w.slot, nil, w.serve)
}

// serve runs those that wait, as a group, or where that broke each by itself.
func (w *writer) serve() {
	t := w.line.next()
	if t == nil {
		return // another has run ours
	}
	group, broken := w.group(t)
	if !broken {
		w.land(group)
		return
	}
	for _, t := range group {
		w.alone(t)
		close(t.done)
	}
}

// alone runs one transaction by itself.
func (w *writer) alone(t *turn) {
	t.panics = nil
	if t.err = w.begin(t.ctx); t.err != nil {
		return
	}
	q := queries{stmt: w.stmt, told: mapSQLite, shared: newShared(w.engine)}
	t.run(q)
	if t.err == nil && t.panics == nil {
		q.shared.keep()
		t.err = w.end(t.ctx, q)
	}
	if t.err != nil || t.panics != nil {
		w.rollback(t.ctx)
		return
	}
	t.err = w.settle()
}

// group runs a transaction and those that wait meanwhile, or come until the
// commit before theirs is on the disk; broken tells that none of them was kept,
// whatever they returned.
func (w *writer) group(first *turn) (group []*turn, broken bool) {
	if first.err = w.begin(first.ctx); first.err != nil {
		return []*turn{first}, false
	}
	q := queries{stmt: w.stmt, told: mapSQLite, shared: newShared(w.engine)}
	until := time.Now().Add(groupTime)
	whole := context.WithoutCancel(first.ctx)
	for t := first; t != nil; t = w.line.nextBefore(w.landed) {
		group = append(group, t)
		if !t.within(q) || w.ended() {
			w.rollback(whole)
			return group, true
		}
		if len(group) == maxGroup || time.Now().After(until) {
			break
		}
	}
	if err := w.end(whole, q); err != nil {
		w.rollback(whole)
		fail(group, err)
	}
	return group, false
}

// fail tells those of a group that went well that they did not.
func fail(group []*turn, err error) {
	for _, t := range group {
		if t.err == nil && t.panics == nil {
			t.err = err
		}
	}
}

// end writes what the group shares, and commits behind what is on the disk.
// From here on the answer must be the commit's own, so it can't be cancelled.
func (w *writer) end(ctx context.Context, q queries) error {
	ctx = context.WithoutCancel(ctx)
	if err := q.shared.flush(ctx, q); err != nil {
		return err
	}
	log, err := w.log()
	if err != nil {
		return err
	}
	if <-w.landed; w.adrift.Load() {
		return ErrDisk
	}
	err = log.commit(func() error { return w.run(ctx, "COMMIT") })
	if log.end >= w.most {
		select {
		case w.full <- struct{}{}:
		default: // it has been told already
		}
	}
	return err
}

// land lets a group go once what it has committed is on the disk. Only the
// file is used meanwhile: the next group runs.
func (w *writer) land(group []*turn) {
	log, err := w.log()
	if err != nil || !log.owed {
		for _, t := range group {
			close(t.done)
		}
		return
	}
	log.owed = false
	landed := make(chan struct{})
	w.landed = landed
	go func() {
		if err := log.settle(); err != nil {
			w.adrift.Store(true)
			fail(group, mapSQLite(err))
		}
		close(landed)
		for _, t := range group {
			close(t.done)
		}
	}()
}

// settle brings onto the disk what was committed.
func (w *writer) settle() error {
	log, err := w.log()
	if err != nil || !log.owed {
		return err
	}
	log.owed = false
	if err = log.settle(); err != nil {
		w.adrift.Store(true)
	}
	return mapSQLite(err)
}

// log is the connection's write-ahead log.
func (w *writer) log() (log *walFile, err error) {
	err = w.conn.Raw(func(c any) error {
		f, err := c.(driver.Conn).Raw().FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
		if err == nil {
			log, _ = f.(*walFile)
		}
		return err
	})
	if err == nil && log == nil {
		err = errLayer
	}
	return log, mapSQLite(err)
}

// ended tells that the database has ended the transaction of all: what came
// next would be kept by itself.
func (w *writer) ended() (yes bool) {
	err := w.conn.Raw(func(c any) error {
		yes = c.(driver.Conn).Raw().GetAutocommit()
		return nil
	})
	return yes || err != nil
}

func (w *writer) begin(ctx context.Context) error {
	if w.conn == nil {
		return errClosed
	}
	if err := w.still(); err != nil {
		return err
	}
	if w.adrift.Load() {
		if err := w.restart(ctx); err != nil {
			return err
		}
	}
	return w.run(ctx, "BEGIN IMMEDIATE")
}

// restart begins a new log, where the disk has failed to take what is in this
// one: it would be read up to there only, after a loss of power.
func (w *writer) restart(ctx context.Context) error {
	var busy, logged, moved int
	err := w.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved)
	switch {
	case err != nil:
		return mapSQLite(err)
	case busy != 0:
		return ErrBusy
	}
	w.adrift.Store(false)
	return nil
}

// run executes a statement that begins or ends a transaction.
func (w *writer) run(ctx context.Context, statement string) error {
	_, err := queries{stmt: w.stmt, told: mapSQLite}.exec(ctx, statement)
	return err
}

// rollback undoes the transaction; what led here is told.
func (w *writer) rollback(ctx context.Context) {
	_, _ = w.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
}

func (w *writer) close() error {
	w.slot <- struct{}{}
	defer func() { <-w.slot }()
	<-w.landed
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

// inTx runs fn in turn. Nobody else in the process writes meanwhile, so only
// what another process changed between a look outside and this transaction
// makes it start again.
func (e *sqliteEngine) inTx(ctx context.Context, fn func(queries) error) error {
	for attempt := 1; ; attempt++ {
		err := e.write.inTx(ctx, fn)
		if !errors.Is(err, errConflict) || attempt == 10 {
			return err
		}
		if !backOff(ctx, attempt, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// nextIDs takes them from what the group shares. SubscriberIDs are written at
// once: they can be returned.
func (e *sqliteEngine) nextIDs(ctx context.Context, tx *Tx, sequence string, n int) (int64, error) {
	if sequence != contactIDs {
		return tx.shared.nextIDs(ctx, tx.queries, sequence, n)
	}
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

func (e *sqliteEngine) returnIDs(ctx context.Context, tx *Tx, sequence string, from, to int64) error {
	_, err := tx.exec(ctx, `UPDATE sequences SET next_id = ? WHERE name = ? AND next_id = ?`, from, sequence, to)
	return err
}
