package flows

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"kartotek/flows/letters"
	"kartotek/mta"
)

// smuggled are texts that servers have taken for an end of a line, of a message or of an address.
var smuggled = []string{
	"News\r\nBcc: x@evil.example", "News\nBcc: x@evil.example", "News\rBcc: x@evil.example", "News\x00Bcc: x@evil.example",
	"News\r\n\r\nbody", "\r\n.\r\n", "\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\x00\r\n.\r\n", ".", "..", ".\r\nMAIL FROM:<x@evil.example>",
	"\r\n.\r\nMAIL FROM:<x@evil.example>\r\nRCPT TO:<y@evil.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nhi\r\n.\r\n",
	"=?utf-8?q?News=0D=0ABcc:_x@evil.example?=", "News\u2028Bcc: x@evil.example", "News\u0085Bcc: x@evil.example",
}

// taker is a mail server that keeps what it takes, and every byte that it was sent.
type taker struct {
	mu    sync.Mutex
	mails []taken
	raw   []*bytes.Buffer // of each connection
}

type taken struct {
	from string
	to   []string
	data []byte
}

func (k *taker) NewSession(*smtp.Conn) (smtp.Session, error) { return &taking{taker: k}, nil }

type taking struct {
	taker *taker
	mail  taken
}

func (s *taking) Mail(from string, _ *smtp.MailOptions) error { s.mail.from = from; return nil }
func (s *taking) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = append(s.mail.to, to)
	return nil
}
func (s *taking) Reset()        { s.mail = taken{} }
func (s *taking) Logout() error { return nil }

func (s *taking) Data(r io.Reader) (err error) {
	if s.mail.data, err = io.ReadAll(r); err != nil {
		return err
	}
	s.taker.mu.Lock()
	defer s.taker.mu.Unlock()
	s.taker.mails = append(s.taker.mails, s.mail)
	return nil
}

// tapped keeps what is read of a connection.
type tapped struct {
	net.Conn
	taker *taker
	raw   *bytes.Buffer
}

func (c tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.taker.mu.Lock()
	defer c.taker.mu.Unlock()
	c.raw.Write(b[:n])
	return n, err
}

type tap struct {
	net.Listener
	taker *taker
}

func (l tap) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	raw := &bytes.Buffer{}
	l.taker.mu.Lock()
	defer l.taker.mu.Unlock()
	l.taker.raw = append(l.taker.raw, raw)
	return tapped{c, l.taker, raw}, nil
}

// takeMail starts one and returns the way to it.
func takeMail(t *testing.T) (*taker, mta.Route) {
	t.Helper()
	k := &taker{}
	srv := smtp.NewServer(k)
	srv.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(tap{l, k})
	}()
	route, err := mta.NewRelay("smtp://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = route.Close()
		_ = l.Close()
		_ = srv.Close()
		<-done
	})
	return k, route
}

// sendAll sends what waits in the outbox by a route, until nothing does.
func (d *desk) sendAll(route mta.Route) {
	d.t.Helper()
	ctx, stop := context.WithCancel(d.t.Context())
	sender := mta.NewSender(d.Spool(), route, mta.WithLogger(slog.New(slog.DiscardHandler)), mta.WithPoll(5*time.Millisecond))
	done := make(chan error, 1)
	go func() { done <- sender.Run(ctx) }()
	for {
		counts, err := d.Counts(ctx, anna)
		d.must(err)
		if counts.Due == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	d.must(<-done)
}

// Whatever the names of lists, senders, companies and people hold, it makes no field, no recipient and no second
// message, from the sign-up to the bytes on the wire.
func TestNothingIsSmuggled(t *testing.T) {
	k, route := takeMail(t)
	d := newDesk(t)
	want := 0
	for i, text := range smuggled {
		d.cfg.Company, d.cfg.From = text, letters.Sender{Name: text, Address: "news@example.com"}
		d.signUp("marie.jensen@example.dk", "news")
		want++
		d.pass(24 * time.Hour)
		if list, err := d.AddList(t.Context(), anna, "L"+string(rune('a'+i))+" "+text); err == nil {
			d.signUp("per.hansen@example.dk", list.Slug)
			want++
		}
		for _, address := range []string{"x" + text + "@example.dk", "x@example.dk" + text, text} {
			if d.SignUp(t.Context(), SignUp{Slug: "news", Address: address, Lang: "en", Agreed: true, Client: click}) == nil {
				want++ // what is left of it once it has been trimmed is an address
			}
		}
	}
	d.sendAll(route)
	if len(k.mails) != want {
		t.Errorf("%d messages arrived, want %d", len(k.mails), want)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.mails {
		checkOneLetter(t, m)
	}
	got := map[string]int{}
	for _, raw := range k.raw {
		checkWire(t, raw.Bytes(), got)
	}
	for _, word := range []string{"MAIL", "RCPT", "DATA", "."} {
		if got[word] != want {
			t.Errorf("%d lines %s were sent for %d messages", got[word], word, want)
		}
	}
}

func checkOneLetter(t *testing.T, m taken) {
	t.Helper()
	read, err := netmail.ReadMessage(bytes.NewReader(m.data))
	if err != nil || len(m.to) != 1 || !strings.HasSuffix(m.to[0], "@example.dk") || !strings.HasSuffix(m.from, "@example.com") {
		t.Fatalf("%q to %q: %v", m.from, m.to, err)
	}
	if bcc := read.Header.Get("Bcc"); bcc != "" {
		t.Errorf("a field was smuggled in: %q", bcc)
	}
	for name, values := range read.Header {
		if len(values) != 1 {
			t.Errorf("%d fields %s", len(values), name)
		}
	}
	if strings.Contains(read.Header.Get("To"), "evil") || strings.Contains(read.Header.Get("Subject"), "\n") {
		t.Errorf("header %v", read.Header)
	}
}

// checkWire counts the commands on a connection, and the ends of messages. No CR, LF or NUL of its own may have been sent,
// for servers differ in what it ends.
func checkWire(t *testing.T, raw []byte, got map[string]int) {
	t.Helper()
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		t.Error("a NUL was sent")
	}
	rest := bytes.ReplaceAll(raw, []byte("\r\n"), nil)
	if bytes.ContainsAny(rest, "\r\n") {
		t.Error("a CR or LF of its own was sent")
	}
	inText := false
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		word, _, _ := strings.Cut(lines.Text(), " ")
		switch {
		case word == "." && lines.Text() == ".":
			inText = false
			got[word]++
		case !inText:
			inText = word == "DATA"
			got[word]++
		}
	}
}
