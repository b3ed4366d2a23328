package mta

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"kartotek/mta/mtatest"
)

// BenchmarkExchange compares our exchange with go-smtp's client, both over one kept connection to the same
// go-smtp server, straight and at a simulated round trip of 20 ms. It is why exchange.go exists.
func BenchmarkExchange(b *testing.B) {
	for _, rtt := range []time.Duration{0, 20 * time.Millisecond} {
		addr := benchServer(b)
		if rtt > 0 {
			d, err := mtatest.Delay(addr, rtt/2)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = d.Stop() })
			addr = d.Addr().String()
		}
		b.Run("ours/rtt="+rtt.String(), func(b *testing.B) { benchOurs(b, addr) })
		b.Run("go-smtp/rtt="+rtt.String(), func(b *testing.B) { benchGoSMTP(b, addr) })
	}
}

func benchLetter() Letter {
	l := Letter{From: "news@sender.test", To: "marie.jensen@example.dk"}
	l.Data = append([]byte("Subject: Hi\r\n\r\n"), bytes.Repeat([]byte("Thirty bytes of an honest line\r\n"), 94)...)
	return l
}

func benchOurs(b *testing.B, addr string) {
	r, err := NewRelay("smtp://" + addr)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	l := benchLetter()
	for b.Loop() {
		if v := deliverBy(context.Background(), r, l); v.State != Delivered {
			b.Fatal(v)
		}
	}
}

func benchGoSMTP(b *testing.B, addr string) {
	c, err := smtp.Dial(addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	l := benchLetter()
	for b.Loop() {
		if err := c.SendMail(l.From, []string{l.To}, bytes.NewReader(l.Data)); err != nil {
			b.Fatal(err)
		}
	}
}

type sink struct{}

func (sink) Mail(string, *smtp.MailOptions) error { return nil }
func (sink) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (sink) Reset()                               {}
func (sink) Logout() error                        { return nil }

func (sink) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func benchServer(b *testing.B) string {
	b.Helper()
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return sink{}, nil }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	b.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}
