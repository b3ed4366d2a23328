package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
	p := embedded(filepath.Join(b.tmp, "waits"))
	if err := copyStore(large, p); err != nil {
		return err
	}
	s, _, err := openStore(ctx, p)
	if err != nil {
		return err
	}
	defer s.Close()
	file, err := b.csvFile(b.n/20, 2)
	if err != nil {
		return err
	}
	b.tell("writing beside an import in another process")
	alone, err := smallWrites(ctx, s, writersAtOnce, func(ctx context.Context) error {
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
	beside, err := smallWrites(ctx, s, writersAtOnce, func(ctx context.Context) (err error) {
		imported, _, err = child(ctx, job{To: p, File: file})
		return err
	})
	if err != nil {
		return err
	}
	b.atMost("small write, 16 at once, median: beside an import, against without", beside.median(), alone.median(), 0)
	worst := beside.at(1)
	b.add(row{what: "  the worst of them", ours: short(worst), baseline: short(alone.at(1)), target: "< 1 s", verdict: verdict(worst < time.Second)})
	b.add(row{what: "  the import meanwhile", ours: fmt.Sprintf("%.0f rows/s", float64(imported.Rows)/imported.Took.Seconds())})
	return nil
}

// smallWrites writes audit rows from some writers until the work beside is done.
func smallWrites(ctx context.Context, s *store.Store, writers int, beside func(context.Context) error) (times, error) {
	g, ctx := errgroup.WithContext(ctx)
	done := make(chan struct{})
	g.Go(func() error {
		defer close(done)
		return beside(ctx)
	})
	var mu sync.Mutex
	var all times
	for range writers {
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
	slices.Sort(all)
	return all, err
}

// copyStore copies a store that nobody has open: its log is empty then.
func copyStore(from, to place) error {
	if err := os.MkdirAll(to.dir(), 0o700); err != nil {
		return err
	}
	return errors.Join(copyFile(dbPath(from.dir()), dbPath(to.dir())), copyFile(from.Keys, to.Keys))
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
