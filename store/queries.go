package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/jmoiron/sqlx"
)

// queries runs SQL by prepared statements, on the readers or in a transaction.
type queries struct {
	keys *Keys
	stmt func(ctx context.Context, query string) (*sql.Stmt, error)
	// told makes the driver's errors the room's own.
	told func(error) error
	// again waits before a read is repeated that err broke off, or tells that
	// it isn't to be: in a transaction, all of it is.
	again func(ctx context.Context, err error, attempt int) bool
	// shared is what a group of transactions writes together; nil when there is none.
	shared *shared
	// files is the connection of a transaction to a server that may take rows as
	// files; nil elsewhere.
	files func() (*sql.Conn, error)
}

// changes tells that a transaction changes something from here on: if it fails,
// it must be undone.
func (q queries) changes() {
	if q.shared != nil {
		q.shared.wrote = true
	}
}

func (q queries) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := q.shared.beforeAsking(ctx, q, query); err != nil {
		return 0, err
	}
	st, err := q.stmt(ctx, query)
	if err != nil {
		return 0, q.told(err)
	}
	q.changes()
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, q.told(err)
	}
	n, err := res.RowsAffected()
	return n, q.told(err)
}

// one changes exactly the row that args name; errConflict when it isn't there.
func (q queries) one(ctx context.Context, query string, args ...any) error {
	n, err := q.exec(ctx, query, args...)
	if err == nil && n != 1 {
		err = errConflict
	}
	return err
}

// fresh inserts a row that was not there when the transaction looked;
// errConflict when somebody else has inserted it since.
func (q queries) fresh(ctx context.Context, query string, args ...any) error {
	_, err := q.exec(ctx, query, args...)
	if errors.Is(err, ErrTaken) {
		err = errConflict
	}
	return err
}

// rows begins a query. Its caller closes what it returns.
func (q queries) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := q.shared.beforeAsking(ctx, q, query); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		st, err := q.stmt(ctx, query)
		if err == nil {
			var rows *sql.Rows
			if rows, err = st.QueryContext(ctx, args...); err == nil {
				return rows, nil
			}
		}
		if err = q.told(err); q.again == nil || !q.again(ctx, err, attempt) {
			return nil, err
		}
	}
}

// each runs a query and calls scan for every row.
func (q queries) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return q.told(err)
		}
	}
	return q.told(rows.Err())
}

// all fills a slice of structs by their db tags.
func (q queries) all(ctx context.Context, dest any, query string, args ...any) error {
	rows, err := q.rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return q.told(sqlx.StructScan(rows, dest))
}

// get scans the one row of a query into dest; ErrNotFound when there is none.
func (q queries) get(ctx context.Context, dest []any, query string, args ...any) error {
	rows, err := q.rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return q.told(err)
		}
		return ErrNotFound
	}
	if err := rows.Scan(dest...); err != nil {
		return q.told(err)
	}
	return q.told(rows.Close())
}

// cachedDB prepares each query once.
type cachedDB struct {
	db    *sql.DB
	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

func (c *cachedDB) known(query string) *sql.Stmt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stmts[query]
}

func (c *cachedDB) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st := c.known(query); st != nil {
		return st, nil
	}
	st, err := c.db.PrepareContext(ctx, query) // unlocked: a server may take its time
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.stmts[query]; first != nil {
		return first, st.Close()
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
