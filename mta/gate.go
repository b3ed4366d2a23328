package mta

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what one destination, a domain or a server, gets from us.
type Limits struct {
	Connections   int // letters on their way at once, each over a connection of its own
	PerConnection int // letters over one connection
	PerMinute     int // letters in a minute; 0 for no bound
}

const (
	// patientRounds is how many letters may wait for each connection that a destination gets. Others are postponed, so
	// that one busy destination doesn't take up the sender.
	patientRounds = 2
	// A destination that wants nothing more from us for now is left alone, longer each time that it says so in a row.
	firstRest, maxRest = 30 * time.Second, 10 * time.Minute
	// manySlow is after how many refusals in a row for our behaviour (4.7.x), and unanswered calls, it is left alone too.
	// One of them may be about a single letter: greylisting says 4.7.x.
	manySlow = 3
	// soonest and latest bound when a postponed letter comes back.
	soonest, latest = time.Second, 5 * time.Minute
)

// gate lets letters through to one destination: a few at once, then one more with every round that goes well (with every
// letter, where the destination is our own), one at a time and after a rest when the destination says that it is too much (RFC 5321 section 4.5.4.1).
type gate struct {
	limits Limits
	minute *rate.Limiter // nil for no bound
	ours   bool          // the destination is our own: it opens faster, and any number may wait before it

	mu     sync.Mutex
	users  int       // who know of this gate; guarded by gates.mu
	width  int       // how many are let through at once
	inside int       // how many are
	behind int       // of these: how many follow another over its connection, which isn't done yet
	good   int       // deliveries since the width changed
	slow   int       // complaints in a row
	dead   int       // calls in a row that nobody answered
	rest   time.Time // until when nobody is let through
	rests  int       // in a row
	queue  [2][]*waiter
	took   time.Duration // one delivery, on average of late
	next   time.Time     // when the letter postponed last comes back
}

// waiter is a letter before the gate; its channel gets the answer.
type waiter struct {
	word chan ticket
	// pool is where its parcel is to go; nil where it isn't known to be ready. Then it can follow another letter over
	// a connection of that pool.
	pool *pool
	par  *parcel
	gone bool // it has given up while it followed; guarded by the gate's lock
}

// The two queues before a gate: urgent letters go first.
const (
	urgentQueue = iota
	usualQueue
)

func queueOf(urgent bool) int {
	if urgent {
		return urgentQueue
	}
	return usualQueue
}

func newGate(l Limits, first int) *gate {
	g := &gate{limits: l, width: max(1, min(first, l.Connections))}
	if l.PerMinute > 0 {
		g.minute = rate.NewLimiter(rate.Limit(l.PerMinute)/60, max(1, l.PerMinute/10))
	}
	return g
}

// ticket is the answer of a gate.
type ticket struct {
	back    time.Time // when to come back; zero: go through, and leave afterwards
	resting bool      // nobody is let through at all, so that another server may be asked
	session *session  // over which the letter's envelope is on its way; nil for none
}

// enter waits for its turn. The error is ctx's.
func (g *gate) enter(ctx context.Context, urgent bool) (ticket, error) {
	return g.enterWith(ctx, nil, &parcel{urgent: urgent})
}

// enterWith waits for its turn with a parcel that is ready to go to a pool, so that it may follow another.
func (g *gate) enterWith(ctx context.Context, p *pool, par *parcel) (ticket, error) {
	urgent := par.urgent
	g.mu.Lock()
	kind := queueOf(urgent)
	switch {
	case g.closed():
		defer g.mu.Unlock()
		return ticket{back: g.later(g.rest), resting: true}, nil
	case !urgent && !g.ours && g.busy() >= g.width && len(g.queue[kind]) >= patientRounds*g.width:
		defer g.mu.Unlock()
		return ticket{back: g.later(time.Now())}, nil
	case g.minute != nil && !g.minute.Allow():
		defer g.mu.Unlock()
		return ticket{back: g.later(time.Now())}, nil
	case g.busy() < g.width:
		defer g.mu.Unlock()
		g.inside++
		return ticket{}, nil
	}
	w := &waiter{word: make(chan ticket, 1), pool: p, par: par}
	g.queue[kind] = append(g.queue[kind], w)
	g.mu.Unlock()
	select {
	case t := <-w.word:
		return t, nil
	case <-ctx.Done():
		g.give(kind, w)
		return ticket{}, ctx.Err()
	}
}

// give takes a waiter out of its queue; one that was let through meanwhile leaves its place to the next.
func (g *gate) give(kind int, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.queue[kind] {
		if other == w {
			g.queue[kind] = append(g.queue[kind][:i], g.queue[kind][i+1:]...)
			return
		}
	}
	select {
	case t := <-w.word:
		g.abandon(t)
	default:
		w.gone = true // it follows another letter, which will hear of it
	}
}

// abandon gives up what was answered to a waiter that has gone.
func (g *gate) abandon(t ticket) {
	if t.session != nil {
		t.session.abort() // an envelope that nobody wants any more is on its way
	}
	if t.back.IsZero() {
		g.inside--
		g.admit()
	}
}

// follow lets the letter through that is to go next over a connection of p, if it fits; nil when none does. Its envelope
// goes out with the end of the letter before it, and [gate.handOn] or [gate.pass] tells it what came of that.
func (g *gate) follow(p *pool, fits func(*parcel) bool) *waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy() > g.width || g.closed() {
		return nil
	}
	for kind, queue := range g.queue {
		if len(queue) == 0 {
			continue
		}
		w := queue[0]
		if w.pool != p || !fits(w.par) {
			return nil
		}
		g.queue[kind] = queue[1:]
		g.inside++
		g.behind++ // until the letter before it leaves
		return w
	}
	return nil
}

// pass hands a connection over to the letter that follows; without one, that has to find its own.
func (g *gate) pass(w *waiter, s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed(w, s)
}

func (g *gate) passed(w *waiter, s *session) {
	g.behind--
	t := ticket{session: s}
	if s == nil && g.closed() {
		t = ticket{back: g.later(g.rest), resting: true}
		g.inside--
	}
	if w.gone {
		g.abandon(t)
		return
	}
	w.word <- t
}

// later is when a letter may come back that can't go through before from: those that are postponed come back one by
// one, at the pace at which letters may go through when all goes well, and none so late that the gate would stand idle
// for long when they go faster.
func (g *gate) later(from time.Time) time.Time {
	pace := g.took / time.Duration(g.limits.Connections)
	if l := g.limits.PerMinute; l > 0 {
		pace = max(pace, time.Minute/time.Duration(l))
	}
	if from = from.Add(soonest); g.next.Before(from) {
		g.next = from
	}
	if g.next.After(from.Add(latest)) {
		return g.next // the queue is longer than it makes sense to plan for
	}
	g.next = g.next.Add(max(pace, time.Millisecond))
	return g.next
}

// leave tells the gate what came of a letter that it let through, and how long that took.
func (g *gate) leave(out outcome, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left(out, took)
	g.admit()
}

// handOn is leave for a letter that another may follow, which has its place from then on. It returns whether nobody is
// let through now.
func (g *gate) handOn(out outcome, took time.Duration) (resting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left(out, took)
	if out.next != nil {
		g.passed(out.next, out.session)
	}
	g.admit()
	return g.closed()
}

func (g *gate) left(out outcome, took time.Duration) {
	g.inside--
	switch v := out.verdict; {
	case tooMuch(v):
		g.slow++
		g.width, g.good = 1, 0
		if v.Code == 421 || g.slow >= manySlow {
			g.close()
		}
	case unreached(out.err):
		if g.dead++; g.dead >= manySlow {
			g.close()
		}
	case v.State == Delivered:
		g.took += (took - g.took) / 8
		g.slow, g.dead, g.rests = 0, 0, 0
		if g.good++; g.good >= g.width || g.ours {
			g.width, g.good = min(g.width+1, g.limits.Connections), 0
		}
	case v.Code != 0:
		g.dead = 0
	}
}

// busy is how many letters are let through that have a connection of their own.
func (g *gate) busy() int { return g.inside - g.behind }

// close lets nobody through for a while, and sends those away who wait.
func (g *gate) close() {
	rest := min(firstRest<<min(g.rests, 10), maxRest)
	g.rests++
	g.rest = time.Now().Add(rest - rest/5 + rand.N(2*rest/5)) // not in step with others
	g.width, g.good = 1, 0
	for kind, queue := range g.queue {
		for _, w := range queue {
			w.word <- ticket{back: g.later(g.rest), resting: true}
		}
		g.queue[kind] = nil
	}
}

// resting tells whether nobody is let through now.
func (g *gate) resting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed()
}

// closed is resting for who has the lock.
func (g *gate) closed() bool { return !g.rest.IsZero() && time.Now().Before(g.rest) }

// admit lets those through who wait, as far as there is room.
func (g *gate) admit() {
	for kind := range g.queue {
		for g.busy() < g.width && len(g.queue[kind]) > 0 {
			w := g.queue[kind][0]
			g.queue[kind] = g.queue[kind][1:]
			g.inside++
			w.word <- ticket{}
		}
	}
}

// calm tells whether nothing would be lost if the gate were forgotten.
func (g *gate) calm() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.slow+g.dead+g.rests == 0 && g.minute == nil
}

// tooMuch tells that the server complains of how we send: it says 421 (RFC 5321 section 3.8), or 4.7.x (RFC 3463
// section 3.8).
func tooMuch(v *Verdict) bool {
	return v.Code == 421 || v.Code/100 == 4 && strings.HasPrefix(v.Enhanced, "4.7.")
}

// unreached tells that nobody answered a call. A server without an address is no such: its letters have a verdict.
func unreached(err error) bool {
	f, broken := errors.AsType[*fault](err)
	return broken && (f.phase == phaseDial || f.phase == phaseGreeting) && !errors.Is(err, context.Canceled) &&
		!nowhere(err)
}

// nowhere tells that the name of a domain's server leads to no address that mail may go to, for good.
func nowhere(err error) bool { return errors.Is(err, errDeaf) || errors.Is(err, errNowhere) }

// gates are those of all destinations of one kind.
type gates struct {
	usual  Limits            // of a destination that isn't named
	named  map[string]Limits // also for what lies below a name
	first  int               // connections that a destination gets at first
	mu     sync.Mutex
	byName map[string]*gate
}

// use returns a destination's gate, until done is called with it.
func (s *gates) use(name string) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.byName[name]
	if g == nil {
		s.forget()
		g = newGate(s.limitsOf(name), s.first)
		s.byName[name] = g
	}
	g.users++
	return g
}

func (s *gates) done(g *gate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.users--
}

// forget makes room when many destinations are known: the calm ones go, and if there are none any that nobody uses.
func (s *gates) forget() {
	for _, calmOnly := range []bool{true, false} {
		for name, g := range s.byName {
			if len(s.byName) < manyPools {
				return
			}
			if g.users == 0 && (!calmOnly || g.calm()) {
				delete(s.byName, name)
			}
		}
	}
}

// limitsOf are those of the name, or of the nearest name above it.
func (s *gates) limitsOf(name string) Limits {
	for above := true; above; _, name, above = strings.Cut(name, ".") {
		if l, ok := s.named[name]; ok {
			return l
		}
	}
	return s.usual
}
