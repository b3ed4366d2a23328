package store

import (
	"context"
	"math/rand/v2"
	"time"
)

// engine is what differs between the databases that hold a store. The queries
// are one text for all of them, in the methods of the nouns.
type engine interface {
	// reader runs queries outside of transactions.
	reader() queries
	// inTx runs fn in a write transaction, as Store.InTx promises.
	inTx(ctx context.Context, fn func(queries) error) error
	nextIDs(ctx context.Context, tx *Tx, sequence string, n int) (int64, error)
	returnIDs(ctx context.Context, tx *Tx, sequence string, from, to int64) error
	// insertAll inserts rows; ErrTaken when one of them is there.
	insertAll(ctx context.Context, tx *Tx, into string, rows [][]any) error
	// onEach runs a change, which ends in the name of a column, for each id in it.
	onEach(ctx context.Context, tx *Tx, change string, args, ids []any) (changed int64, err error)
	schemaVersion(ctx context.Context) (int64, error)
	wipe(ctx context.Context, patience time.Duration) (bool, error)
	// owe notes that a wipe is owed, for whoever opens the store after a kill.
	owe()
	sweep(ctx context.Context) error
	// snapshot runs fn on the store as it is at one moment, while others write.
	snapshot(ctx context.Context, fn func(queries) error) error
	// examine looks at the database itself.
	examine(ctx context.Context) ([]Finding, error)
	// indexes lists the names of the indexes there are.
	indexes(ctx context.Context) ([]string, error)
	dir(kind string) string
	name() string
	close() error
}

// backOff waits before another attempt, longer and longer up to most, and
// never in step with others; it reports false when ctx ends first.
func backOff(ctx context.Context, attempt int, most time.Duration) bool {
	pause := min(most, 5*time.Millisecond*time.Duration(attempt))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(pause)):
		return true
	}
}
