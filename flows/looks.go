package flows

import (
	"context"
	"sync"
	"time"

	"kartotek/store"
)

// maxLooks is how many audit rows of looks one transaction writes.
const maxLooks = 256

// reopened is how long opening a card again is the same look: a screen that
// refreshes what it shows is nothing new.
const reopened = 10 * time.Minute

// looks writes into the audit what staff only looked at. A look is answered
// when its row is kept, and rows that come at once share a commit, so that many
// who search don't wait for each other's disks.
type looks struct {
	turn chan struct{} // held by who writes

	mu      sync.Mutex
	waiting []*look
	opened  map[opening]time.Time
}

// look is a row on its way into the audit.
type look struct {
	row  store.AuditRow
	err  error
	done chan struct{}
}

// opening is who has opened which card.
type opening struct {
	who, door string
	id        int64
}

func newLooks() *looks {
	return &looks{turn: make(chan struct{}, 1), opened: map[opening]time.Time{}}
}

// looked writes that staff looked at a card, or found none.
func (s *Service) looked(ctx context.Context, a Actor, act string, id int64) error {
	l := &look{done: make(chan struct{}), row: a.row(store.At(s.now()), act, id, "")}
	q := s.looks
	q.mu.Lock()
	q.waiting = append(q.waiting, l)
	q.mu.Unlock()
	for {
		select {
		case <-l.done:
			return l.err
		case q.turn <- struct{}{}:
			s.writeLooks(ctx)
			<-q.turn
		}
	}
}

// writeLooks writes what waits. Where that fails together, each is tried by
// itself: the one whose caller went must not fail the others.
func (s *Service) writeLooks(ctx context.Context) {
	q := s.looks
	q.mu.Lock()
	n := min(len(q.waiting), maxLooks)
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	q.mu.Unlock()
	if n == 0 {
		return // another has written ours
	}
	ctx = context.WithoutCancel(ctx) // it writes for others too
	if err := s.writeRows(ctx, batch); err != nil {
		for _, l := range batch {
			l.err = err
			if n > 1 {
				l.err = s.writeRows(ctx, []*look{l})
			}
		}
	}
	for _, l := range batch {
		close(l.done)
	}
}

func (s *Service) writeRows(ctx context.Context, batch []*look) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		for _, l := range batch {
			if err := tx.AddAudit(ctx, l.row); err != nil {
				return err
			}
		}
		return nil
	})
}

// lookedInto writes that staff opened a card, unless they did so just before.
func (s *Service) lookedInto(ctx context.Context, a Actor, id int64) error {
	key, now := opening{a.Name, a.From, id}, s.now()
	q := s.looks
	q.mu.Lock()
	last, again := q.opened[key]
	for k, at := range q.opened {
		if now.Sub(at) > reopened {
			delete(q.opened, k)
		}
	}
	q.mu.Unlock()
	if again && now.Sub(last) <= reopened {
		return nil
	}
	if err := s.looked(ctx, a, "open", id); err != nil {
		return err
	}
	q.mu.Lock()
	q.opened[key] = now
	q.mu.Unlock()
	return nil
}
