package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// rowsAtOnce is how many rows one statement inserts at most.
const rowsAtOnce = 256

// insertBytes bounds the values of one statement: a server takes packets of a
// few megabytes at least (max_allowed_packet).
const insertBytes = 1 << 20

// rows are what insertAll takes, on one piece of memory that is used again.
type rows struct {
	values []any
	all    [][]any
}

var someRows = sync.Pool{New: func() any { return new(rows) }}

// newRows has room for n rows of so many columns.
func newRows(n, columns int) *rows {
	r := someRows.Get().(*rows)
	r.values, r.all = slices.Grow(r.values[:0], n*columns), slices.Grow(r.all[:0], n)
	return r
}

func (r *rows) add(values ...any) {
	from := len(r.values)
	r.values = append(r.values, values...)
	r.all = append(r.all, r.values[from:len(r.values):len(r.values)])
}

// done gives the memory back.
func (r *rows) done() {
	clear(r.values)
	someRows.Put(r)
}

// insertAll inserts rows that were not there when the transaction looked;
// errConflict when somebody else has inserted one of them since.
func (tx *Tx) insertAll(ctx context.Context, into string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	err := tx.engine.insertAll(ctx, tx, into, rows)
	if errors.Is(err, ErrTaken) {
		err = errConflict
	}
	return err
}

// onEach runs a change of the rows whose ids a column has: it ends in that
// column's name. It tells how many rows it changed.
func (tx *Tx) onEach(ctx context.Context, change string, args, ids []any) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	if err := tx.shared.beforeAsking(ctx, tx.queries, change); err != nil {
		return 0, err
	}
	return tx.engine.onEach(ctx, tx, change, args, ids)
}

// onEach takes one way to a server for all.
func (e *mysqlEngine) onEach(ctx context.Context, tx *Tx, change string, args, ids []any) (int64, error) {
	among, list := among(ids)
	return tx.exec(ctx, change+among, append(slices.Clip(args), list...)...)
}

// among is the condition behind a column that its id is one of these: a list or,
// where they follow each other, a range, for which a database has less to plan
// and to look up.
func among(ids []any) (condition string, args []any) {
	for i, id := range ids[1:] {
		if id.(int64) != ids[i].(int64)+1 {
			in, args := inList(ids)
			return ` IN (` + in + `)`, args
		}
	}
	return ` BETWEEN ? AND ?`, []any{ids[0], ids[len(ids)-1]}
}

// insertAll gives a server many rows as a file, where it takes any, or else with
// statements of many rows. Those come in few sizes, so that few are prepared.
func (e *mysqlEngine) insertAll(ctx context.Context, tx *Tx, into string, rows [][]any) error {
	if tx.files != nil && len(rows) >= loadedFrom && !e.noFiles.Load() {
		if all, err := e.load(ctx, tx, into, rows); all || err != nil {
			return err
		}
	}
	for len(rows) > 0 {
		n := rowsThatFit(rows, rowsAtOnce)
		args := make([]any, 0, n*len(rows[0]))
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if _, err := tx.exec(ctx, into+" VALUES "+tuples(n, len(rows[0])), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// exactRows is up to how many rows all go with one statement, whatever their
// number: each statement is a way to the server and back.
const exactRows = 64

// rowsThatFit is how many rows one statement takes: all of few, of many the
// largest power of two. A row that is too large by itself goes alone.
func rowsThatFit(rows [][]any, most int) int {
	if len(rows) <= min(most, exactRows) {
		bytes := 0
		for _, r := range rows {
			bytes += sizeOf(r)
		}
		if bytes <= insertBytes {
			return len(rows)
		}
	}
	n, bytes := 1, sizeOf(rows[0])
	for 2*n <= min(len(rows), most) {
		for _, r := range rows[n : 2*n] {
			bytes += sizeOf(r)
		}
		if bytes > insertBytes {
			break
		}
		n *= 2
	}
	return n
}

// sizeOf is about how many bytes a row takes on its way to the server.
func sizeOf(row []any) int {
	n := 9 * len(row)
	for _, v := range row {
		switch v := v.(type) {
		case []byte:
			n += len(v)
		case string:
			n += len(v)
		}
	}
	return n
}

// tuples are the place holders of n rows.
func tuples(n, columns int) string {
	one := "(?" + strings.Repeat(", ?", columns-1) + ")"
	return one + strings.Repeat(", "+one, n-1)
}
