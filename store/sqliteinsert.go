package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// insertAll inserts row by row, which costs no way to a server.
func (e *sqliteEngine) insertAll(ctx context.Context, tx *Tx, into string, rows [][]any) error {
	_, err := e.forAll(ctx, tx, into+" VALUES "+tuples(1, len(rows[0])), nil, rows)
	return err
}

// onEach changes row by row: a list would be made a table of, each time.
func (e *sqliteEngine) onEach(ctx context.Context, tx *Tx, change string, args, ids []any) (int64, error) {
	rows := make([][]any, len(ids))
	for i := range ids {
		rows[i] = ids[i : i+1]
	}
	return e.forAll(ctx, tx, change+" = ?", args, rows)
}

// forAll runs a statement with the same first parameters and each row of the
// others by the connection itself: database/sql takes as long for each as SQLite.
func (e *sqliteEngine) forAll(ctx context.Context, tx *Tx, statement string, first []any, rows [][]any) (changed int64, err error) {
	tx.changes()
	err = e.write.conn.Raw(func(c any) error {
		conn := c.(driver.Conn).Raw()
		st, err := e.prepare(conn, statement)
		if err != nil {
			return err
		}
		if old := conn.SetInterrupt(ctx); old != ctx {
			defer conn.SetInterrupt(old)
		}
		if err := bindAll(st, 0, first, nil); err != nil {
			return err
		}
		var last []any
		for _, r := range rows {
			if err := bindAll(st, len(first), r, last); err != nil {
				return err
			}
			if err := st.Exec(); err != nil {
				return err
			}
			changed += conn.Changes()
			last = r
		}
		return st.ClearBindings()
	})
	return changed, mapSQLite(err)
}

// bindAll sets the parameters behind some others. What is the same in the row
// before is bound still.
func bindAll(st *sqlite3.Stmt, after int, values, before []any) error {
	for i, v := range values {
		if _, blob := v.([]byte); before != nil && !blob && before[i] == v {
			continue
		}
		if err := bind(st, after+i+1, v); err != nil {
			return err
		}
	}
	return nil
}

// prepare prepares a statement once.
func (e *sqliteEngine) prepare(conn *sqlite3.Conn, statement string) (*sqlite3.Stmt, error) {
	if st := e.prepared[statement]; st != nil {
		return st, nil
	}
	st, _, err := conn.PrepareFlags(statement, sqlite3.PREPARE_PERSISTENT)
	if err == nil {
		e.prepared[statement] = st
	}
	return st, err
}

// dropPrepared gives the statements up, before their connection is closed.
func (e *sqliteEngine) dropPrepared() error {
	err := e.write.hold(context.Background(), func() (err error) {
		for _, st := range e.prepared {
			err = errors.Join(err, st.Close())
		}
		clear(e.prepared)
		return err
	})
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}

// bind sets a parameter to a value of the kinds that rows are made of.
func bind(st *sqlite3.Stmt, at int, value any) error {
	switch v := value.(type) {
	case nil:
		return st.BindNull(at)
	case int64:
		return st.BindInt64(at, v)
	case int:
		return st.BindInt(at, v)
	case bool:
		return st.BindBool(at, v)
	case float64:
		return st.BindFloat(at, v)
	case string:
		return st.BindText(at, v)
	case []byte:
		return st.BindBlob(at, v)
	case Micros:
		return st.BindInt64(at, int64(v))
	case Permission:
		return st.BindInt64(at, int64(v))
	case Rating:
		return st.BindInt64(at, int64(v))
	case Kind:
		return st.BindInt64(at, int64(v))
	case LetterState:
		return st.BindInt64(at, int64(v))
	}
	return fmt.Errorf("a value of type %T can't be inserted", value)
}
