package flows

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"kartotek/store"
)

// UndoWithin is how long staff may take back an unsubscribing of their own: a
// slip of the finger is not the person's will. After it, only the person's own
// click brings them back.
const UndoWithin = 10 * time.Second

const whyUndo = "there is nothing to undo: an unsubscribing can be taken back within 10 seconds, by whoever did it, while nothing else has happened to the card"

// unsubscribed is what an unsubscribing changed, and so what undoing it restores.
type unsubscribed struct {
	by      string
	at      store.Micros
	version int64 // of the card after it: any later act makes it another
	before  Permission
	from    []store.Membership // as they were
	called  bool               // a confirmation was called off besides
}

// orNil is nothing where undoing could not restore all: a sign-up that waited
// for its click was called off, letter and link with it.
func (u *unsubscribed) orNil() *unsubscribed {
	waited := func(m store.Membership) bool { return m.Status != store.Subscribed }
	if len(u.from) == 0 || u.called || slices.ContainsFunc(u.from, waited) {
		return nil
	}
	return u
}

// slips are the unsubscribings that can be taken back, by SubscriberID. They
// are kept in memory only: what they restore is gone from the store.
type slips struct {
	mu   sync.Mutex
	last map[int64]unsubscribed
}

// keep remembers one, and lets go of those whose time is over.
func (s *slips) keep(id int64, u unsubscribed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, old := range s.last {
		if over(old.at, u.at.Time()) {
			delete(s.last, other)
		}
	}
	if s.last == nil {
		s.last = map[int64]unsubscribed{}
	}
	s.last[id] = u
}

func (s *slips) drop(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, id)
}

func (s *slips) of(a Actor, id int64, now time.Time) (unsubscribed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.last[id]
	return u, ok && u.by == a.Name && !over(u.at, now)
}

func over(at store.Micros, now time.Time) bool { return now.Sub(at.Time()) > UndoWithin }

// UndoUntil is until when an actor may take back the unsubscribing of a card;
// the zero time when there is none to be taken back.
func (s *Service) UndoUntil(a Actor, id int64) time.Time {
	if u, ok := s.slips.of(a, id, s.now()); ok {
		return u.at.Time().Add(UndoWithin)
	}
	return time.Time{}
}

// UndoUnsubscribe puts a card back on exactly the lists that the actor's last
// unsubscribing took it off, and gives it back its permission. It is refused
// as soon as anything else has happened to the card.
func (s *Service) UndoUnsubscribe(ctx context.Context, a Actor, id int64) (_ Card, err error) {
	defer func() { err = s.trace(ctx, a, doUnsubscribe, id, err) }()
	if err := s.allow(ctx, a, doUnsubscribe); err != nil {
		return Card{}, err
	}
	u, ok := s.slips.of(a, id, s.now())
	if !ok {
		return Card{}, refuse(whyUndo)
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		if c.Version != u.version {
			return refuse(whyUndo)
		}
		return s.restore(ctx, tx, c, u, a)
	})
	if err != nil {
		return Card{}, notFound(err, strconv.FormatInt(id, 10))
	}
	s.slips.drop(id)
	return s.card(ctx, id)
}

// restore writes back what an unsubscribing changed. Both acts stay in the
// evidence.
func (s *Service) restore(ctx context.Context, tx *store.Tx, c *store.Contact, u unsubscribed, a Actor) error {
	out, err := decide(c, ActUndo)
	if err != nil {
		return err
	}
	if out.Verdict != NoChange && (out.Verdict != Move || out.To != u.before) {
		return refuse(whyUndo)
	}
	_, key, err := openCard(tx, c)
	if err != nil {
		return err
	}
	at := store.At(s.now())
	for _, was := range u.from {
		m, err := membership(ctx, tx, c.SubscriberID, was.ListID)
		if err != nil {
			return err
		}
		if m == nil {
			return refuse(whyUndo)
		}
		m.Status, m.Since, m.LeftAt = was.Status, was.Since, was.LeftAt
		if err := tx.SaveMembership(ctx, m); err != nil {
			return err
		}
		if err := tx.AddEvidence(ctx, key, c, store.Restoration, at, store.EvidenceAct{IP: a.IP, List: m.List, By: a.Name}); err != nil {
			return err
		}
	}
	if out.Verdict == Move {
		c.Permission, c.WithdrawnAt = out.To, 0
	}
	if err := tx.SaveContact(ctx, c); err != nil {
		return err
	}
	return audit(ctx, tx, a, at, "undo unsubscribe", c.SubscriberID, fmt.Sprintf("%d lists", len(u.from)))
}
