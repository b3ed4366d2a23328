package store

import (
	"context"
	"sync"
	"time"
)

// wipeEvery is how often the write-ahead log is wiped at most: erasures in
// quick succession share a wipe, which costs more than each of them.
const wipeEvery = time.Second

// While nobody can write, so many pages of the log are moved at most, and a
// reader is waited for so long at a time.
const (
	wipeRest = 50
	wipeHold = 20 * time.Millisecond
)

// wiper remembers when the log was wiped last, and wipes it later.
type wiper struct {
	mu     sync.Mutex
	last   time.Time
	coming bool // a wipe is, within wipeEvery
	closed bool
	stop   chan struct{} // ends the waiting, not the wipe
	owed   sync.WaitGroup
}

// Wipe removes earlier images of erased rows from the embedded store's files.
// It reports false when a reader held on to them for as long as patience
// lasts: call it again later. A database server does that by itself.
func (s *Store) Wipe(ctx context.Context, patience time.Duration) (bool, error) {
	return s.engine.wipe(ctx, patience)
}

// WipeSoon is Wipe, at most once a second: where the last one began less than
// that ago, another follows at its end, and before the store is closed. It
// reports true then; should that one fail, the next call makes up for it.
func (s *Store) WipeSoon(ctx context.Context, patience time.Duration) (bool, error) {
	w := &s.wiper
	w.mu.Lock()
	pause := wipeEvery - time.Since(w.last)
	if pause <= 0 || w.closed || isServer(s.engine) {
		w.last = time.Now()
		w.mu.Unlock()
		return s.Wipe(ctx, patience)
	}
	defer w.mu.Unlock()
	if w.coming {
		return true, nil
	}
	w.coming = true
	w.owed.Go(func() {
		select {
		case <-time.After(pause):
		case <-w.stop:
		}
		w.mu.Lock()
		w.coming, w.last = false, time.Now() // what is erased from here on asks for another
		w.mu.Unlock()
		_, _ = s.Wipe(context.WithoutCancel(ctx), patience)
	})
	return true, nil
}

// close does what is owed.
func (w *wiper) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.stop)
	}
	w.mu.Unlock()
	w.owed.Wait()
}
