package store

import (
	"context"
	"strings"
)

// insertBytes bounds the values of one statement: a server takes packets of a
// few megabytes at least (max_allowed_packet).
const insertBytes = 1 << 20

// insertAll inserts rows that were not there when the transaction looked, as
// many with one statement as the engine is best at; errConflict when somebody
// else has inserted one of them since. Statements come in sizes of powers of
// two, so that few are prepared.
func (tx *Tx) insertAll(ctx context.Context, into string, rows [][]any) error {
	for len(rows) > 0 {
		n := rowsThatFit(rows, tx.engine.rowsAtOnce())
		args := make([]any, 0, n*len(rows[0]))
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if err := tx.fresh(ctx, into+" VALUES "+tuples(n, len(rows[0])), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// rowsThatFit is the largest power of two of rows that one statement takes; a
// row that is too large by itself goes alone.
func rowsThatFit(rows [][]any, most int) int {
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
