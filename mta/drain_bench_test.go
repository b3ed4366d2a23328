package mta

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDrain sends a full queue over many connections to smtp-sink of Postfix, and tells the processor time that a
// letter costs this process alone. Verdicts are written together and take a while, as by a store.
func BenchmarkDrain(b *testing.B) {
	addr := benchSink(b)
	route, err := NewRelay("smtp://" + addr + "?connections=96")
	if err != nil {
		b.Fatal(err)
	}
	defer route.Close()
	spool := &drainSpool{letter: drainLetter(), left: b.N, done: make(chan struct{})}
	sender := NewSender(spool, route, WithLogger(slog.New(slog.DiscardHandler)))
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	wg.Go(func() {
		if err := sender.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	<-spool.done
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	stop()
	wg.Wait()
}

// drainLetter is as long as a confirmation mail.
func drainLetter() Letter {
	head := "From: =?utf-8?q?Lindholms_Tr=C3=A4dg=C3=A5rd_AB?= <news@sender.test>\r\nTo: <marie@example.dk>\r\nSubject: Hi\r\n\r\n"
	return Letter{
		From: "bounce-AAAAAAAAAAAAAAAAAAAAAAAA@mail.sender.test", To: "marie.jensen@example.dk", Created: time.Now(),
		Data: append([]byte(head), bytes.Repeat([]byte("Some sixty bytes of an honest line of text, as letters hold.\r\n"), 56)...),
	}
}

// drainSpool is an outbox of many like letters, which takes verdicts together.
type drainSpool struct {
	letter Letter
	done   chan struct{} // closed when all have their verdict

	mu      sync.Mutex
	left    int // to be claimed
	marked  int
	claimed int
	under   int // batches of verdicts on their way
	waiting []chan struct{}
}

func (s *drainSpool) Claim(_ context.Context, _ string, n, _ int, _ time.Duration) ([]Letter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = min(n, s.left)
	s.left -= n
	out := make([]Letter, n)
	for i := range out {
		s.claimed++
		out[i] = s.letter
		out[i].ID, out[i].Attempts = int64(s.claimed), 1
	}
	return out, nil
}

func (s *drainSpool) Renew(context.Context, string, time.Duration) error { return nil }

func (s *drainSpool) Forget(Letter) {}

func (s *drainSpool) Mark(_ context.Context, _ Letter, v Verdict) error {
	if v.State != Delivered {
		panic(v)
	}
	marked := make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, marked)
	if s.under < 2 {
		s.under++
		go s.write()
	}
	s.mu.Unlock()
	<-marked
	return nil
}

func (s *drainSpool) write() {
	for {
		s.mu.Lock()
		batch := s.waiting
		s.waiting = nil
		if len(batch) == 0 {
			s.under--
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		for _, marked := range batch {
			close(marked)
		}
		s.mu.Lock()
		if s.marked += len(batch); s.marked == s.claimed && s.left == 0 {
			close(s.done)
		}
		s.mu.Unlock()
	}
}

func benchSink(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	cmd := exec.Command("smtp-sink", "-u", "nobody", "inet:"+addr, "1024")
	if err := cmd.Start(); err != nil {
		b.Skipf("smtp-sink is not here (scripts/setup installs it): %v", err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 500 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return addr
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("smtp-sink doesn't listen")
	return ""
}

// processorTime is what this process has used of the processors, in programs and in the system.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
