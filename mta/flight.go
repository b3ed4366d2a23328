package mta

import (
	"context"
	"sync"
)

// flight is the letters that a sender has in hand.
type flight struct {
	wg     sync.WaitGroup // of the letters and of what watches over them
	change chan struct{}  // told when a letter has landed
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
	n = max(0, f.slots-(f.any-min(f.urgent, f.spare)))
	return n, max(0, f.slots+f.spare-f.any-n)
}

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
	f.mu.Unlock()
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

// context is what attempts that begin now are bound to.
func (f *flight) context() context.Context {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ctx
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
