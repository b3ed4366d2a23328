package mta

import (
	"context"
	"errors"
	"sync"
	"time"
)

// server is one that takes letters, and the gate before it.
type server struct {
	pool
	gate *gate
}

// descend offers a parcel to servers in order until one takes it or refuses it for good, and marks what came of it.
// One that can't be reached or says 4xx leaves the parcel to the next, unless it may have taken it already; so does one
// that wants to be left alone. Where we ourselves hold back, the letter comes back later: the next server isn't there
// for that.
func descend(ctx context.Context, servers []*server, par *parcel, mark func(Verdict)) outcome {
	last := outcome{}
	asked, lost := 0, 0
	var back time.Time
	for _, s := range servers {
		t, err := s.gate.enterWith(ctx, &s.pool, par)
		if err != nil {
			last = brokenOff(err, s.host, par.to)
			break
		}
		if !t.back.IsZero() {
			if back.IsZero() || t.back.Before(back) {
				back = t.back
			}
			if t.resting {
				continue
			}
			break
		}
		began := time.Now()
		out := s.deliver(ctx, s.gate, t.session, par)
		if nowhere(out.err) {
			lost++
		}
		if asked++; asked == 1 || out.verdict.Code != 0 || last.verdict.Code == 0 {
			last = out // words of a server say more than the silence of another
		}
		took := time.Since(began)
		if settled(ctx, out) {
			s.settle(out, took, mark)
			return out
		}
		s.done(out, took)
	}
	switch {
	case last.verdict == nil:
		last = postponed(back, par.to)
	case lost == len(servers):
		last.verdict.State, last.verdict.Enhanced = Refused, "5.4.4"
	}
	mark(*last.verdict)
	return last
}

// settled tells whether no other server may be offered what was offered to one.
func settled(ctx context.Context, out outcome) bool {
	f, broken := errors.AsType[*fault](out.err)
	return out.verdict.State != Deferred || broken && f.phase == phaseDot || ctx.Err() != nil
}

// settle marks what came of a letter and gives back what it used. The envelope of the next letter may go out while this
// one is marked; one whose envelope has gone out already could only wait for that.
func (s *server) settle(out outcome, took time.Duration, mark func(Verdict)) {
	if out.next == nil {
		if marked := out.unmarked(); marked != nil {
			s.done(out, took)
			mark(*out.verdict)
			close(marked)
			return
		}
	}
	mark(*out.verdict)
	s.done(out, took)
}

// done gives back the connection and the place at the gate, or passes them on to the letter that follows.
func (s *server) done(out outcome, took time.Duration) {
	out.release()
	if resting := s.gate.handOn(out, took); resting {
		s.drop()
	}
}

// postponed is what came of a letter that nobody was asked to take.
func postponed(back time.Time, to string) outcome {
	v := Verdict{State: Postponed, Enhanced: "4.4.5", Reply: "the destination has as much from us as it takes now", Retry: back}
	return outcome{verdict: v.complete(nil, "", to)}
}

// brokenOff is what came of a letter whose time ended before its turn came.
func brokenOff(err error, host, to string) outcome {
	err = &fault{phaseDial, err}
	return outcome{verdict: failed(err, to).complete(nil, host, to), err: err}
}

// closeAll takes leave of all servers at once, within about a second.
func closeAll[S interface{ close() }](servers []S) {
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(s.close)
	}
	wg.Wait()
}
