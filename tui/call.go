package tui

import (
	"context"
	"errors"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// How long the store may take before the console calls it lost.
const (
	readTime = 10 * time.Second
	actTime  = time.Minute
)

// calls owns the goroutines that talk to the desk: after close no call starts,
// and wait returns when the last one has ended.
type calls struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.wg.Add(1)
	}
	return !c.closed
}

func (c *calls) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wg.Wait()
}

// box is where the replies to one screen arrive. Each slot of it holds one
// question at a time: asking again makes the reply to the earlier one stale.
type box struct {
	seq    map[string]uint64
	cancel map[string]context.CancelFunc
}

func newBox() *box {
	return &box{seq: map[string]uint64{}, cancel: map[string]context.CancelFunc{}}
}

func (b *box) next(slot string, cancel context.CancelFunc) uint64 {
	if stop := b.cancel[slot]; stop != nil {
		stop()
	}
	b.cancel[slot] = cancel
	b.seq[slot]++
	return b.seq[slot]
}

// busy tells whether a slot still waits for its reply.
func (b *box) busy(slot string) bool { return b.cancel[slot] != nil }

// shut gives up every question: the screen is gone.
func (b *box) shut() {
	for slot := range b.cancel {
		b.next(slot, nil)
	}
}

// reply carries an answer back to the box that asked; land runs in Update.
type reply struct {
	box  *box
	slot string
	seq  uint64
	err  error
	act  bool
	land func() tea.Cmd
}

// question is one call to the desk.
type question struct {
	box  *box
	slot string
	act  bool            // it changes something: a fault of it says nothing about the connection yet
	time time.Duration   // 0 means as long as it takes
	stop context.Context // ends it early; nil means that only quitting does
}

// ask is the one way to the desk: it runs call off the loop under a deadline,
// and brings the reply back to the screen that asked, unless that has asked
// again or gone in the meantime.
func ask[T any](sh *shell, q question, call func(context.Context) (T, error), then func(T, error) tea.Cmd) tea.Cmd {
	parent := sh.ctx
	if q.stop != nil {
		parent = q.stop
	}
	var (
		ctx    context.Context
		cancel context.CancelFunc
	)
	if q.time > 0 {
		ctx, cancel = context.WithTimeout(parent, q.time)
	} else {
		ctx, cancel = context.WithCancel(parent)
	}
	seq := q.box.next(q.slot, cancel)
	return func() tea.Msg {
		defer cancel()
		if !sh.calls.begin() {
			return nil
		}
		defer sh.calls.wg.Done()
		v, err := call(ctx)
		return reply{q.box, q.slot, seq, err, q.act, func() tea.Cmd { return then(v, err) }}
	}
}

// read asks for something to show.
func read[T any](sh *shell, b *box, slot string, call func(context.Context) (T, error), then func(T, error) tea.Cmd) tea.Cmd {
	return ask(sh, question{box: b, slot: slot, time: readTime}, call, then)
}

// act asks for a change. Its reply is never stale: it lands in the shell's own
// box, each act in a slot of its own, because what was done must be told.
func act[T any](sh *shell, slot string, call func(context.Context) (T, error), then func(T, error) tea.Cmd) tea.Cmd {
	return ask(sh, question{box: sh.acts, slot: sh.actSlot(slot), act: true, time: actTime}, call, then)
}

// receive lets a reply land, if it is still waited for, and takes from it how
// the connection is.
func (sh *shell) receive(r reply) tea.Cmd {
	if r.box.seq[r.slot] != r.seq {
		return nil
	}
	delete(r.box.cancel, r.slot)
	if r.box == sh.acts {
		delete(r.box.seq, r.slot) // an act's slot is used once
	}
	var cmd tea.Cmd
	switch {
	case errors.Is(r.err, context.Canceled):
	case !fault(r.err):
		cmd = sh.line.back(sh)
	case r.act:
		cmd = sh.ping()
	default:
		cmd = sh.line.gone(sh, r.err)
	}
	return tea.Batch(cmd, r.land())
}

// fault tells an error of the store or the disk from an answer of the desk.
func fault(err error) bool {
	var refusal *flows.Refusal
	return err != nil && !errors.As(err, &refusal) && !errors.Is(err, flows.ErrNotFound) && !errors.Is(err, flows.ErrPiece)
}
