package mta

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// oneByOne makes a relay that gets one connection at a time.
func oneByOne(t *testing.T, addr string) *Relay {
	t.Helper()
	r := relayTo(t, addr)
	g := newGate(Limits{Connections: 1, PerConnection: 100}, 1)
	g.ours = true
	r.servers[0].gate = g
	return r
}

// inARow sends letters of which all but the first wait at the gate when that one's message goes out, and returns their
// verdicts in their order. enter lets the script go on once they all wait.
func inARow(t *testing.T, r *Relay, letters []Letter, queued func()) []Verdict {
	t.Helper()
	g := r.servers[0].gate
	out := make([]Verdict, len(letters))
	var wg sync.WaitGroup
	var over atomic.Int32 // which a server that keeps us waiting too long makes of one before its time
	for i, l := range letters {
		wg.Go(func() {
			out[i] = deliver(t, r, l)
			over.Add(1)
		})
		for !waitingOrIn(g, i+1-int(over.Load())) {
			time.Sleep(time.Millisecond)
		}
	}
	queued()
	wg.Wait()
	return out
}

func waitingOrIn(g *gate, n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside+len(g.queue[usualQueue])+len(g.queue[urgentQueue]) >= n
}

func testLetters(n int) (out []Letter) {
	for i := range n {
		l := testLetter()
		l.ID = int64(i + 1)
		out = append(out, l)
	}
	return out
}

// chunk is what comes in one piece, up to a line that begins with one of prefixes: what follows without a pause is
// there as well.
func (c *scriptConn) chunk(prefixes ...string) (whole string) {
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String()
		}
		for _, p := range prefixes {
			if strings.HasPrefix(strings.ToUpper(line), p) {
				return b.String()
			}
		}
	}
}

// begin takes the envelope of the first letter once another waits behind it.
func (c *scriptConn) begin(queued <-chan struct{}) {
	c.until("MAIL")
	<-queued
	c.say("250 2.1.0 ok", "250 2.1.5 ok")
	c.until("DATA")
	c.say("354 go ahead")
}

// The envelope of a letter that waits goes out with the end of the one before it, and its message after that one's mark.
func TestEnvelopeWithTheDot(t *testing.T) {
	queued := make(chan struct{})
	var together atomic.Int32
	r := oneByOne(t, scripted(t, func(c *scriptConn) {
		c.welcome("PIPELINING", "SIZE")
		c.begin(queued)
		for range 2 {
			if c.chunk(".\r"); strings.HasSuffix(c.chunk("DATA"), "DATA\r\n") {
				together.Add(1) // before anything was answered
			}
			c.say("250 2.0.0 taken", "250 2.1.0 ok", "250 2.1.5 ok", "354 go ahead")
		}
		c.until(".\r")
		c.say("250 2.0.0 taken")
		c.hang()
	}))
	for i, v := range inARow(t, r, testLetters(3), func() { close(queued) }) {
		checkVerdict(t, v, Delivered, 250, "2.0.0", "taken")
		talk := strings.Join(v.Transcript, "\n")
		if n := strings.Count(talk, "> MAIL FROM"); n != 1 || strings.Count(talk, "< 354") != 1 || (i > 0) == strings.Contains(talk, "EHLO") {
			t.Errorf("letter %d has the conversation\n%s", i+1, talk)
		}
	}
	if together.Load() != 2 {
		t.Errorf("%d envelopes came with the message before, want 2", together.Load())
	}
}

// What a server may make of an envelope that comes with the end of a message: each letter has the verdict of its own
// answers, none is lost and none is sent twice.
func TestMisbehavingAtTheDot(t *testing.T) {
	ok := func(v Verdict) bool { return v.State == Delivered && v.Code == 250 }
	envelope := []string{"250 2.1.0 ok", "250 2.1.5 ok", "354 go ahead"}
	for _, tt := range []struct {
		name  string
		atDot func(c *scriptConn) // answers the first dot and the envelope behind it
		first func(Verdict) bool
		other func(Verdict) bool
	}{
		{"takes both", func(c *scriptConn) { c.say(append([]string{"250 2.0.0 taken"}, envelope...)...); c.rest() }, ok, ok},
		{
			"refuses the message", func(c *scriptConn) { c.say(append([]string{"554 5.6.0 spam"}, envelope...)...); c.rest() },
			func(v Verdict) bool { return v.State == Refused && v.Code == 554 }, ok,
		},
		{
			"defers the message", func(c *scriptConn) { c.say(append([]string{"451 4.3.0 full"}, envelope...)...); c.rest() },
			func(v Verdict) bool { return v.State == Deferred && v.Code == 451 }, ok,
		},
		{"refuses the next recipient", func(c *scriptConn) {
			c.say("250 2.0.0 taken", "250 2.1.0 ok", "550 5.1.1 nobody", "503 5.5.1 no recipient")
			c.rest()
		}, ok, func(v Verdict) bool { return v.State == Refused && v.Enhanced == "5.1.1" }},
		{
			"says 421 to the dot", func(c *scriptConn) { c.say("421 4.3.2 stopping") },
			func(v Verdict) bool { return v.State == Deferred && v.Code == 421 },
			func(v Verdict) bool { return v.State == Postponed },
		}, // the server is left alone now
		{"says 421 to the envelope", func(c *scriptConn) { c.say("250 2.0.0 taken", "421 4.3.2 stopping") }, ok, ok},
		{"hangs up at the dot", func(*scriptConn) {}, func(v Verdict) bool { return v.State == Deferred && strings.Contains(v.Reply, "may have arrived") }, ok},
		{"hangs up after the dot", func(c *scriptConn) { c.say("250 2.0.0 taken") }, ok, ok},
		{"hangs up in the envelope", func(c *scriptConn) { c.say("250 2.0.0 taken", "250 2.1.0 ok") }, ok, ok},
		{"forgets what came with the dot", func(c *scriptConn) { c.say("250 2.0.0 taken"); c.hang() }, ok, ok},
		{"answers the dot twice", func(c *scriptConn) {
			c.say(append([]string{"250 2.0.0 taken", "250 2.0.0 and taken"}, envelope...)...)
			c.hang()
		}, ok, ok},
		{"refuses what nobody asked", func(c *scriptConn) {
			c.say(append([]string{"250 2.0.0 taken", "550 5.0.0 by the way"}, envelope...)...)
			c.hang()
		}, ok, ok},
	} {
		t.Run(tt.name, func(t *testing.T) {
			patiently(t, func(wait time.Duration) string {
				queued := make(chan struct{})
				var conns, messages atomic.Int32
				r := oneByOne(t, scripted(t, func(c *scriptConn) {
					c.messages = &messages
					c.welcome("PIPELINING")
					if conns.Add(1) > 1 {
						c.serve()
						return
					}
					c.begin(queued)
					c.until(".\r")
					c.until("DATA")
					tt.atDot(c)
				}))
				r.servers[0].door.patience.command = wait
				got := inARow(t, r, testLetters(2), func() { close(queued) })
				switch n := messages.Load(); {
				case !tt.first(got[0]):
					return fmt.Sprintf("the first letter: %s %d %q", got[0].State, got[0].Code, got[0].Reply)
				case !tt.other(got[1]):
					return fmt.Sprintf("the letter behind it: %s %d %q", got[1].State, got[1].Code, got[1].Reply)
				case n > 1 || n == 1 != ok(got[1]):
					return fmt.Sprintf("the second message came %d times", n)
				}
				if g := r.servers[0].gate; g.inside != 0 {
					return fmt.Sprintf("%d are inside the gate still", g.inside)
				}
				return ""
			})
		})
	}
}

// rest goes on after the answers to an envelope.
func (c *scriptConn) rest() {
	if c.until(".\r", "QUIT") != "." {
		return
	}
	c.messages.Add(1)
	c.say("250 2.0.0 taken")
	c.serve()
}

// serve takes messages until the other side takes leave.
func (c *scriptConn) serve() {
	for c.until("MAIL", "QUIT") != "" {
		c.say("250 2.1.0 ok")
		c.until("RCPT")
		c.say("250 2.1.5 ok")
		c.until("DATA")
		c.say("354 go ahead")
		if c.until(".\r") == "" {
			return
		}
		c.messages.Add(1)
		c.say("250 2.0.0 taken")
	}
}

// A server that loses an envelope behind a dot gets the next ones in step.
func TestInStepAfterConfusion(t *testing.T) {
	patiently(t, func(wait time.Duration) string {
		queued := make(chan struct{})
		var conns, behind atomic.Int32
		r := oneByOne(t, scripted(t, func(c *scriptConn) {
			c.welcome("PIPELINING")
			if conns.Add(1) == 1 {
				c.begin(queued)
				c.until(".\r")
				c.say("250 2.0.0 taken")
				c.hang()
				return
			}
			for range 3 {
				c.accept()
				c.until(".\r")
				if c.r.Buffered() > 0 {
					behind.Add(1)
				}
				c.say("250 2.0.0 taken")
			}
			c.hang()
		}))
		r.servers[0].door.patience.command = wait
		for _, v := range inARow(t, r, testLetters(4), func() { close(queued) }) {
			if wrong := unlike(v, Delivered, 250, "2.0.0", "taken"); wrong != "" {
				return wrong
			}
		}
		if behind.Load() != 0 || conns.Load() != 2 {
			return fmt.Sprintf("%d envelopes behind a dot, %d connections", behind.Load(), conns.Load())
		}
		return ""
	})
}

// A letter whose time ends while it follows another takes the connection with it, and leaves its place to the next.
func TestFollowerGivesUp(t *testing.T) {
	queued, followed := make(chan struct{}), make(chan struct{})
	var conns atomic.Int32
	r := oneByOne(t, scripted(t, func(c *scriptConn) {
		c.messages = &atomic.Int32{}
		c.welcome("PIPELINING")
		if conns.Add(1) > 1 {
			c.serve()
			return
		}
		c.begin(queued)
		c.until(".\r")
		c.until("DATA")
		<-followed
		c.say("250 2.0.0 taken")
		c.rest()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	all := testLetters(3)
	out := make([]Verdict, 3)
	var wg sync.WaitGroup
	g := r.servers[0].gate
	second := make(chan struct{})
	for i, l := range all {
		wg.Go(func() {
			if i == 1 {
				out[1] = deliverBy(ctx, r, l)
				close(second)
				return
			}
			out[i] = deliver(t, r, l)
		})
		for !waitingOrIn(g, i+1) {
			time.Sleep(time.Millisecond)
		}
	}
	close(queued)
	for { // the second letter's envelope is on its way once it waits no more
		g.mu.Lock()
		n := len(g.queue[usualQueue])
		g.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-second
	close(followed)
	wg.Wait()
	if out[0].State != Delivered || out[1].State != Postponed || out[2].State != Delivered {
		t.Errorf("got %s, %s, %s", out[0].State, out[1].State, out[2].State)
	}
	if g.inside != 0 {
		t.Errorf("%d are inside the gate still", g.inside)
	}
}
