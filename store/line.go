package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

// line is where transactions wait for who writes them.
type line struct {
	mu      sync.Mutex
	waiting []*turn
	came    chan struct{} // told when one comes, where somebody waits for that
}

// turn is a transaction that waits for a writer.
type turn struct {
	ctx    context.Context
	fn     func(queries) error
	err    error
	panics any
	begun  bool // somebody runs it, or has; the line's mutex guards it
	done   chan struct{}
}

func newTurn(ctx context.Context, fn func(queries) error) *turn {
	return &turn{ctx: ctx, fn: fn, done: make(chan struct{})}
}

// run calls the transaction's function.
func (t *turn) run(q queries) {
	defer func() { t.panics = recover() }()
	if t.err = t.fn(q); t.err == nil {
		t.err = t.ctx.Err()
	}
}

// within runs it in a transaction with others. It reports false when it has
// failed and left something, so that the others' can't be kept.
func (t *turn) within(q queries) bool {
	if t.err = t.ctx.Err(); t.err == nil {
		t.run(q)
	}
	failed := t.err != nil || t.panics != nil
	if failed && (q.shared.wrote || t.panics != nil || repeatable(t.err)) {
		return false
	}
	if !failed {
		q.shared.keep()
	}
	q.shared.drop()
	return true
}

// wait returns what came of a turn once it was served: by whom has it served by
// others, or by itself, as soon as there is a slot, or patience has ended.
func (l *line) wait(t *turn, slot chan struct{}, patience <-chan time.Time, serve func()) error {
	l.join(t)
	for !l.has(t) {
		select {
		case slot <- struct{}{}:
			if !l.has(t) {
				serve()
			}
			<-slot
		case <-patience:
			serve()
		case <-t.ctx.Done():
			if l.withdraw(t) {
				return t.ctx.Err()
			}
		case <-t.done:
		}
	}
	<-t.done
	if t.panics != nil {
		panic(t.panics)
	}
	return t.err
}

func (l *line) join(t *turn) {
	l.mu.Lock()
	l.waiting = append(l.waiting, t)
	l.mu.Unlock()
	select {
	case l.came <- struct{}{}:
	default: // nobody waits for it, or it was told already
	}
}

// has tells that a turn has begun.
func (l *line) has(t *turn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.begun
}

// withdraw takes a turn back that has not begun.
func (l *line) withdraw(t *turn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, t)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	return i >= 0
}

// next takes the turn that has waited longest; nil when none waits.
func (l *line) next() *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return nil
	}
	t := l.waiting[0]
	l.waiting = l.waiting[1:]
	t.begun = true
	return t
}

// nextBefore is next, and waits for one until end is closed.
func (l *line) nextBefore(end <-chan struct{}) *turn {
	for {
		if t := l.next(); t != nil {
			return t
		}
		select {
		case <-end:
			return nil
		case <-l.came:
		}
	}
}
