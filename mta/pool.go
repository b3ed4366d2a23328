package mta

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How long a connection is used. Servers dislike both a connection per message and one that never ends.
const (
	maxPerConn = 100
	maxAge     = 5 * time.Minute
	maxIdle    = 10 * time.Second
)

// pool delivers through one door, over connections that are kept for a while.
type pool struct {
	door    *door
	host    string // for verdicts
	perConn int    // letters over one connection; 0 for the usual number
	// inStep tells that the server loses count of its answers when an envelope comes with the end of a message.
	inStep atomic.Bool

	mu     sync.Mutex
	idle   []*session
	closed bool
	leaves sync.WaitGroup // farewells under way
}

// carry makes one attempt with a letter for this server.
func (p *pool) carry(ctx context.Context, l Letter, mark func(Verdict)) {
	par, bad := pack(l)
	if bad != nil {
		mark(*bad.complete(nil, p.host, l.To))
		return
	}
	out := p.deliver(ctx, nil, nil, par)
	mark(*out.verdict)
	out.release()
}

// outcome is what came of offering a parcel to one server.
type outcome struct {
	verdict *Verdict
	err     error // what the verdict was made of; nil if the server took the message or was not asked
	session *session
	pool    *pool
	next    *waiter // whose envelope went out with the end of the message; nil for none
}

// unmarked makes the connection hand over no other message before the channel is closed; nil where it isn't kept, or
// waits for the letter before still.
func (o outcome) unmarked() chan struct{} {
	if o.session == nil || o.session.before != nil || !o.pool.keeps(o.session) {
		return nil
	}
	marked := make(chan struct{})
	o.session.before = marked
	return marked
}

// release lets the connection serve other letters, unless one of them has it already.
func (o outcome) release() {
	if o.session != nil && o.next == nil {
		o.pool.put(o.session)
	}
}

// deliver makes one attempt, over the connection that the letter's envelope has gone out on, or else over any. A kept
// connection that turns out to be dead, or that the server ends with 421, costs no attempt: as long as the message
// can't have arrived it is tried once more over a new one.
func (p *pool) deliver(ctx context.Context, g *gate, kept *session, par *parcel) outcome {
	ahead := kept != nil
	if ahead {
		kept.talk = kept.talk[:0]
	} else {
		kept = p.take()
	}
	if kept != nil {
		out := p.try(ctx, g, kept, par)
		lost := ahead && confused(out.err)
		if lost {
			p.inStep.Store(true)
		}
		if !lost && !stale(out.err) || ctx.Err() != nil {
			return out
		}
		if out.next != nil {
			g.pass(out.next, nil)
		}
	}
	s, err := p.door.open(ctx)
	if err != nil {
		return outcome{verdict: failed(because(ctx, err), par.to).complete(s, p.host, par.to), err: err}
	}
	if kept != nil {
		s.before = kept.before // it takes that one's place
	}
	return p.try(ctx, g, s, par)
}

// try offers the parcel on s, which is closed unless it can serve others afterwards.
func (p *pool) try(ctx context.Context, g *gate, s *session, par *parcel) outcome {
	par, no := s.fit(par)
	if no != nil {
		return outcome{verdict: no.complete(s, p.host, par.to), session: s, pool: p}
	}
	release := s.bind(ctx)
	out := outcome{}
	rep, err := s.send(ctx, par, func() *parcel {
		next := (*parcel)(nil)
		out.next, next = p.following(g, s, par)
		return next
	})
	v := accepted(rep, par.to)
	if err != nil {
		v = failed(because(ctx, err), par.to)
	}
	s.worn = s.worn || par.perConn > 0 && s.sent >= par.perConn
	out.verdict, out.err = v.complete(s, p.host, par.to), err
	if _, broken := errors.AsType[*fault](err); !release() || broken || rep.code == 421 || out.next == nil && !s.quiet() {
		_ = s.conn.Close() // in an unknown state: a late reply would be taken for the next command's
	} else {
		out.session, out.pool = s, p
	}
	return out
}

// following is the letter whose envelope may go out with the end of another's message over s (RFC 2920 section 3.1),
// and its parcel as this server takes it.
func (p *pool) following(g *gate, s *session, par *parcel) (w *waiter, next *parcel) {
	if g == nil || p.inStep.Load() || !s.takes.pipelining || !p.keeps(s) || par.perConn > 0 && s.sent >= par.perConn {
		return nil, nil
	}
	w = g.follow(p, func(other *parcel) bool {
		fitted, no := s.fit(other)
		next = fitted
		return no == nil
	})
	if w == nil {
		return nil, nil
	}
	return w, next
}

// confused tells that a server didn't answer an envelope that came with the end of a message, or not as it would have
// to. The message of that envelope has not been sent.
func confused(err error) bool {
	f, broken := errors.AsType[*fault](err)
	if !broken || f.phase == phaseBody || f.phase == phaseDot {
		return false
	}
	return isTimeout(f.err) || errors.Is(f.err, errNoReply)
}

// because names the end of ctx as the cause of a fault that it brought about.
func because(ctx context.Context, err error) error {
	if f, broken := errors.AsType[*fault](err); broken && ctx.Err() != nil {
		return &fault{f.phase, ctx.Err()}
	}
	return err
}

// stale tells whether err may be owed to the connection having been kept too long, with nothing delivered.
func stale(err error) bool {
	if f, broken := errors.AsType[*fault](err); broken {
		return f.phase != phaseDot && !isTimeout(f.err)
	}
	no, refused := errors.AsType[*refusal](err)
	return refused && no.reply.code == 421 && no.phase != phaseDot
}

// take returns a kept connection, the one used last, or nil.
func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	s := p.idle[n-1]
	p.idle = p.idle[:n-1]
	s.idle.Stop()
	s.talk = s.talk[:0]
	return s
}

// put keeps a connection for the next letter, unless it has served enough.
func (p *pool) put(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !p.keeps(s) {
		p.leave(s)
		return
	}
	p.idle = append(p.idle, s)
	if s.idle == nil {
		s.idle = time.AfterFunc(maxIdle, func() { p.expire(s) })
	} else {
		s.idle.Reset(maxIdle)
	}
}

// keeps tells whether a connection can serve another letter.
func (p *pool) keeps(s *session) bool {
	return !s.worn && s.sent < cmp.Or(p.perConn, maxPerConn) && time.Since(s.born) <= maxAge
}

// expire lets go of s. If it was taken in the meantime nothing happens; at worst it goes a little early.
func (p *pool) expire(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, s); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.leave(s)
	}
}

// spare reports whether the pool holds no connection.
func (p *pool) spare() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) == 0
}

func (p *pool) leave(s *session) {
	p.leaves.Go(s.quit)
}

// drop takes leave over the connections that nobody uses.
func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		s.idle.Stop()
		p.leave(s)
	}
	p.idle = nil
}

// close takes leave of the server and waits until that is done.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
	p.leaves.Wait()
}
