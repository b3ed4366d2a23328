package flows

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"kartotek/store"
)

const (
	// refusalsEach is how many refusals of one kind to one of staff a minute
	// leave a row each; the rest of the minute leaves one.
	refusalsEach = 20
	// refusalKinds bounds how many kinds are told apart in a minute.
	refusalKinds = 1000
)

// refusals counts what staff were refused, so that a flood of them, by a
// script or a key held down, can't fill the store.
type refusals struct {
	mu    sync.Mutex
	since time.Time
	seen  map[refusal]int
}

// refusal is what one of staff was refused, and by which rule.
type refusal struct {
	who  Actor
	rule string // "erase", or "erase: the card is frozen"
}

// verbs are the places in a rule's words where somebody's own words stand.
var verbs = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// rule is the refusal's words with nothing in them that somebody typed.
func (r *Refusal) rule() string { return verbs.ReplaceAllString(r.words, "…") }

// traced is an error that the audit knows of.
type traced struct{ error }

func (t traced) Unwrap() error { return t.error }

// trace writes into the audit what a rule refused to staff, in a small
// transaction of its own: that of the act was undone. It returns err, which
// may be anything. Refusals by strangers on the web leave no rows.
func (s *Service) trace(ctx context.Context, a Actor, act string, id int64, err error) error {
	var r *Refusal
	var done traced
	if err == nil || !errors.As(err, &r) || errors.As(err, &done) {
		return err
	}
	why := act
	if !r.role {
		why += ": " + r.rule()
	}
	ctx = context.WithoutCancel(ctx) // who broke off was refused all the same
	if !s.refused.take(s.now(), refusal{a, why}) {
		return traced{err}
	}
	return traced{errors.Join(err, s.store.InTx(ctx, func(tx *store.Tx) error {
		return audit(ctx, tx, a, store.At(s.now()), "refused", id, why)
	}))}
}

// take tells whether a refusal leaves a row of its own.
func (q *refusals) take(now time.Time, what refusal) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.seen == nil {
		q.seen, q.since = map[refusal]int{}, now
	}
	if now.Sub(q.since) >= time.Minute && !q.hides() {
		q.seen, q.since = map[refusal]int{}, now
	}
	if _, known := q.seen[what]; !known && len(q.seen) >= refusalKinds {
		return false
	}
	q.seen[what]++
	return q.seen[what] <= refusalsEach
}

// hides tells whether there are refusals that left no row yet.
func (q *refusals) hides() bool {
	for _, n := range q.seen {
		if n > refusalsEach {
			return true
		}
	}
	return false
}

// over takes what a minute that is over has hidden.
func (q *refusals) over(now time.Time) map[refusal]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.since) < time.Minute {
		return nil
	}
	seen := q.seen
	q.seen, q.since = nil, now
	return seen
}

// tellRefusals writes one row for those of a kind that left none.
func (s *Service) tellRefusals(ctx context.Context) error {
	for what, n := range s.refused.over(s.now()) {
		if n <= refusalsEach {
			continue
		}
		if err := s.note(ctx, what.who, "refused", fmt.Sprintf("%s, %d times more", what.rule, n-refusalsEach)); err != nil {
			return err
		}
	}
	return nil
}
