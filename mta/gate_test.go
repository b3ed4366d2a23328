package mta

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/google/go-cmp/cmp"
)

// said is the outcome of a delivery that a server answered.
func said(code int, enhanced string) outcome {
	v := &Verdict{State: Delivered, Code: code, Enhanced: enhanced}
	switch code / 100 {
	case 4:
		v.State = Deferred
	case 5:
		v.State = Refused
	}
	return outcome{verdict: v}
}

// through asks for a place at the gate, which must be there at once.
func through(t *testing.T, g *gate) {
	t.Helper()
	if tk, err := g.enter(context.Background(), false); err != nil || !tk.back.IsZero() {
		t.Fatalf("not let through: %+v, %v", tk, err)
	}
}

func TestGateOpensCarefullyAndClosesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Limits{Connections: 5}, 2)
		var widths []int
		for range 16 {
			through(t, g)
			g.leave(said(250, "2.0.0"), time.Second)
			widths = append(widths, g.width)
		}
		if diff := cmp.Diff([]int{2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5}, widths); diff != "" {
			t.Error(diff)
		}
		through(t, g)
		g.leave(said(451, "4.7.1"), time.Second)
		if g.width != 1 || g.resting() {
			t.Errorf("after one 4.7.1: width %d, resting %v", g.width, g.resting())
		}
		through(t, g)
		g.leave(said(550, "5.1.1"), time.Second) // about the letter alone
		through(t, g)
		g.leave(said(421, "4.3.2"), time.Second)
		if tk, _ := g.enter(context.Background(), true); !tk.resting || tk.back.Before(time.Now().Add(20*time.Second)) {
			t.Errorf("after a 421 even an urgent letter got %+v", tk)
		}
		time.Sleep(time.Minute)
		through(t, g)
		if g.width != 1 {
			t.Errorf("after the rest the width is %d", g.width)
		}
		g.leave(said(250, "2.0.0"), time.Second)
	})
}

// Rests grow from one complaint to the next, up to a bound, and begin anew after a letter that was taken.
func TestGateRests(t *testing.T) {
	for name, out := range map[string]outcome{
		"421":     said(421, ""),
		"4.7.x":   said(450, "4.7.1"),
		"no call": {err: &fault{phaseDial, errTimedOut}, verdict: &Verdict{State: Deferred}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(Limits{Connections: 5}, 5)
				var last time.Duration
				for round := range 8 {
					for range manySlow {
						if g.resting() {
							break
						}
						through(t, g)
						g.leave(out, time.Second)
					}
					if !g.resting() {
						t.Fatalf("round %d: no rest", round)
					}
					want := min(firstRest<<round, maxRest)
					if last = time.Until(g.rest); last < want*4/5 || last > want*6/5 {
						t.Errorf("round %d: a rest of %v, want about %v", round, last, want)
					}
					time.Sleep(last)
				}
				through(t, g)
				g.leave(said(250, "2.0.0"), time.Second)
				if !g.calm() {
					t.Error("the gate holds a grudge")
				}
			})
		})
	}
}

// Who waits goes through in turn, the urgent ones first; a rest sends all of them away, and who gives up is forgotten.
func TestGateQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Limits{Connections: 1}, 1)
		through(t, g)
		var mu sync.Mutex
		var order []string
		wait := func(ctx context.Context, name string, urgent bool) {
			go func() {
				tk, err := g.enter(ctx, urgent)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, fmt.Sprint(name, " ", tk.resting, " ", err != nil))
			}()
			synctest.Wait()
		}
		brief, cancel := context.WithCancel(context.Background())
		wait(brief, "brief", false)
		wait(context.Background(), "first", false)
		wait(context.Background(), "urgent", true)
		if tk, err := g.enter(context.Background(), false); err != nil || tk.back.IsZero() || tk.resting {
			t.Errorf("one too many got %+v, %v", tk, err)
		}
		cancel()
		synctest.Wait()
		g.leave(said(250, ""), time.Second)
		synctest.Wait()
		g.leave(said(421, ""), time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]string{"brief false true", "urgent false false", "first true false"}, order); diff != "" {
			t.Error(diff)
		}
		if g.inside != 0 {
			t.Errorf("%d are inside", g.inside)
		}
	})
}

// Letters that are postponed come back one by one, at the pace of the destination, and not for ever later.
func TestGatePostpones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Limits{Connections: 2, PerMinute: 60}, 2)
		for range 6 { // a tenth of a minute's letters at once
			through(t, g)
			g.leave(said(250, ""), time.Second)
		}
		last := time.Now()
		for i := range 10 {
			tk, err := g.enter(context.Background(), false)
			if err != nil || tk.back.Sub(last) < time.Second {
				t.Fatalf("letter %d comes back %v after the one before it, %v", i, tk.back.Sub(last), err)
			}
			last = tk.back
		}
		for range 100_000 {
			tk, _ := g.enter(context.Background(), false)
			last = tk.back
		}
		if d := time.Until(last); d > latest+time.Minute {
			t.Errorf("a letter comes back in %v", d)
		}
		time.Sleep(time.Until(last))
		through(t, g)
	})
}

func TestLimitsByName(t *testing.T) {
	s := gates{usual: Limits{Connections: 1}, named: map[string]Limits{"mail.test": {Connections: 2}, "a.mail.test": {Connections: 3}}}
	for name, want := range map[string]int{"mail.test": 2, "mx.mail.test": 2, "a.mail.test": 3, "b.a.mail.test": 3, "amail.test": 1, "test": 1} {
		if got := s.limitsOf(name).Connections; got != want {
			t.Errorf("%s has %d connections, want %d", name, got, want)
		}
	}
}

func TestGatesAreForgotten(t *testing.T) {
	s := gates{usual: Limits{Connections: 1}, first: 1, byName: map[string]*gate{}}
	for i := range 3 * manyPools {
		g := s.use(fmt.Sprint(i))
		g.slow = i % 2 // every other one has something to remember
		s.done(g)
	}
	if len(s.byName) > manyPools {
		t.Errorf("%d gates are remembered", len(s.byName))
	}
}

// However many letters go to one domain at once, its server sees the connections that it is granted and no more, each
// used for as many letters as are allowed.
func TestDirectKeepsToLimits(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	rcv := &receiver{data: func() error {
		mu.Lock()
		defer mu.Unlock()
		now--
		return nil
	}, mail: func() error {
		mu.Lock()
		defer mu.Unlock()
		now++
		most = max(most, now)
		return nil
	}}
	startReceiver(t, rcv)
	_, port, _ := net.SplitHostPort(rcv.addr)
	zones := map[string]mockdns.Zone{"example.dk.": {MX: []net.MX{{Host: "mx.test.", Pref: 1}}}, "mx.test.": {A: []string{"127.0.0.1"}}}
	for name, named := range map[string]string{"of the domain": "dk", "of the server": "mx.test"} {
		t.Run(name, func(t *testing.T) {
			d := directWith(t, zones, port, WithLimits(map[string]Limits{named: {Connections: 3, PerConnection: 4}}))
			most = 0
			sessions, before := rcv.sessionCount(), len(rcv.messages())
			var wg sync.WaitGroup
			for range 40 {
				wg.Go(func() {
					for { // as the sender does, but at once
						v := deliver(t, d, testLetter())
						if v.State == Postponed {
							continue
						}
						checkVerdict(t, v, Delivered, 250, "2.0.0", "OK")
						return
					}
				})
			}
			wg.Wait()
			if n := rcv.sessionCount() - sessions; most > 3 || n < 10 || len(rcv.messages())-before != 40 {
				t.Errorf("%d at once over %d connections, %d messages", most, n, len(rcv.messages())-before)
			}
		})
	}
}

// A server that says 421 is left alone: the letters after it are not offered to it, and no attempt of theirs counts.
func TestDirectBacksOff(t *testing.T) {
	rcv := startReceiver(t, &receiver{mail: smtpErr(421, [3]int{4, 7, 0}, "too much")})
	_, port, _ := net.SplitHostPort(rcv.addr)
	d := directWith(t, map[string]mockdns.Zone{"example.dk.": {A: []string{"127.0.0.1"}}}, port)
	checkVerdict(t, deliver(t, d, testLetter()), Deferred, 421, "4.7.0", "too much")
	for range 5 {
		v := deliver(t, d, testLetter())
		checkVerdict(t, v, Postponed, 0, "4.4.5", "as much from us")
		if v.Retry.Before(time.Now().Add(firstRest / 2)) {
			t.Errorf("comes back in %v", time.Until(v.Retry))
		}
	}
	if n := rcv.sessionCount(); n != 1 {
		t.Errorf("the server saw %d connections", n)
	}
}

// A domain whose best server wants nothing now is served by the next one; the best isn't even called.
func TestDirectGoesAroundAServerAtRest(t *testing.T) {
	port := freePort(t, "127.0.0.1", "127.0.0.2")
	first := startReceiver(t, &receiver{addr: "127.0.0.1:" + port, mail: smtpErr(421, [3]int{4, 3, 2}, "later")})
	second := startReceiver(t, &receiver{addr: "127.0.0.2:" + port})
	d := directWith(t, threeServers, port)
	for range 5 {
		v := deliver(t, d, testLetter())
		checkVerdict(t, v, Delivered, 250, "2.0.0", "OK")
	}
	if a, b := first.sessionCount(), len(second.messages()); a != 1 || b != 5 {
		t.Errorf("the first saw %d connections, the second took %d messages", a, b)
	}
}

// A letter that waits for its turn at a busy server gives up when its time is over.
func TestDirectWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directWith(t, threeServers, "1")
		g := d.domains.use("example.dk")
		for range firstConns {
			through(t, g)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		checkVerdict(t, deliverBy(ctx, d, testLetter()), Deferred, 0, "4.4.1", "took too long")
	})
}

// Of several relays the first that answers takes the letters; one that is down isn't called for each of them.
func TestRelayHostsInOrder(t *testing.T) {
	var mu sync.Mutex
	called := 0
	down := scripted(t, func(*scriptConn) {
		mu.Lock()
		defer mu.Unlock()
		called++
	})
	rcv := startReceiver(t, &receiver{})
	r := relayURL(t, "smtp://"+down+","+rcv.addr)
	for range 10 {
		checkVerdict(t, deliver(t, r, testLetter()), Delivered, 250, "2.0.0", "OK")
	}
	mu.Lock()
	defer mu.Unlock()
	if called != manySlow || len(rcv.messages()) != 10 {
		t.Errorf("the first was called %d times, the second took %d", called, len(rcv.messages()))
	}
	if want := "relay " + down + ", " + rcv.addr; r.Name() != want {
		t.Errorf("name %q, want %q", r.Name(), want)
	}
}

// A letter that nobody was asked to take counts as no attempt anywhere: not for who watches either.
func TestPostponedIsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(1)...)
		asked := 0
		var seen []State
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			if asked++; asked == 1 {
				return *postponed(time.Now().Add(time.Minute), l.To).verdict
			}
			return took(ctx, l)
		}), WithObserver(func(_ Letter, v Verdict, _ time.Duration) { seen = append(seen, v.State) })))
		time.Sleep(2 * time.Minute)
		stop()
		if diff := cmp.Diff([]State{Delivered}, seen); diff != "" {
			t.Error(diff)
		}
	})
}

// What is postponed for all of its days is given up, and until then no later than at their end.
func TestPostponedUntilGivenUp(t *testing.T) {
	s := quietSender(newMemSpool(), routeFunc(took))
	l := testLetter()
	now := time.Now()
	for _, tt := range []struct {
		age  time.Duration
		want State
	}{{time.Hour, Postponed}, {giveUpAfter - time.Minute, Postponed}, {giveUpAfter, Refused}} {
		l.Created = now.Add(-tt.age)
		v := Verdict{State: Postponed, At: now, Retry: now.Add(time.Hour), Reply: "much"}
		s.schedule(&l, &v)
		if v.State != tt.want || v.Retry.After(l.Created.Add(giveUpAfter)) || (v.State == Refused) != v.Retry.IsZero() {
			t.Errorf("after %v: %+v", tt.age, v)
		}
	}
}
