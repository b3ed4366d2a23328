package mta

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"time"
)

const (
	defaultConcurrency = 8
	defaultPoll        = 2 * time.Second
	// lease outlives attempt and the marking after it: while a sender lives, nobody else takes its letter.
	lease   = 12 * time.Minute
	attempt = 9 * time.Minute
	marking = 2 * time.Minute
	// claiming bounds one look at the queue.
	claiming = 30 * time.Second
	// grace is how long letters in flight may take to finish once the sender is told to stop.
	grace = 15 * time.Second
	// Waits after a failure of the spool, doubling.
	firstPause, maxPause = 200 * time.Millisecond, 30 * time.Second
)

// Sender walks the queue: it claims due letters, hands them to the route and marks the verdicts.
//
// Delivery is at least once. The attempt is noted before anything is dialled and the verdict after the server has
// answered; a crash between the two repeats the letter when its lease runs out, and never loses it.
type Sender struct {
	spool Spool
	route Route
	log   *slog.Logger
	owner string
	slots int
	poll  time.Duration
	grace time.Duration
	wake  chan struct{}
}

// Option is a setting of [NewSender].
type Option func(*Sender)

// WithLogger logs to l instead of slog's default.
func WithLogger(l *slog.Logger) Option { return func(s *Sender) { s.log = l } }

// WithConcurrency bounds the letters in flight at once; the default is 8.
func WithConcurrency(n int) Option { return func(s *Sender) { s.slots = max(n, 1) } }

// WithPoll sets how often the queue is looked at unasked, for letters from other processes and those due
// again; the default is 2 seconds.
func WithPoll(d time.Duration) Option { return func(s *Sender) { s.poll = d } }

// NewSender makes a sender of the letters in s through r, which stays the caller's to close once
// [Sender.Run] has returned.
func NewSender(s Spool, r Route, opts ...Option) *Sender {
	sender := &Sender{
		spool: s, route: r, log: slog.Default(), owner: rand.Text(), slots: defaultConcurrency,
		poll: defaultPoll, grace: grace, wake: make(chan struct{}, 1),
	}
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
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var flight sync.WaitGroup
	landed := make(chan struct{}, s.slots)
	free, pause := s.slots, time.Duration(0)
	for ctx.Err() == nil {
		letters, err := s.claim(ctx, free)
		if err != nil {
			pause = min(max(2*pause, firstPause), maxPause)
		} else {
			pause = 0
		}
		free -= len(letters)
		for _, l := range letters {
			flight.Go(func() {
				s.carry(work, l)
				landed <- struct{}{}
			})
		}
		switch {
		case free == 0:
			free += s.awaitSlot(ctx, landed)
		case len(letters) == 0:
			free += s.awaitWork(ctx, landed, pause)
		}
	}
	timer := time.AfterFunc(s.grace, stop)
	defer timer.Stop()
	flight.Wait()
	return nil
}

// claim takes up to n letters. The end of ctx doesn't break it off half way: letters that were leased but not
// heard of would wait for the end of their lease.
func (s *Sender) claim(ctx context.Context, n int) ([]Letter, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claiming)
	defer cancel()
	letters, err := s.spool.Claim(ctx, s.owner, n, lease)
	if err != nil {
		s.log.Error("claiming letters failed", "err", err)
	}
	return letters, err
}

// awaitSlot returns once letters in flight have landed, and how many.
func (s *Sender) awaitSlot(ctx context.Context, landed <-chan struct{}) int {
	select {
	case <-ctx.Done():
		return 0
	case <-landed:
		return 1 + drain(landed)
	}
}

// awaitWork returns when an empty queue is worth another look: when woken, or after the poll interval. After a
// failure of the spool it waits for pause instead, and a spool in trouble isn't helped by being asked more
// often. It tells how many letters have landed meanwhile.
func (s *Sender) awaitWork(ctx context.Context, landed <-chan struct{}, pause time.Duration) int {
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
	}
	return drain(landed)
}

func drain(landed <-chan struct{}) int {
	for n := 0; ; n++ {
		select {
		case <-landed:
		default:
			return n
		}
	}
}

// carry makes one attempt with one letter and marks what came of it.
func (s *Sender) carry(ctx context.Context, l Letter) {
	try, cancel := context.WithTimeout(ctx, attempt)
	v := s.route.Deliver(try, l)
	cancel()
	v = s.schedule(l, v)
	s.log.Info("letter tried", "letter", l.ID, "attempt", l.Attempts, "state", string(v.State),
		"code", v.Code, "enhanced", v.Enhanced, "tls", v.TLS)
	s.mark(ctx, l.ID, v)
}

// schedule says when a deferred letter is tried again, or that it is given up (RFC 3463: X.4.7, delivery time
// expired).
func (s *Sender) schedule(l Letter, v Verdict) Verdict {
	if v.State != Deferred {
		return v
	}
	next, giveUp := RetryAfter(l.Attempts, l.Created, v.At, mrand.Float64)
	if !giveUp {
		v.Retry = next
		return v
	}
	v.State, v.Enhanced = Refused, "5.4.7"
	v.Reply = truncate("given up after 4 days; the last answer: "+v.Reply, maxReply)
	return v
}

// mark records the verdict, whatever it takes: a delivered letter without its mark would be sent again. It is
// not stopped by the end of ctx, only by its own time.
func (s *Sender) mark(ctx context.Context, id int64, v Verdict) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), marking)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := s.spool.Mark(ctx, s.owner, id, v)
		if err == nil {
			return
		}
		if errors.Is(err, ErrLost) {
			s.log.Warn("the lease of a letter was lost before its verdict", "letter", id)
			return
		}
		s.log.Error("marking a letter failed", "letter", id, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
