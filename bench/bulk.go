package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// bulkErasures is how many people are erased in a row.
const bulkErasures = 10_000

// mostHeld is for how long a bulk erasure may hold a lock.
const mostHeld = 100 * time.Millisecond

// bulk erases many people while somebody else writes, and tells how long a
// write waits for them. An embedded store has one lock for all writes, which
// is held for less than that.
func (b *bench) bulk(ctx context.Context) error {
	n := min(b.n, bulkErasures)
	p, err := b.fresh(ctx, "bulk")
	if err != nil {
		return err
	}
	if err := b.importInto(ctx, p, n); err != nil {
		return err
	}
	s, desk, err := openStore(ctx, p)
	if err != nil {
		return err
	}
	defer s.Close()
	b.tell("erasing %d people", n)
	var waits times
	var took time.Duration
	erase := func(ctx context.Context) (err error) {
		start := time.Now()
		waits, err = smallWrites(ctx, s, 1, func(ctx context.Context) error {
			for id := 1; id <= n; id++ {
				if _, err := desk.Erase(ctx, staff, strconv.Itoa(id), "asked for it"); err != nil {
					return err
				}
			}
			return nil
		})
		took = time.Since(start)
		return err
	}
	worst := row{what: "  the longest that another write waits meanwhile", target: "< 100 ms"}
	if p.onServer() {
		worst.what += ", and a bare one"
		worst.baseline, err = b.holding(ctx, p, erase)
	} else {
		err = erase(ctx)
	}
	if err != nil {
		return err
	}
	b.add(row{what: fmt.Sprintf("erase %d people in a row", n), ours: fmt.Sprintf("%.0f a second", float64(n)/took.Seconds())})
	worst.ours, worst.verdict = short(waits.at(1)), verdict(waits.at(1) < mostHeld)
	b.add(worst)
	return errors.Join(s.Close(), b.drop(ctx, p))
}
