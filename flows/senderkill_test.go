package flows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"kartotek/mta"
	"kartotek/mta/mtatest"
	"kartotek/store"
	"kartotek/store/storetest"
)

// crashRelay, in the environment, makes the process that is killed a sender of
// what is in the outbox, through the server at this address.
const crashRelay = "KARTOTEK_TEST_CRASH_RELAY"

// killLease is how long a killed sender's letters stay with it.
const killLease = 2 * time.Second

// sendingVictim sends until it is killed.
func sendingVictim(ctx context.Context, dir, relay string) error {
	st, err := store.Open(ctx, store.Options{URL: os.Getenv(crashStore), Keys: filepath.Join(dir, "keys.json"), Files: dir})
	if err != nil {
		return err
	}
	route, err := mta.NewRelay("smtp://" + relay)
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	return mta.NewSender(New(st, Config{}).Spool(), route, mta.WithLogger(quiet), mta.WithLease(killLease), mta.WithPoll(50*time.Millisecond)).Run(ctx)
}

// counter is a mail server that counts what it takes, by the letters' numbers.
type counter struct {
	mu         sync.Mutex
	got        map[string]int
	open, most int // connections, now and at most since they were last asked for
	more       chan struct{}
}

func startCounter(t *testing.T) (*counter, string) {
	t.Helper()
	c := &counter{got: map[string]int{}, more: make(chan struct{}, 1)}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open++
		c.most = max(c.most, c.open)
		return &counting{c}, nil
	}))
	srv.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l)
	}()
	t.Cleanup(func() {
		l.Close()
		srv.Close()
		<-done
	})
	return c, l.Addr().String()
}

type counting struct{ c *counter }

func (*counting) Mail(string, *smtp.MailOptions) error { return nil }
func (*counting) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (*counting) Reset()                               {}

func (s *counting) Logout() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.open--
	return nil
}

func (s *counting) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(b), "X-Number: ")
	number, _, _ := strings.Cut(rest, "\r\n")
	s.c.mu.Lock()
	s.c.got[number]++
	s.c.mu.Unlock()
	select {
	case s.c.more <- struct{}{}:
	default:
	}
	return nil
}

// peak is the most connections at once since it was last asked for.
func (c *counter) peak() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := c.most
	c.most = c.open
	return most
}

func (c *counter) count() (letters, copies int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.got {
		letters++
		copies += n
	}
	return letters, copies
}

// fill puts n numbered letters of about 3 KB into the outbox.
func (d *desk) fill(n int) {
	d.t.Helper()
	body := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 42)
	for from := 0; from < n; from += 500 {
		d.must(d.store.InTx(d.t.Context(), func(tx *store.Tx) error {
			for i := from; i < min(n, from+500); i++ {
				l := &store.Letter{Kind: "test", ToMasked: "p*@exam***.com", DueAt: 1, CreatedAt: store.At(time.Now())}
				data := fmt.Sprintf("From: news@sender.test\r\nX-Number: %d\r\n\r\n%s", i, body)
				if err := tx.Enqueue(d.t.Context(), l, store.Envelope{From: "news@sender.test", To: "p@example.com", Data: []byte(data)}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// TestSenderKilled kills a sender under load at random moments, again and
// again: every letter arrives, and at most one twice for each connection that
// was open at a kill. 50 kills with KARTOTEK_SOAK=1.
func TestSenderKilled(t *testing.T) {
	kills, n := 5, 3000
	if os.Getenv("KARTOTEK_SOAK") != "" {
		kills, n = 50, 20_000
	}
	c, addr := startCounter(t)
	k := killing{c: c, addr: addr, kills: kills, n: n, open: c.peak}
	k.sent = func(*desk) int {
		letters, _ := c.count()
		return letters
	}
	k.run(t)
}

// relayConnections is how many connections a relay gets at most.
const relayConnections = 48

// TestSenderKilledBeforePostfix does the same with a Postfix that takes the
// letters, keeps them in its own queue and passes them on to be counted.
func TestSenderKilledBeforePostfix(t *testing.T) {
	if os.Getenv("KARTOTEK_SOAK") == "" {
		t.Skip("KARTOTEK_SOAK=1 kills it 50 times")
	}
	if err := mtatest.Check(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	c, addr := startCounter(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := mtatest.Start(t.Context(), mtatest.Options{Hostname: "mx.test", Settings: map[string]string{
		"relayhost": "[127.0.0.1]:" + port, "smtpd_client_connection_count_limit": "0", "default_process_limit": "200", "smtp_tls_security_level": "none",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	k := killing{c: c, addr: p.Addr, kills: 50, n: 20_000, open: func() int { return relayConnections }}
	k.sent = func(d *desk) int {
		counts, err := d.Counts(t.Context(), anna)
		d.must(err)
		return k.n - int(counts.Due)
	}
	k.arrive = func(d *desk) {
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if left, err := p.Queue(t.Context()); err == nil && len(left) == 0 {
				return
			}
		}
		t.Error("Postfix does not pass on what it has taken")
	}
	k.run(t)
}

// killing is a sender that is killed again and again.
type killing struct {
	c        *counter
	addr     string // of the server that takes the letters
	kills, n int
	sent     func(*desk) int // how many letters the server has taken
	open     func() int      // how many connections were open at a kill, at most
	arrive   func(*desk)     // waits until what the server has taken is with the counter; nil when it is at once
}

func (k *killing) run(t *testing.T) {
	c, addr, kills, n := k.c, k.addr, k.kills, k.n
	dir := t.TempDir()
	d := deskAt(t, dir)
	d.SetClock(time.Now)
	d.fill(n)
	p := storetest.At(t, dir)
	allowed := 0
	for range kills {
		self, err := os.Executable()
		d.must(err)
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), crashDir+"="+dir, crashStore+"="+p.URL, crashRelay+"="+addr)
		cmd.Stderr = os.Stderr
		d.must(cmd.Start())
		before := k.sent(d)
		after := time.After(patience)
		for now := before; now < min(n, before+20); now = k.sent(d) { // it is at work
			select {
			case <-c.more:
			case <-time.After(10 * time.Millisecond):
			case <-after:
				cmd.Process.Kill()
				cmd.Wait()
				t.Fatalf("nothing is sent: %d of %d so far", now, n)
			}
		}
		time.Sleep(rand.N(400 * time.Millisecond)) // the moment is the dice's
		cmd.Process.Kill()
		cmd.Wait()
		allowed += k.open()
	}
	k.finish(t, d)
	if k.arrive != nil {
		k.arrive(d)
	}
	letters, copies := c.count()
	t.Logf("%s: %d kills, %d letters arrived of %d, %d of them twice, %d allowed", storetest.Engine, kills, letters, n, copies-letters, allowed)
	if letters != n {
		t.Errorf("%d of %d letters arrived", letters, n)
	}
	if copies-letters > allowed {
		t.Errorf("%d letters arrived twice; there were %d connections at the kills", copies-letters, allowed)
	}
}

// finish sends what is left, however long it takes, as long as it gets less.
func (k *killing) finish(t *testing.T, d *desk) {
	route, err := mta.NewRelay("smtp://" + k.addr)
	d.must(err)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		mta.NewSender(d.Spool(), route, mta.WithLogger(slog.New(slog.DiscardHandler)), mta.WithPoll(50*time.Millisecond)).Run(ctx)
	})
	due, end := int64(k.n)+1, time.Time{}
	for ; ; time.Sleep(100 * time.Millisecond) { // looking takes the processor from the sender
		counts, err := d.Counts(t.Context(), anna)
		d.must(err)
		if counts.Due == 0 {
			break
		}
		if counts.Due < due {
			due, end = counts.Due, time.Now().Add(patience)
		}
		// What was broken off, since its lease could not be renewed on a busy machine, waits for minutes otherwise.
		deferred, err := d.Outbox(t.Context(), anna, "deferred", 0, 100)
		d.must(err)
		for _, l := range deferred {
			if _, err := d.Retry(t.Context(), anna, l.ID); err != nil {
				var refusal *Refusal
				if !errors.As(err, &refusal) {
					t.Error(err)
				}
			}
		}
		if time.Now().After(end) {
			t.Errorf("%d letters are still on their way", counts.Due)
			break
		}
	}
	stop()
	wg.Wait()
	route.Close()
}

// TestTwoSendersOnOneStore share the work, and nothing arrives twice.
func TestTwoSendersOnOneStore(t *testing.T) {
	const n = 1000
	c, addr := startCounter(t)
	dir := t.TempDir()
	d := deskAt(t, dir)
	d.SetClock(time.Now)
	d.fill(n)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		other := deskAt(t, dir)
		other.SetClock(time.Now)
		route, err := mta.NewRelay("smtp://" + addr)
		d.must(err)
		wg.Go(func() {
			defer route.Close()
			mta.NewSender(other.Spool(), route, mta.WithLogger(slog.New(slog.DiscardHandler)), mta.WithPoll(20*time.Millisecond)).Run(ctx)
		})
	}
	late := time.After(patience)
	for letters := 0; letters < n; letters, _ = c.count() {
		select {
		case <-c.more:
		case <-late:
			t.Fatalf("%d of %d letters arrived", letters, n)
		}
	}
	stop()
	wg.Wait()
	if letters, copies := c.count(); copies != letters {
		t.Errorf("%d letters arrived %d times", letters, copies)
	}
	d.checkOutbox()
}

// A letter is given up before what it asks to be confirmed is forgotten.
func TestLettersAreGivenUpBeforeTheirLinksEnd(t *testing.T) {
	written := time.Now()
	if _, over := mta.RetryAfter(1, written, written.Add(ConfirmWithin), rand.Float64); !over {
		t.Error("a letter is still tried when its link has ended")
	}
}
