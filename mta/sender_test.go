package mta

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memSpool is an outbox in memory with the semantics that Spool asks for.
type memSpool struct {
	mu        sync.Mutex
	rows      map[int64]*memRow
	fail      error // of the next calls
	claims    int
	hasten    bool // what is deferred is due again at once
	forgotten []int64
	changed   chan struct{} // closed and renewed at every mark
}

type memRow struct {
	letter   Letter
	due      time.Time
	owner    string
	leased   time.Time // until
	verdicts []Verdict
}

func newMemSpool(letters ...Letter) *memSpool {
	s := &memSpool{rows: map[int64]*memRow{}, changed: make(chan struct{})}
	for _, l := range letters {
		s.rows[l.ID] = &memRow{letter: l, due: l.Created}
	}
	return s
}

func (s *memSpool) add(l Letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[l.ID] = &memRow{letter: l, due: l.Created}
}

func (s *memSpool) Claim(_ context.Context, owner string, n, spare int, lease time.Duration) ([]Letter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims++
	if s.fail != nil {
		return nil, s.fail
	}
	var out []Letter
	now := time.Now()
	for _, urgent := range []bool{true, false} {
		room := n
		if urgent {
			room += spare
		}
		for id := int64(1); id <= int64(len(s.rows)) && len(out) < room; id++ {
			row := s.rows[id]
			if row == nil || row.letter.Urgent != urgent || row.due.IsZero() || row.due.After(now) || row.leased.After(now) {
				continue
			}
			row.owner, row.leased = owner, now.Add(lease)
			row.letter.Attempts++
			row.letter.Lease = int64(s.claims)
			out = append(out, row.letter)
		}
	}
	return out, nil
}

func (s *memSpool) Renew(_ context.Context, owner string, lease time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	for _, row := range s.rows {
		if row.owner == owner {
			row.leased = time.Now().Add(lease)
		}
	}
	return nil
}

func (s *memSpool) Mark(_ context.Context, l Letter, v Verdict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	row := s.rows[l.ID]
	if row == nil || row.letter.Lease != l.Lease || time.Now().After(row.leased) {
		return ErrLost
	}
	row.verdicts = append(row.verdicts, v)
	row.owner, row.leased, row.due = "", time.Time{}, v.Retry
	if s.hasten && !v.Retry.IsZero() {
		row.due = time.Now()
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

func (s *memSpool) Forget(l Letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten = append(s.forgotten, l.ID)
}

func (s *memSpool) verdicts(id int64) []Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[id] == nil {
		return nil
	}
	return append([]Verdict(nil), s.rows[id].verdicts...)
}

func (s *memSpool) looks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claims
}

func (s *memSpool) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// routeFunc is a route of one function.
type routeFunc func(ctx context.Context, l Letter) Verdict

func (f routeFunc) Name() string                                                { return "test" }
func (f routeFunc) Deliver(ctx context.Context, l Letter, mark func(v Verdict)) { mark(f(ctx, l)) }
func (f routeFunc) Close() error                                                { return nil }

func took(_ context.Context, _ Letter) Verdict { return Verdict{State: Delivered, At: time.Now()} }

func numbered(n int) []Letter {
	letters := make([]Letter, n)
	for i := range letters {
		letters[i] = testLetter()
		letters[i].ID, letters[i].Attempts = int64(i+1), 0
	}
	return letters
}

func quietSender(s Spool, r Route, opts ...Option) *Sender {
	return NewSender(s, r, append(opts, WithLogger(slog.New(slog.DiscardHandler)))...)
}

// start runs the sender in the bubble of the test; stop ends it and waits.
func start(t *testing.T, s *Sender) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func TestSenderDrainsWithinItsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(50)...)
		var mu sync.Mutex
		now, most, sent := 0, 0, map[int64]int{}
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			mu.Lock()
			now++
			most = max(most, now)
			sent[l.ID]++
			mu.Unlock()
			time.Sleep(time.Second) // fake time: all slots fill up
			mu.Lock()
			now--
			mu.Unlock()
			return took(ctx, l)
		}), WithConcurrency(4)))
		time.Sleep(13 * time.Second)
		stop()
		if most != 4 || len(sent) != 50 {
			t.Errorf("%d at once, %d sent; want 4 and 50", most, len(sent))
		}
		for id, n := range sent {
			if v := spool.verdicts(id); n != 1 || len(v) != 1 || v[0].State != Delivered {
				t.Errorf("letter %d: sent %d times, verdicts %v", id, n, v)
			}
		}
	})
}

// One letter that hangs keeps its own slot only.
func TestSenderGoesAroundASlowLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(20)...)
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			if l.ID == 1 {
				<-ctx.Done()
				return Verdict{State: Deferred, At: time.Now(), Reply: "slow"}
			}
			return took(ctx, l)
		}), WithConcurrency(2)))
		synctest.Wait()
		for id := int64(2); id <= 20; id++ {
			if len(spool.verdicts(id)) != 1 {
				t.Errorf("letter %d waits behind the slow one", id)
			}
		}
		time.Sleep(attempt)
		synctest.Wait()
		if v := spool.verdicts(1); len(v) != 1 || v[0].State != Deferred {
			t.Errorf("the slow letter was not broken off: %v", v)
		}
		stop()
	})
}

func TestWakeAndPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool()
		s := quietSender(spool, routeFunc(took), WithPoll(time.Minute))
		stop := start(t, s)
		synctest.Wait()
		for id, look := range []func(){s.Wake, func() { time.Sleep(time.Minute) }} {
			l := numbered(id + 1)[id]
			spool.add(l)
			for range 3 {
				look() // waking often is as good as once
			}
			synctest.Wait()
			if len(spool.verdicts(l.ID)) != 1 {
				t.Errorf("letter %d was not sent", l.ID)
			}
		}
		before := spool.looks()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := spool.looks() - before; n > 11 {
			t.Errorf("an idle queue was looked at %d times in 10 polls", n)
		}
		stop()
	})
}

func TestDeferredUntilGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(1)...)
		stop := start(t, quietSender(spool, routeFunc(func(context.Context, Letter) Verdict {
			return Verdict{State: Deferred, Code: 451, Enhanced: "4.7.1", Reply: strings.Repeat("later ", 90), At: time.Now()}
		})))
		time.Sleep(5 * 24 * time.Hour)
		stop()
		got := spool.verdicts(1)
		if len(got) < 15 || len(got) > 40 {
			t.Fatalf("%d attempts in four days", len(got))
		}
		for i, v := range got[:len(got)-1] {
			if v.State != Deferred || !v.Retry.After(v.At) {
				t.Fatalf("verdict %d: %v", i, v)
			}
		}
		last := got[len(got)-1]
		if last.State != Refused || last.Code != 451 || last.Enhanced != "5.4.7" || !last.Retry.IsZero() ||
			!strings.HasPrefix(last.Reply, "given up after 4 days; the last answer: later") || len(last.Reply) > maxReply {
			t.Errorf("the last verdict is %+v", last)
		}
	})
}

// A sender that dies with letters in flight leaves them to the next one, after the lease and not before.
func TestCrashRepeatsAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(3)...)
		dead, err := spool.Claim(context.Background(), "crashed", 2, 0, lease)
		if err != nil || len(dead) != 2 {
			t.Fatal(dead, err)
		}
		var mu sync.Mutex
		attempts := map[int64]int{}
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			mu.Lock()
			defer mu.Unlock()
			attempts[l.ID] = l.Attempts
			return took(ctx, l)
		})))
		time.Sleep(lease - time.Second)
		mu.Lock()
		if diff := cmp.Diff(map[int64]int{3: 1}, attempts); diff != "" {
			t.Errorf("within the lease: %s", diff)
		}
		mu.Unlock()
		time.Sleep(time.Second + defaultPoll)
		stop()
		if diff := cmp.Diff(map[int64]int{1: 2, 2: 2, 3: 1}, attempts); diff != "" {
			t.Errorf("after the lease: %s", diff)
		}
		if err := spool.Mark(context.Background(), dead[0], Verdict{}); !errors.Is(err, ErrLost) {
			t.Errorf("a mark by the dead sender: %v", err)
		}
	})
}

func TestTwoSendersShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(100)...)
		var mu sync.Mutex
		sent := map[int64]int{}
		route := routeFunc(func(ctx context.Context, l Letter) Verdict {
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			sent[l.ID]++
			mu.Unlock()
			return took(ctx, l)
		})
		stopA, stopB := start(t, quietSender(spool, route)), start(t, quietSender(spool, route))
		time.Sleep(time.Minute)
		stopA()
		stopB()
		if len(sent) != 100 {
			t.Errorf("%d letters were sent", len(sent))
		}
		for id, n := range sent {
			if n != 1 {
				t.Errorf("letter %d was sent %d times", id, n)
			}
		}
	})
}

// A verdict that can't be written is given up after a while, and the letter let go.
func TestForgetsWhatIsNotMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(1)...)
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			spool.setFail(errors.New("away"))
			return took(ctx, l)
		})))
		time.Sleep(2 * marking)
		stop()
		if !slices.Equal(spool.forgotten, []int64{1}) {
			t.Errorf("forgotten: %v", spool.forgotten)
		}
	})
}

func TestTroubleWithTheSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(1)...)
		spool.setFail(errors.New("busy"))
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			spool.setFail(errors.New("busy again")) // the mark meets it too
			return took(ctx, l)
		})))
		time.Sleep(time.Hour)
		if n := spool.looks(); n > 150 {
			t.Errorf("a failing spool was asked %d times in an hour", n)
		}
		spool.setFail(nil)
		time.Sleep(maxPause)
		synctest.Wait()
		spool.setFail(nil)
		time.Sleep(maxPause)
		stop()
		if v := spool.verdicts(1); len(v) != 1 || v[0].State != Delivered {
			t.Errorf("verdicts %v", v)
		}
	})
}

func TestGracefulStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(3)...)
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			switch l.ID {
			case 1:
				time.Sleep(grace / 2) // done in time
				return took(ctx, l)
			case 2:
				<-ctx.Done() // must be broken off
				return Verdict{State: Deferred, At: time.Now()}
			}
			panic("a third slot")
		}), WithConcurrency(2)))
		synctest.Wait()
		asked := time.Now()
		stop()
		if d := time.Since(asked); d != grace {
			t.Errorf("stopping took %v", d)
		}
		if v := spool.verdicts(1); len(v) != 1 || v[0].State != Delivered {
			t.Errorf("the letter in flight: %v", v)
		}
		if v := spool.verdicts(2); len(v) != 1 || v[0].State != Deferred || v[0].Retry.IsZero() {
			t.Errorf("the letter broken off: %v", v)
		}
		if v := spool.verdicts(3); len(v) != 0 {
			t.Errorf("a letter was begun after the stop: %v", v)
		}
	})
}

// However many letters wait and hang, one that somebody waits for has its slot at once.
func TestUrgentLettersHaveSlotsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(50)...)
		s := quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			if !l.Urgent {
				<-ctx.Done()
			}
			return took(ctx, l)
		}), WithConcurrency(8))
		stop := start(t, s)
		synctest.Wait()
		l := numbered(51)[50]
		l.Urgent = true
		began := time.Now()
		spool.add(l)
		s.Wake()
		synctest.Wait()
		if len(spool.verdicts(l.ID)) != 1 || time.Since(began) > 0 {
			t.Errorf("the urgent letter waits: %v", time.Since(began))
		}
		stop()
	})
}

// A letter that takes its time stays with its sender; one whose lease can't be renewed is broken off before it ends.
func TestLeasesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(2)...)
		var broken time.Time
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			if l.ID == 1 {
				time.Sleep(5 * lease)
				return took(ctx, l)
			}
			time.Sleep(6 * lease)
			spool.setFail(errors.New("away"))
			<-ctx.Done()
			broken = time.Now()
			spool.setFail(nil)
			return Verdict{State: Deferred, At: time.Now()}
		})))
		began := time.Now()
		time.Sleep(7*lease - time.Second)
		stop()
		if v := spool.verdicts(1); len(v) != 1 || v[0].State != Delivered {
			t.Errorf("the slow letter: %v", v)
		}
		if d := broken.Sub(began); broken.IsZero() || d > 7*lease-margin {
			t.Errorf("what could not be renewed was broken off after %v", d)
		}
	})
}

// A letter whose person was erased while it was in flight is dropped without a fuss.
func TestLetterGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := newMemSpool(numbered(1)...)
		stop := start(t, quietSender(spool, routeFunc(func(ctx context.Context, l Letter) Verdict {
			spool.mu.Lock()
			delete(spool.rows, l.ID)
			spool.mu.Unlock()
			return took(ctx, l)
		})))
		synctest.Wait()
		stop()
	})
}

// waitFor returns when the letter has a verdict.
func (s *memSpool) waitFor(t *testing.T, id int64) {
	t.Helper()
	for {
		s.mu.Lock()
		marked, changed := len(s.rows[id].verdicts) > 0, s.changed
		s.mu.Unlock()
		if marked {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("no verdict")
		}
	}
}
