package mta

import (
	"context"
	"sync"
	"sync/atomic"
)

// flight is the letters that a sender has in hand.
type flight struct {
	wg     sync.WaitGroup // of the letters and of what watches over them
	change chan struct{}  // told when the first slot is free, and when many are
	over   chan struct{}  // closed when the last one has

	mu           sync.Mutex
	any, urgent  int // in hand
	slots, spare int
	parent, ctx  context.Context
	cancel       context.CancelFunc
	none         *sync.Cond
}

func newFlight(ctx context.Context, slots, spare int) *flight {
	f := &flight{change: make(chan struct{}, 1), over: make(chan struct{}), slots: slots, spare: spare, parent: ctx}
	f.ctx, f.cancel = context.WithCancel(ctx)
	f.none = sync.NewCond(&f.mu)
	return f
}

// room is how many more letters can be taken in hand: of any kind, and urgent ones beyond those.
func (f *flight) room() (n, spare int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = f.free()
	return n, max(0, f.slots+f.spare-f.any-n)
}

// free is how many slots for letters of any kind are; the caller has the lock.
func (f *flight) free() int { return max(0, f.slots-(f.any-min(f.urgent, f.spare))) }

// much tells whether so many free slots are worth a claim.
func (f *flight) much(free int) bool { return 4*free >= f.slots }

func (f *flight) begin(urgent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.any++
	if urgent {
		f.urgent++
	}
}

func (f *flight) landed(urgent bool) {
	f.mu.Lock()
	f.any--
	if urgent {
		f.urgent--
	}
	if f.any == 0 {
		f.none.Broadcast()
	}
	free := f.free()
	f.mu.Unlock()
	if free != 1 && !f.much(free) {
		return // nobody waits for this one
	}
	select {
	case f.change <- struct{}{}:
	default: // it has been told already
	}
}

func (f *flight) empty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.any == 0
}

// batch is the time of the attempts with some letters that begin together: one of its own costs a letter more than its
// way through the gate.
type batch struct {
	ctx    context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

// together begins attempts with n letters; each tells when it has landed.
func (f *flight) together(n int) *batch {
	f.mu.Lock()
	parent := f.ctx
	f.mu.Unlock()
	b := &batch{cancel: func() {}}
	if n > 0 {
		b.ctx, b.cancel = context.WithTimeout(parent, attempt)
		b.left.Store(int64(n))
	}
	return b
}

func (b *batch) landed() {
	if b.left.Add(-1) == 0 {
		b.cancel()
	}
}

// breakOff ends all attempts under way; later ones are not concerned.
func (f *flight) breakOff() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel()
	f.ctx, f.cancel = context.WithCancel(f.parent)
}

// await returns when nothing is in hand.
func (f *flight) await() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.any > 0 {
		f.none.Wait()
	}
}

// end stops what watches over the letters.
func (f *flight) end() {
	close(f.over)
	f.wg.Wait()
	f.cancel()
}
