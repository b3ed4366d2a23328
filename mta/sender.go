package mta

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	mrand "math/rand/v2"
	"runtime"
	"time"
)

const (
	// defaultConcurrency is how many letters are in hand at once: several for each connection, so that some are read,
	// signed or marked while others are on the wire, and a claim takes many.
	defaultConcurrency = 512
	defaultPoll        = 2 * time.Second
	// A lease is renewed while its letter is in hand, so that it can be short: after a crash nobody takes the letter
	// before it has ended. What can't be renewed is broken off early enough.
	lease  = time.Minute
	margin = 10 * time.Second
	// attempt bounds one try, from the signature to the verdict.
	attempt = 9 * time.Minute
	marking = 2 * time.Minute
	// claiming bounds one look at the queue.
	claiming = 30 * time.Second
	// gather is how long the sender waits for more letters before it claims a few, and gatherBusy how long for those, or
	// for free slots, while it has enough in hand to keep the connections busy.
	gather     = 3 * time.Millisecond
	gatherBusy = 10 * time.Millisecond
	// rush is how many letters, claimed at once, are one.
	rush = 32
	// grace is how long letters in flight may take to finish once the sender is told to stop.
	grace = 15 * time.Second
	// Waits after a failure of the spool, doubling.
	firstPause, maxPause = 200 * time.Millisecond, 30 * time.Second
)

// Sender walks the queue: it claims due letters, signs them, hands them to the route and marks the verdicts.
//
// Delivery is at least once. The attempt is noted before anything is dialled and the verdict after the server has
// answered; a crash between the two repeats the letter when its lease runs out, and never loses it.
type Sender struct {
	spool   Spool
	route   Route
	sign    func(Letter) (Letter, error) // nil for unsigned ones
	signing chan struct{}                // as many at once as there are cores
	log     *slog.Logger
	owner   string
	slots   int // for letters of any kind
	spare   int // more, for urgent ones
	lease   time.Duration
	observe func(Letter, Verdict, time.Duration)
	rushing func(on bool)
	poll    time.Duration
	grace   time.Duration
	wake    chan struct{}
}

// Option is a setting of [NewSender].
type Option func(*Sender)

// WithLogger logs to l instead of slog's default.
func WithLogger(l *slog.Logger) Option { return func(s *Sender) { s.log = l } }

// WithConcurrency bounds the letters in hand at once; the default is 512. A quarter more may be urgent ones.
func WithConcurrency(n int) Option {
	return func(s *Sender) { s.slots, s.spare = max(n, 1), max(n/4, 1) }
}

// WithPoll sets how often the queue is looked at unasked, for letters from other processes and those due
// again; the default is 2 seconds.
func WithPoll(d time.Duration) Option { return func(s *Sender) { s.poll = d } }

// WithLease sets how long a letter stays with a sender that gives no sign of life; the default is a minute.
func WithLease(d time.Duration) Option { return func(s *Sender) { s.lease = d } }

// WithSigning signs every letter before it leaves, each attempt anew. A letter that can't be signed is deferred.
func WithSigning(signers Signers) Option { return func(s *Sender) { s.sign = signers.sign } }

// WithObserver tells of every attempt: the letter, what came of it, and how long it took until it was marked. It must
// return soon, and is called by several goroutines at once.
func WithObserver(observe func(Letter, Verdict, time.Duration)) Option {
	return func(s *Sender) { s.observe = observe }
}

// WithRush tells when many letters begin to be sent at once, and when none waits any more. It must return soon.
func WithRush(rushing func(on bool)) Option { return func(s *Sender) { s.rushing = rushing } }

// NewSender makes a sender of the letters in s through r, which stays the caller's to close once
// [Sender.Run] has returned.
func NewSender(s Spool, r Route, opts ...Option) *Sender {
	sender := &Sender{
		spool: s, route: r, log: slog.Default(), owner: rand.Text(), lease: lease, poll: defaultPoll, grace: grace,
		observe: func(Letter, Verdict, time.Duration) {}, rushing: func(bool) {},
		signing: make(chan struct{}, runtime.GOMAXPROCS(0)), wake: make(chan struct{}, 1),
	}
	WithConcurrency(defaultConcurrency)(sender)
	for _, opt := range opts {
		opt(sender)
	}
	return sender
}

// Wake makes the sender look at the queue at once. It never blocks.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // it has been told already
	}
}

// Run walks the queue until ctx ends. Then it claims nothing more, gives the letters in flight 15 seconds to
// finish, breaks off the rest, marks them all and returns nil. Trouble with the spool is logged and waited out.
// It may run once at a time.
func (s *Sender) Run(ctx context.Context) error {
	f := newFlight(context.WithoutCancel(ctx), s.slots, s.spare)
	defer f.end()
	f.wg.Go(func() { s.keepLeases(f) })
	rushing := false
	defer func() {
		if rushing {
			s.rushing(false)
		}
	}()
	pause := time.Duration(0)
	for ctx.Err() == nil {
		n, spare := f.room()
		began := time.Now()
		letters, err := s.claim(ctx, n, spare)
		if err != nil {
			pause = min(max(2*pause, firstPause), maxPause)
		} else {
			pause = 0
		}
		if !rushing && len(letters) >= rush || rushing && len(letters) == 0 {
			rushing = !rushing
			s.rushing(rushing)
		}
		taken, b := 0, f.together(len(letters))
		for _, l := range letters {
			if !l.Urgent {
				taken++
			}
			f.begin(l.Urgent)
			f.wg.Go(func() {
				defer f.landed(l.Urgent)
				defer b.landed()
				s.carry(b.ctx, l)
			})
		}
		if err == nil && taken == n {
			s.awaitRoom(ctx, f) // there may be more
		} else {
			if len(letters) > 0 {
				began = began.Add(gatherFor(f))
			}
			s.awaitWork(ctx, pause, began)
		}
	}
	timer := time.AfterFunc(s.grace, f.breakOff)
	defer timer.Stop()
	f.await()
	return nil
}

// claim takes up to n letters, and spare more that are urgent. The end of ctx doesn't break it off half way: letters
// that were leased but not heard of would wait for the end of their lease.
func (s *Sender) claim(ctx context.Context, n, spare int) ([]Letter, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claiming)
	defer cancel()
	letters, err := s.spool.Claim(ctx, s.owner, n, spare, s.lease)
	if err != nil {
		s.log.Error("claiming letters failed", "err", err)
	}
	return letters, err
}

// awaitRoom returns when a good part of the slots is free again, when some have been for a moment, or when an urgent
// letter may have come.
func (s *Sender) awaitRoom(ctx context.Context, f *flight) {
	var moment <-chan time.Time
	for {
		n, _ := f.room()
		switch {
		case f.much(n):
			return
		case n > 0 && moment == nil:
			timer := time.NewTimer(gatherBusy)
			defer timer.Stop()
			moment = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			return
		case <-moment:
			return
		case <-f.change:
		}
	}
}

// gatherFor is how long to wait for letters that come in a rush.
func gatherFor(f *flight) time.Duration {
	if n, _ := f.room(); 4*n < 3*f.slots {
		return gatherBusy
	}
	return gather
}

// awaitWork returns when an empty queue is worth another look: when woken, or after the poll interval, and not before
// from, so that letters that come in a rush are claimed together. After a failure of the spool it waits for pause
// instead, and a spool in trouble isn't helped by being asked more often.
func (s *Sender) awaitWork(ctx context.Context, pause time.Duration, from time.Time) {
	wait, wake := s.poll, s.wake
	if pause > 0 {
		wait, wake = pause, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
		time.Sleep(time.Until(from))
	}
}

// keepLeases renews the leases of what is in hand until the flight has ended. When that fails for too long it breaks
// everything off, for others may take the letters then.
func (s *Sender) keepLeases(f *flight) {
	ticker := time.NewTicker(s.lease / 3)
	defer ticker.Stop()
	sure := time.Now() // no lease ends earlier than one lease from here
	for {
		select {
		case <-f.over:
			return
		case <-ticker.C:
		}
		now := time.Now()
		if f.empty() {
			sure = now
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.lease/3)
		err := s.spool.Renew(ctx, s.owner, s.lease)
		cancel()
		if err == nil {
			sure = now
			continue
		}
		s.log.Error("renewing the leases of letters failed", "err", err)
		if time.Now().Add(s.lease / 3).After(sure.Add(s.lease - min(margin, s.lease/3))) {
			f.breakOff() // another failure would be known too late
		}
	}
}

// try is one attempt with one letter.
type try struct {
	sender *Sender
	letter Letter
	begun  time.Time
	digest [sha256.Size]byte // of the message as it leaves
}

// carry makes one attempt with one letter and marks what came of it.
func (s *Sender) carry(ctx context.Context, l Letter) {
	t := &try{sender: s, letter: l, begun: time.Now()}
	mark := func(v Verdict) { t.mark(ctx, &v) }
	err := s.signed(&l)
	t.digest = sha256.Sum256(l.Data)
	if err != nil {
		t.unsigned(ctx, err)
		return
	}
	s.route.Deliver(ctx, l, mark)
}

// mark records what came of the attempt. The spool has a long way to go from here, on a stack that should not have to
// grow for each letter: what takes room is elsewhere.
func (t *try) mark(ctx context.Context, v *Verdict) {
	t.sender.schedule(&t.letter, v)
	v.Digest = t.digest
	t.sender.mark(ctx, &t.letter, v)
	if v.State != Postponed { // else nobody was asked
		t.tell(ctx, v)
	}
}

// tell lets others know what came of the attempt.
func (t *try) tell(ctx context.Context, v *Verdict) {
	s, l := t.sender, &t.letter
	s.observe(*l, *v, time.Since(t.begun))
	s.log.LogAttrs(ctx, slog.LevelInfo, "letter tried", slog.Int64("letter", l.ID), slog.Int("attempt", l.Attempts),
		slog.String("state", string(v.State)), slog.Int("code", v.Code), slog.String("enhanced", v.Enhanced), slog.String("tls", v.TLS))
}

// unsigned marks what comes of a letter that can't be signed.
func (t *try) unsigned(ctx context.Context, err error) {
	t.sender.log.Error("signing a letter failed", "letter", t.letter.ID, "err", err)
	v := &Verdict{State: Deferred, Enhanced: "4.7.0", Reply: "the letter can't be signed: see the DKIM keys"}
	t.mark(ctx, v.complete(nil, "", t.letter.To))
}

// signed adds its signatures to the letter. As many are signed at once as there are cores, ahead of the connections
// that they will take; an urgent one waits for none of them.
func (s *Sender) signed(l *Letter) (err error) {
	if s.sign == nil {
		return nil
	}
	if !l.Urgent {
		s.signing <- struct{}{}
		defer func() { <-s.signing }()
	}
	*l, err = s.sign(*l)
	return err
}

// schedule says when a deferred letter is tried again, or that it is given up (RFC 3463: X.4.7, delivery time
// expired).
func (s *Sender) schedule(l *Letter, v *Verdict) {
	if v.State != Deferred && v.State != Postponed {
		return
	}
	end := l.Created.Add(giveUpAfter)
	if v.State == Postponed && v.At.Before(end) {
		if v.Retry.After(end) {
			v.Retry = end
		}
		return
	}
	next, giveUp := RetryAfter(l.Attempts, l.Created, v.At, mrand.Float64)
	if !giveUp {
		v.Retry = next
		return
	}
	v.State, v.Enhanced, v.Retry = Refused, "5.4.7", time.Time{}
	v.Reply = truncate("given up after 4 days; the last answer: "+v.Reply, maxReply)
}

// mark records the verdict, whatever it takes: a delivered letter without its mark would be sent again. It is
// not stopped by the end of ctx, only by its own time.
func (s *Sender) mark(ctx context.Context, l *Letter, v *Verdict) {
	ctx = context.WithoutCancel(ctx)
	end := time.Now().Add(marking)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := s.spool.Mark(ctx, *l, *v)
		if err == nil || s.lost(l.ID, err) {
			return
		}
		if time.Now().Add(pause).After(end) {
			s.spool.Forget(*l)
			return
		}
		time.Sleep(pause)
	}
}

// lost notes that a letter wasn't marked, and tells whether it never will be by us.
func (s *Sender) lost(id int64, err error) bool {
	if errors.Is(err, ErrLost) {
		s.log.Warn("the lease of a letter was lost before its verdict", "letter", id)
		return true
	}
	s.log.Error("marking a letter failed", "letter", id, "err", err)
	return false
}
