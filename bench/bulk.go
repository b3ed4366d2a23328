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

// bulk erases many people while somebody else writes, and tells how long a
// write waits for them.
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
	start := time.Now()
	waits, err := smallWrites(ctx, s, 1, func(ctx context.Context) error {
		for id := 1; id <= n; id++ {
			if _, err := desk.Erase(ctx, staff, strconv.Itoa(id), "asked for it"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.add(row{what: fmt.Sprintf("erase %d people in a row", n), ours: fmt.Sprintf("%.0f a second", float64(n)/time.Since(start).Seconds())})
	worst := waits.at(1)
	b.add(row{what: "  the longest that another write waits meanwhile", ours: short(worst), target: "< 100 ms", verdict: verdict(worst < 100*time.Millisecond)})
	return errors.Join(s.Close(), b.drop(ctx, p))
}
