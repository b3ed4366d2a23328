package flows

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"kartotek/store"
)

const (
	// maxMarks is how many verdicts one transaction writes.
	maxMarks = 128
	// marksAtOnce is how many transactions of verdicts are under way at most. The
	// embedded store has one writer: a second one would but take half of what the
	// first one could write.
	marksAtOnce, marksAtOnceOnServer = 1, 2
	// marksBeside is how many verdicts have to wait before a transaction of their
	// own begins beside another. Fewer wait for that one's end, and become more:
	// a transaction costs as much as a dozen letters.
	marksBeside = 32
	// markWithin is how long one may take.
	markWithin = 2 * time.Minute
)

// marks are the verdicts that wait to be written. Those that come at once are
// written in one transaction: it takes whatever waits when it begins, so that
// the busier the store is, the fewer transactions there are. Guarded by the
// spool's lock.
type marks struct {
	atOnce  int // transactions under way at most
	under   int // that are
	waiting []*mark
	led     bool // one of those that wait opens the next transaction
}

// mark is a verdict on its way into the store.
type mark struct {
	id, lease int64
	v         verdict
	ready     *readyMark // nil where the transaction has to look first
	err       error
	done      chan struct{}
	lead      chan struct{} // told to open the next transaction
}

func newMark(l tried, v verdict) *mark {
	return &mark{id: l.ID, lease: l.Lease, v: v, done: make(chan struct{}), lead: make(chan struct{}, 1)}
}

// readyMark is what is written of a letter that was delivered, made before the
// transaction, which nobody else's may wait for.
type readyMark struct {
	attempt store.Attempt
	handing handing
}

// Mark writes the verdict of a delivery, fenced by the lease that the letter came
// with. A letter that was handed over becomes evidence on the card.
func (sp *Spool) Mark(ctx context.Context, l tried, v verdict) error {
	m := newMark(l, v)
	if err := sp.prepare(m); err != nil {
		return err
	}
	sp.mu.Lock()
	sp.marks.waiting = append(sp.marks.waiting, m)
	sp.marks.open()
	sp.mu.Unlock()
	for {
		select {
		case <-m.done:
			return m.err
		case <-m.lead:
			sp.write(ctx)
		}
	}
}

// prepare makes ready what the transaction would otherwise have to.
func (sp *Spool) prepare(m *mark) error {
	sp.mu.Lock()
	l, ok := sp.claimed[m.id]
	sp.mu.Unlock()
	if !ok || m.v.State != verdictDelivered || l.Lease() != m.lease {
		return nil
	}
	r := &readyMark{attempt: attemptOf(l.Letter, l.Envelope, m.v, store.LetterDelivered)}
	r.handing = handing{letter: l.Letter, envelope: l.Envelope, handed: handedAs(r.attempt, m.v), list: l.list}
	keys := sp.s.store.Keys()
	if err := keys.SealTalk(&r.attempt); err != nil {
		return err
	}
	if l.SubscriberID != 0 { // else there is no card to keep evidence on
		if err := r.handing.ready(keys); err != nil {
			return err
		}
	}
	m.ready = r
	return nil
}

// open lets one of those that wait open a transaction, if there is none, or
// enough wait for another beside it.
func (q *marks) open() {
	if q.led || len(q.waiting) == 0 || q.under > 0 && (q.under == q.atOnce || len(q.waiting) < marksBeside) {
		return
	}
	q.led = true
	q.under++
	q.waiting[0].lead <- struct{}{}
}

// take takes what waits, up to the most that a transaction writes.
func (sp *Spool) take() []*mark {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	q := &sp.marks
	n := min(len(q.waiting), maxMarks)
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	q.led = false
	q.open()
	return batch
}

// write writes what waits; what fails together is tried one by one, so that no
// letter suffers for another.
func (sp *Spool) write(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, markWithin)
	defer cancel()
	var batch []*mark
	err := sp.s.store.InTx(ctx, func(tx *store.Tx) error {
		if batch == nil { // not again when the transaction is
			batch = sp.take()
		}
		return sp.writeAll(ctx, tx, batch, true)
	})
	if batch == nil {
		batch = sp.take() // the transaction didn't begin
	}
	for _, m := range batch {
		switch {
		case err == nil:
		case errors.Is(err, store.ErrAway), errors.Is(err, store.ErrBusy), ctx.Err() != nil:
			m.err = err // it would go no better one by one
		default:
			if err := sp.s.store.InTx(ctx, func(tx *store.Tx) error { return sp.writeAll(ctx, tx, []*mark{m}, false) }); err != nil {
				m.err = err // else it has its own: a lease may be lost
			}
		}
	}
	for _, m := range batch {
		if errors.Is(m.err, errLost) {
			sp.unhear(m.lease) // the next claim looks whether anything is left in it
		}
		if m.err == nil || errors.Is(m.err, errLost) {
			sp.landed(m.id, m.lease)
		}
	}
	sp.mu.Lock()
	sp.marks.under--
	sp.marks.open()
	sp.mu.Unlock()
	for _, m := range batch {
		close(m.done)
	}
}

// writeAll writes some marks. Those that are ready are written as they are,
// unless they are to be looked at: should one of their leases be lost, it fails
// with [ErrNotFound], and nothing is kept.
func (sp *Spool) writeAll(ctx context.Context, tx *store.Tx, batch []*mark, asReady bool) error {
	var ids []int64
	w := written{ended: map[ending][]store.Letter{}}
	for _, m := range batch {
		m.err = nil
		if m.ready == nil || !asReady {
			ids = append(ids, m.id)
			continue
		}
		w.deliver(m.ready.handing, m.ready.attempt)
	}
	leased, err := tx.Leased(ctx, ids)
	if err != nil {
		return err
	}
	for _, m := range batch {
		if m.ready != nil && asReady {
			continue
		}
		l, ok := leased[m.id]
		if !ok || l.Lease() != m.lease {
			m.err = errLost
			continue
		}
		if err := sp.writeOne(ctx, tx, l, m.v, &w); err != nil {
			return err
		}
	}
	for end, letters := range w.ended {
		if err := tx.EndLetters(ctx, letters, end.state, store.At(sp.s.now())); err != nil {
			return err
		}
	}
	if err := handedOver(ctx, tx, w.handed); err != nil {
		return err
	}
	return tx.AddAttempts(ctx, w.attempts)
}

// written is what a transaction of marks writes at its end, all at once.
type written struct {
	attempts []store.Attempt
	handed   []handing
	ended    map[ending][]store.Letter
}

// ending is what letters that end together have in common.
type ending struct {
	attempt int
	state   store.LetterState
}

func (w *written) end(l store.Letter, state store.LetterState) {
	e := ending{l.Attempts, state}
	w.ended[e] = append(w.ended[e], l)
}

func (w *written) deliver(h handing, a store.Attempt) {
	w.handed = append(w.handed, h)
	w.attempts = append(w.attempts, a)
	w.end(h.letter, store.LetterDelivered)
}

func (sp *Spool) writeOne(ctx context.Context, tx *store.Tx, l store.Letter, v verdict, w *written) error {
	if v.State == verdictPostponed {
		return tx.PostponeLetter(ctx, l, store.At(v.Retry))
	}
	e, err := sp.envelope(ctx, tx, l.ID)
	if err != nil {
		return err
	}
	switch v.State {
	case verdictDelivered:
		a := attemptOf(l, e, v, store.LetterDelivered)
		w.deliver(handing{letter: l, envelope: e, handed: handedAs(a, v)}, a)
		return nil
	case verdictDeferred:
		w.attempts = append(w.attempts, attemptOf(l, e, v, store.LetterDeferred))
		return tx.DeferLetter(ctx, l, store.At(v.Retry))
	}
	a := attemptOf(l, e, v, store.LetterRefused)
	w.attempts = append(w.attempts, a)
	w.end(l, store.LetterRefused)
	return sp.s.comesBack(ctx, tx, l, a.Enhanced, a.Reply, true)
}

// attemptOf is what is kept of an attempt: nothing of it tells the recipient's
// domain.
func attemptOf(l store.Letter, e store.Envelope, v verdict, state store.LetterState) store.Attempt {
	hide := withoutDomain(e.To)
	return store.Attempt{
		LetterID: l.ID, N: l.Attempts, At: store.At(v.At), State: state, Code: v.Code, Enhanced: v.Enhanced,
		Reply: hide(v.Reply), Host: hostWithout(e.To, v.Host), TLS: v.TLS, Talk: boundTalk(v.Transcript, hide),
	}
}

// handedAs is how a letter was handed over.
func handedAs(a store.Attempt, v verdict) store.Handed {
	return store.Handed{At: a.At, Server: v.Host, Reply: a.Reply, Digest: hex.EncodeToString(v.Digest[:])}
}

// envelope is that of a letter in hand, kept since it was claimed.
func (sp *Spool) envelope(ctx context.Context, tx *store.Tx, id int64) (store.Envelope, error) {
	sp.mu.Lock()
	l, ok := sp.claimed[id]
	sp.mu.Unlock()
	if ok {
		return l.Envelope, nil
	}
	return tx.Envelope(ctx, id)
}
