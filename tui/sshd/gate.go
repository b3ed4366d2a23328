package sshd

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/charmbracelet/ssh"
	"golang.org/x/time/rate"
)

// gate counts connections and sessions, and turns away what is too many. What
// a stranger costs is one accepted connection for a moment.
type gate struct {
	limits Limits

	mu        sync.Mutex
	conns     map[*conn]bool
	strangers int
	from      map[string]int // strangers by address
	sessions  int
	open      sync.WaitGroup // sessions
	closed    bool           // no session begins any more
	staff     map[int64]int  // sessions by number of staff

	turned map[string]int // sign-ins refused and not told yet, by why
	news   chan struct{}
}

func newGate(l Limits) *gate {
	return &gate{limits: l, conns: map[*conn]bool{}, from: map[string]int{}, staff: map[int64]int{}, turned: map[string]int{}, news: make(chan struct{}, 1)}
}

// conn is a connection that the gate knows. Deadlines are the gate's: the
// server's own would lift the one for signing in.
type conn struct {
	net.Conn
	gate  *gate
	host  string
	timer *time.Timer

	in   bool
	why  string // why a sign-in was refused; "" when none was
	once sync.Once
}

type connKey struct{}

func connOf(ctx ssh.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// SetDeadline keeps the gate's own deadline.
func (c *conn) SetDeadline(time.Time) error { return nil }

// arrive takes a connection, or closes it unanswered when there are too many.
func (s *Server) arrive(ctx ssh.Context, nc net.Conn) net.Conn {
	g := s.gate
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.strangers >= g.limits.Strangers || g.from[host] >= g.limits.PerAddress || len(g.conns) >= g.limits.Strangers+2*g.limits.Sessions {
		return nil
	}
	c := &conn{Conn: nc, gate: g, host: host}
	g.conns[c] = true
	g.strangers++
	g.from[host]++
	c.timer = time.AfterFunc(g.limits.SignIn, func() { _ = c.Close() })
	ctx.SetValue(connKey{}, c)
	return c
}

// signedIn makes a stranger one of staff.
func (c *conn) signedIn() {
	c.timer.Stop()
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if !c.in {
		c.in = true
		c.gate.strangerGone(c.host)
	}
}

// refused notes that a key was not let in: of a disabled one of staff, or of nobody.
func (c *conn) refused(name string) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.why = "no key of staff"
	if name != "" {
		c.why = name + " is disabled"
	}
}

func (g *gate) strangerGone(host string) {
	g.strangers--
	if g.from[host]--; g.from[host] == 0 {
		delete(g.from, host)
	}
}

// Close ends a connection, and tells of a sign-in that was refused.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.timer.Stop()
		g := c.gate
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.conns, c)
		if c.in {
			return
		}
		g.strangerGone(c.host)
		if c.why != "" {
			g.turned[c.why]++
			select {
			case g.news <- struct{}{}:
			default:
			}
		}
	})
	return err
}

func (g *gate) closeAll() {
	g.mu.Lock()
	all := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// enter takes one of the places for sessions; leave gives it back.
func (g *gate) enter(staff int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.sessions >= g.limits.Sessions || g.staff[staff] >= g.limits.PerStaff {
		return false
	}
	g.sessions++
	g.staff[staff]++
	g.open.Add(1)
	return true
}

// shut lets no session begin any more, and waits for those that are open.
func (g *gate) shut() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.open.Wait()
}

func (g *gate) leave(staff int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions--
	if g.staff[staff]--; g.staff[staff] == 0 {
		delete(g.staff, staff)
	}
	g.open.Done()
}

// tell writes refused sign-ins into the audit: at once while they are few, and
// a flood of them summed up.
func (g *gate) tell(ctx context.Context, o Options) {
	pace := rate.NewLimiter(rate.Every(10*time.Second), 10)
	for {
		select {
		case <-ctx.Done():
		case <-g.news:
		}
		if ctx.Err() == nil && pace.Wait(ctx) != nil {
			continue // the end comes sooner
		}
		g.mu.Lock()
		turned := g.turned
		g.turned = map[string]int{}
		g.mu.Unlock()
		for why, n := range turned {
			if err := o.Desk.TurnedAway(context.WithoutCancel(ctx), n, why); err != nil {
				o.Log.Error("a refused sign-in can't be written into the audit", "error", err)
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}
