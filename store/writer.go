package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

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
		return errClosed
	}
	return fn()
}

func (w *writer) inTx(ctx context.Context, fn func(queries) error) error {
	return w.hold(ctx, func() (err error) {
		if err := w.still(); err != nil {
			return err
		}
		if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return mapSQLite(err)
		}
		done := false
		defer func() {
			if !done { // also when fn panics
				_, _ = w.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // what led here is told
			}
		}()
		if err := fn(queries{stmt: w.stmt, told: mapSQLite}); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// From here on the answer must be the commit's own, so it can't be cancelled.
		if _, err := w.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
			return mapSQLite(err)
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

func (e *sqliteEngine) nextIDs(ctx context.Context, tx *Tx, sequence string, n int) (int64, error) {
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
