package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// holding does what is measured on a server, and adds how long transactions
// last there, as the server itself tells: each holds the locks that it takes
// until its end, so none is held for longer. Others don't pay for that. It
// returns the longest that a write of one row by the driver alone took
// meanwhile, which waits for the server and its disk, and for no lock.
func (b *bench) holding(ctx context.Context, p place, measured func(context.Context) error) (bare string, err error) {
	db, err := sql.Open("mysql", b.server.DSN("performance_schema"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	const timing = "UPDATE setup_instruments SET enabled = '%[1]s', timed = '%[1]s' WHERE name = 'transaction'"
	if err := do(ctx, db, fmt.Sprintf(timing, "YES"), "TRUNCATE events_transactions_summary_global_by_event_name",
		"UPDATE setup_consumers SET enabled = 'YES' WHERE name IN ('global_instrumentation', 'thread_instrumentation', 'events_transactions_current')"); err != nil {
		return "", err
	}
	waited, err := b.bareWrites(ctx, p, measured)
	if err := errors.Join(err, do(context.WithoutCancel(ctx), db, fmt.Sprintf(timing, "NO"))); err != nil {
		return "", err
	}
	var n, average, longest int64 // in picoseconds
	if err := db.QueryRowContext(ctx, `SELECT count_star, avg_timer_wait, max_timer_wait FROM events_transactions_summary_global_by_event_name WHERE event_name = 'transaction'`).Scan(&n, &average, &longest); err != nil {
		return "", err
	}
	held := time.Duration(longest / 1000)
	b.add(row{what: fmt.Sprintf("the longest of %d transactions while people are erased: no lock is held for longer; a bare write", n), ours: short(held), baseline: short(waited), target: "< 100 ms", verdict: verdict(held < mostHeld)})
	b.add(row{what: "  on average", ours: short(time.Duration(average / 1000))})
	return short(waited), nil
}

// bareWrites writes a row at a time into a table of its own until the work
// beside is done, and returns the longest that one took.
func (b *bench) bareWrites(ctx context.Context, p place, beside func(context.Context) error) (longest time.Duration, err error) {
	db, err := openBare(p, "")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if err := do(ctx, db, "CREATE TABLE bare_writes (at BIGINT NOT NULL PRIMARY KEY)"); err != nil {
		return 0, err
	}
	st, err := db.PrepareContext(ctx, "INSERT INTO bare_writes (at) VALUES (?)")
	if err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- beside(ctx) }()
	for {
		select {
		case err := <-done:
			return longest, err
		default:
		}
		start := time.Now()
		if _, err := st.ExecContext(ctx, start.UnixMicro()); err != nil {
			return 0, errors.Join(err, <-done)
		}
		longest = max(longest, time.Since(start))
	}
}
