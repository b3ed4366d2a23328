package mta

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
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

	mu     sync.Mutex
	idle   []*session
	closed bool
	leaves sync.WaitGroup // farewells under way
}

// carry makes one attempt with a letter for this server.
func (p *pool) carry(ctx context.Context, l Letter, mark func(Verdict)) {
	par, bad := pack(l)
	if bad != nil {
		mark(bad.complete(nil, p.host, l.To))
		return
	}
	out := p.deliver(ctx, par)
	mark(out.verdict)
	out.release()
}

// outcome is what came of offering a parcel to one server.
type outcome struct {
	verdict Verdict
	err     error // what the verdict was made of; nil if the server took the message or was not asked
	session *session
	pool    *pool
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

// release lets the connection serve other letters.
func (o outcome) release() {
	if o.session != nil {
		o.pool.put(o.session)
	}
}

// deliver makes one attempt. A kept connection that turns out to be dead, or that the server ends with 421, costs
// no attempt: as long as the message can't have arrived it is tried once more over a new one.
func (p *pool) deliver(ctx context.Context, par parcel) outcome {
	kept := p.take()
	if kept != nil {
		out := p.try(ctx, kept, par)
		if !stale(out.err) || ctx.Err() != nil {
			return out
		}
	}
	s, err := p.door.open(ctx)
	if err != nil {
		return outcome{verdict: failed(because(ctx, err), par.to).complete(s, p.host, par.to), err: err}
	}
	if kept != nil {
		s.before = kept.before // it takes that one's place
	}
	return p.try(ctx, s, par)
}

// try offers the parcel on s, which is closed unless it can serve others afterwards.
func (p *pool) try(ctx context.Context, s *session, par parcel) outcome {
	par, no := s.fit(par)
	if no != nil {
		return outcome{verdict: no.complete(s, p.host, par.to), session: s, pool: p}
	}
	release := s.bind(ctx)
	rep, err := s.send(ctx, par)
	v := accepted(rep, par.to)
	if err != nil {
		v = failed(because(ctx, err), par.to)
	}
	s.worn = s.worn || par.perConn > 0 && s.sent >= par.perConn
	out := outcome{verdict: v.complete(s, p.host, par.to), err: err}
	var f *fault
	if !release() || errors.As(err, &f) || rep.code == 421 || !s.quiet() {
		_ = s.conn.Close() // in an unknown state: a late reply would be taken for the next command's
	} else {
		out.session, out.pool = s, p
	}
	return out
}

// because names the end of ctx as the cause of a fault that it brought about.
func because(ctx context.Context, err error) error {
	var f *fault
	if ctx.Err() != nil && errors.As(err, &f) {
		return &fault{f.phase, ctx.Err()}
	}
	return err
}

// stale tells whether err may be owed to the connection having been kept too long, with nothing delivered.
func stale(err error) bool {
	var f *fault
	if errors.As(err, &f) {
		return f.phase != phaseDot && !isTimeout(f.err)
	}
	var no *refusal
	return errors.As(err, &no) && no.reply.code == 421 && no.phase != phaseDot
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
	s.talk = nil
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
