package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kartotek/store"
)

// writersAtOnce is how many small writes wait in one process.
const writersAtOnce = 16

// waits tells how long a small write waits while 15 others do the same and
// another process imports new contacts, on a copy of the large store.
func (b *bench) waits(ctx context.Context) error {
	large, err := b.large(ctx)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.tmp, "waits")
	if err := copyStore(large, dir); err != nil {
		return err
	}
	s, _, err := openStore(ctx, dir)
	if err != nil {
		return err
	}
	defer s.Close()
	file, err := b.csvFile(b.n/20, 2)
	if err != nil {
		return err
	}
	b.tell("writing beside an import in another process")
	alone, err := smallWrites(ctx, s, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	var imported outcome
	beside, err := smallWrites(ctx, s, func(ctx context.Context) (err error) {
		imported, _, err = child(ctx, job{Dir: dir, File: file})
		return err
	})
	if err != nil {
		return err
	}
	b.atMost("small write, 16 at once, median: beside an import, against without", median(beside), median(alone), 0)
	worst := slowest(beside)
	b.rows = append(b.rows, row{what: "  the worst of them", ours: short(worst), baseline: short(slowest(alone)), target: "< 1 s", verdict: verdict(worst < time.Second)})
	b.rows = append(b.rows, row{what: "  the import meanwhile", ours: fmt.Sprintf("%.0f rows/s", float64(imported.Rows)/imported.Took.Seconds())})
	return nil
}

// smallWrites writes audit rows from all writers until the work beside is done.
func smallWrites(ctx context.Context, s *store.Store, beside func(context.Context) error) ([]time.Duration, error) {
	g, ctx := errgroup.WithContext(ctx)
	done := make(chan struct{})
	g.Go(func() error {
		defer close(done)
		return beside(ctx)
	})
	var mu sync.Mutex
	var all []time.Duration
	for range writersAtOnce {
		g.Go(func() error {
			for {
				select {
				case <-done:
					return nil
				default:
				}
				start := time.Now()
				if err := s.InTx(ctx, func(tx *store.Tx) error {
					return tx.AddAudit(ctx, store.AuditRow{At: store.At(start), Actor: staff.Name, Act: "bench"})
				}); err != nil {
					return err
				}
				mu.Lock()
				all = append(all, time.Since(start))
				mu.Unlock()
			}
		})
	}
	err := g.Wait()
	return all, err
}

// copyStore copies a store that nobody has open: its log is empty then.
func copyStore(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, path := range []func(string) string{dbPath, keysPath} {
		if err := copyFile(path(from), path(to)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
