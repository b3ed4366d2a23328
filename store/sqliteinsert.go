package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// insertAll inserts row by row, which costs no way to a server, by the
// connection itself: database/sql takes as long for each row as SQLite.
func (e *sqliteEngine) insertAll(ctx context.Context, tx *Tx, into string, rows [][]any) error {
	tx.changes()
	return mapSQLite(e.write.conn.Raw(func(c any) error {
		conn := c.(driver.Conn).Raw()
		st, err := e.insert(conn, into, len(rows[0]))
		if err != nil {
			return err
		}
		if old := conn.SetInterrupt(ctx); old != ctx {
			defer conn.SetInterrupt(old)
		}
		for n, r := range rows {
			for i, v := range r {
				if _, blob := v.([]byte); n > 0 && !blob && rows[n-1][i] == v { // it is still bound
					continue
				}
				if err := bind(st, i+1, v); err != nil {
					return err
				}
			}
			if err := st.Exec(); err != nil {
				return err
			}
		}
		return st.ClearBindings()
	}))
}

// insert prepares a statement once.
func (e *sqliteEngine) insert(conn *sqlite3.Conn, into string, columns int) (*sqlite3.Stmt, error) {
	if st := e.inserts[into]; st != nil {
		return st, nil
	}
	st, _, err := conn.PrepareFlags(into+" VALUES "+tuples(1, columns), sqlite3.PREPARE_PERSISTENT)
	if err == nil {
		e.inserts[into] = st
	}
	return st, err
}

// dropInserts gives the statements up, before their connection is closed.
func (e *sqliteEngine) dropInserts() error {
	err := e.write.hold(context.Background(), func() (err error) {
		for _, st := range e.inserts {
			err = errors.Join(err, st.Close())
		}
		clear(e.inserts)
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
