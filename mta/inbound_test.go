package mta

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

// testInbox knows the local parts "b-1" and "u-1".
type testInbox struct {
	mu  sync.Mutex
	got []string
	err error
}

func (*testInbox) Kind(_ context.Context, local string) (Inbound, error) {
	switch local {
	case "b-1":
		return InboundBounce, nil
	case "u-1":
		return InboundLeave, nil
	case "b-broken":
		return InboundNone, errors.New("the store is away")
	}
	return InboundNone, nil
}

func (in *testInbox) take(what string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err != nil {
		return in.err
	}
	in.got = append(in.got, what)
	return nil
}

func (in *testInbox) Report(_ context.Context, local string, r Report) error {
	return in.take(fmt.Sprint(local, " ", r.Kind, " ", r.Status))
}

func (in *testInbox) Leave(_ context.Context, local string) error { return in.take(local) }

// startInlet serves bounces.test on loopback.
func startInlet(t testing.TB, inbox Inbox) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewInlet(l, "Bounces.test", inbox, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dialInlet greets the server, encrypted.
func dialInlet(t *testing.T, addr string) *smtp.Client {
	t.Helper()
	c, err := smtp.DialStartTLS(addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestInletTakesOnlyOurAddresses(t *testing.T) {
	inbox := &testInbox{}
	addr := startInlet(t, inbox)
	c := dialInlet(t, addr)
	for _, to := range []string{"marie@example.dk", "b-2@bounces.test", "postmaster@bounces.test", "b-1@other.test", "b-1@bounces.test.other.test", "@bounces.test"} {
		if err := c.Mail("", nil); err != nil {
			t.Fatal(err)
		}
		var no *smtp.SMTPError
		if err := c.Rcpt(to, nil); !errors.As(err, &no) || no.Code/100 != 5 {
			t.Errorf("%s: %v", to, err)
		}
		if no == nil || no.Code == 550 {
			_ = c.Reset()
			continue
		}
		c = dialInlet(t, addr)
	}
	c = dialInlet(t, addr)
	if err := c.SendMail("", []string{"b-1@bounces.TEST"}, strings.NewReader(dsn("delivery-status", perMessage+"Action: failed\r\nStatus: 5.1.1"))); err != nil {
		t.Fatal(err)
	}
	if err := c.SendMail("marie@example.dk", []string{"u-1@bounces.test"}, strings.NewReader("Subject: whatever\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b-1 1 5.1.1", "u-1"}, inbox.got); diff != "" {
		t.Error(diff)
	}
}

// What can't be kept now is asked for again later, and so is what is not known now.
func TestInletInTrouble(t *testing.T) {
	inbox := &testInbox{err: errors.New("away")}
	c := dialInlet(t, startInlet(t, inbox))
	var no *smtp.SMTPError
	if err := c.SendMail("", []string{"u-1@bounces.test"}, strings.NewReader("Subject: x\r\n\r\n")); !errors.As(err, &no) || no.Code != 451 {
		t.Errorf("taken in: %v", err)
	}
	_ = c.Reset()
	if err := c.Mail("", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("b-broken@bounces.test", nil); !errors.As(err, &no) || no.Code != 451 {
		t.Errorf("looked up: %v", err)
	}
}

func TestInletBounds(t *testing.T) {
	addr := startInlet(t, &testInbox{})
	t.Run("size", func(t *testing.T) {
		c := dialInlet(t, addr)
		var no *smtp.SMTPError
		if err := c.SendMail("", []string{"b-1@bounces.test"}, strings.NewReader(strings.Repeat("x\r\n", maxInbound))); !errors.As(err, &no) || no.Code != 552 {
			t.Errorf("a large mail: %v", err)
		}
	})
	t.Run("recipients", func(t *testing.T) {
		c := dialInlet(t, addr)
		if err := c.Mail("", nil); err != nil {
			t.Fatal(err)
		}
		for i := range maxInboundRcpt + 1 {
			if err := c.Rcpt("b-1@bounces.test", nil); (err != nil) != (i == maxInboundRcpt) {
				t.Errorf("recipient %d: %v", i+1, err)
			}
		}
	})
	t.Run("commands", func(t *testing.T) {
		c := dialInlet(t, addr)
		var no *smtp.SMTPError
		for asked := range maxInboundWords {
			if err := c.Mail("", nil); err != nil && !errors.As(err, &no) {
				return
			}
			if err := c.Rcpt("b-2@bounces.test", nil); err == nil || !errors.As(err, &no) && asked < 10 {
				t.Fatalf("recipient %d: %v", asked, err)
			}
			_ = c.Reset()
		}
		t.Error("one connection may guess for ever")
	})
	t.Run("connections of one client", func(t *testing.T) {
		served := 0
		for range maxPerClient + 4 {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				served++
			}
		}
		if served > maxPerClient || served == 0 {
			t.Errorf("%d were served at once", served)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		left, right := net.Pipe()
		defer left.Close()
		c := &boundedConn{Conn: right, end: time.Now().Add(time.Minute), left: 10, words: 1, gone: func() {}}
		go left.Write(make([]byte, 100))
		total := 0
		for b := make([]byte, 4); ; {
			n, err := c.Read(b)
			if total += n; err != nil {
				break
			}
		}
		if total > 12 {
			t.Errorf("%d bytes were read", total)
		}
		if _, err := (&boundedConn{Conn: right, end: time.Now().Add(-time.Second), left: 10, words: 1}).Read(nil); err == nil {
			t.Error("a connection is read after its time")
		}
	})
}

// However much rubbish comes, memory stays flat. A million connections with KARTOTEK_SOAK=1.
func TestInletUnderRubbish(t *testing.T) {
	conns := 2000
	if os.Getenv("KARTOTEK_SOAK") != "" {
		conns = 1_000_000
	}
	addr := startInlet(t, &testInbox{})
	rubbish := []string{
		"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b-junk@bounces.test>\r\nQUIT\r\n", "\x16\x03\x01\x02\x00\x01\x00",
		strings.Repeat("A", 5000), "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b-1@bounces.test>\r\nDATA\r\nfoo", "EHLO x\r\n" + strings.Repeat("NOOP\r\n", 50) + "BAD\r\nBAD\r\nBAD\r\nBAD\r\n", "\r\n\r\n.\r\n\x00\xff",
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var wg sync.WaitGroup
	work := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range work {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					continue
				}
				_ = conn.(*net.TCPConn).SetLinger(0) // ports are few
				_, _ = conn.Write([]byte(rubbish[i%len(rubbish)]))
				if i%3 == 0 {
					_, _ = conn.Read(make([]byte, 200))
				}
				conn.Close()
			}
		})
	}
	var before uint64
	for i := range conns {
		work <- i
		if i == conns/10 {
			before = heap()
		}
	}
	close(work)
	wg.Wait()
	if after := heap(); after > before+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes over %d connections", before, after, conns)
	}
	if c := dialInlet(t, addr); c.Noop() != nil {
		t.Error("the server doesn't answer any more")
	}
}
