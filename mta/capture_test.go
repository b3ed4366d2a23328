package mta

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

// keeper is what capture hands messages to.
type keeper struct {
	mu  sync.Mutex
	got []message
	err error
}

func (k *keeper) keep(_ context.Context, from, to string, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.got = append(k.got, message{From: from, To: to, Data: string(data)})
	return nil
}

func startCapture(t *testing.T, k *keeper) *Capture {
	t.Helper()
	c, err := NewCapture(k.keep)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCapture(t *testing.T) {
	k := &keeper{}
	c := startCapture(t, k)
	var want []message
	for _, to := range []string{"marie.jensen@example.dk", "mærie.jensen@example.dk"} {
		l := testLetter()
		l.To = to
		l.Data = []byte("Subject: Købmand\r\n\r\n.dot\r\n..\r\nbye")
		v := deliver(t, c, l)
		if v.State != Delivered || v.Host != "capture" {
			t.Errorf("got %+v", v)
		}
		want = append(want, message{From: l.From, To: to, Data: "Subject: Købmand\r\n\r\n.dot\r\n..\r\nbye\r\n"})
	}
	if diff := cmp.Diff(want, k.got); diff != "" {
		t.Error(diff)
	}
	if c.Name() != "capture" {
		t.Errorf("name %q", c.Name())
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	checkVerdict(t, deliver(t, c, testLetter()), Deferred, 0, "4.4.1", "refused the connection")
}

func TestCaptureNotKept(t *testing.T) {
	k := &keeper{err: errors.New("disk full\r\n250 ok, marie.jensen@example.dk")}
	c := startCapture(t, k)
	checkVerdict(t, deliver(t, c, testLetter()), Deferred, 451, "4.3.0", "could not be kept: disk full 250 ok, <recipient>")
	k.err = nil
	checkVerdict(t, deliver(t, c, testLetter()), Delivered, 250, "2.0.0", "OK")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Others on the machine reach the port and get nothing in.
func TestCaptureTakesOnlyOurs(t *testing.T) {
	k := &keeper{}
	c := startCapture(t, k)
	defer c.Close()
	client, err := smtp.Dial(c.listen.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = client.SendMail("x@y.dk", []string{"z@y.dk"}, strings.NewReader("spam"))
	var refused *smtp.SMTPError
	if !errors.As(err, &refused) || refused.Code != 554 {
		t.Errorf("got %v", err)
	}
	if len(k.got) != 0 {
		t.Errorf("kept %v", k.got)
	}
}

// Closing waits for nobody who merely holds a connection open, and frees the port.
func TestCaptureClosesAtOnce(t *testing.T) {
	c := startCapture(t, &keeper{})
	conn, err := net.Dial("tcp", c.listen.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", c.listen.Addr().String())
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = l.Close()
}

// The whole way: a spool, a sender, a real conversation, a verdict.
func TestSenderThroughCapture(t *testing.T) {
	k := &keeper{}
	c := startCapture(t, k)
	spool := newMemSpool(numbered(40)...)
	stop := start(t, quietSender(spool, c))
	for id := int64(1); id <= 40; id++ {
		spool.waitFor(t, id)
	}
	stop()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if len(k.got) != 40 {
		t.Errorf("kept %d", len(k.got))
	}
}
