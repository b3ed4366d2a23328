package mta

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// message is what a receiver took.
type message struct {
	From, To, Data string
	TLS            bool
	User           string
}

// receiver is a go-smtp server that keeps what it takes; its hooks make it misbehave.
type receiver struct {
	addr             string // where it listens; a free port of 127.0.0.1 unless set before
	implicit         bool   // TLS from the first byte
	mail, rcpt, data func() error
	logins           map[string]func(msg *message) sasl.Server // by mechanism; PLAIN unless set

	mu       sync.Mutex
	got      []message
	sessions int
}

func startReceiver(t *testing.T, r *receiver, configure ...func(*smtp.Server)) *receiver {
	t.Helper()
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		r.mu.Lock()
		r.sessions++
		r.mu.Unlock()
		return &receiving{receiver: r, conn: c}, nil
	}))
	srv.Domain = "receiver.test"
	srv.EnableSMTPUTF8 = true
	srv.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range configure {
		f(srv)
	}
	if r.addr == "" {
		r.addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	if r.implicit {
		l = tls.NewListener(l, srv.TLSConfig)
		srv.TLSConfig = nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = l.Close() // the server doesn't know of it before it serves
		_ = srv.Close()
		<-done
	})
	return r
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.got...)
}

func (r *receiver) sessionCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions
}

type receiving struct {
	receiver *receiver
	conn     *smtp.Conn
	msg      message
}

func call(hook func() error) error {
	if hook == nil {
		return nil
	}
	return hook()
}

func (s *receiving) Mail(from string, _ *smtp.MailOptions) error {
	s.msg.From = from
	_, s.msg.TLS = s.conn.TLSConnectionState()
	return call(s.receiver.mail)
}

func (s *receiving) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.msg.To += to
	return call(s.receiver.rcpt)
}

func (s *receiving) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.msg.Data = string(b)
	if err := call(s.receiver.data); err != nil {
		return err
	}
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	s.receiver.got = append(s.receiver.got, s.msg)
	return nil
}

func (s *receiving) Reset()        { s.msg = message{User: s.msg.User} }
func (s *receiving) Logout() error { return nil }

func (s *receiving) AuthMechanisms() []string {
	if s.receiver.logins == nil {
		return []string{sasl.Plain}
	}
	return slices.Sorted(maps.Keys(s.receiver.logins))
}

func (s *receiving) Auth(mech string) (sasl.Server, error) {
	if s.receiver.logins != nil {
		return s.receiver.logins[mech](&s.msg), nil
	}
	return plainLogin(&s.msg), nil
}

// plainLogin takes the one user there is, by PLAIN.
func plainLogin(msg *message) sasl.Server {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "kartotek" || password != "s3cret@/:" {
			return smtp.ErrAuthFailed
		}
		msg.User = user
		return nil
	})
}

// certificate makes a self-signed one for name and a pool that trusts it.
func certificate(t *testing.T, name string, notAfter time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// scripted starts a server that does what serve does with each connection, and returns its address.
func scripted(t *testing.T, serve func(c *scriptConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				serve(&scriptConn{Conn: conn, r: bufio.NewReader(conn)})
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// proxied is a way to a server on which change is done to whatever the server says.
func proxied(t *testing.T, addr string, change func(said []byte) []byte) string {
	t.Helper()
	return scripted(t, func(c *scriptConn) {
		out, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer out.Close()
		go func() {
			_, _ = io.Copy(out, c.r) // ends with the connection
			_ = out.Close()
		}()
		buf := make([]byte, 64<<10)
		for {
			n, err := out.Read(buf)
			if _, werr := c.Write(change(buf[:n])); err != nil || werr != nil {
				return
			}
		}
	})
}

type scriptConn struct {
	net.Conn
	r        *bufio.Reader
	messages *atomic.Int32 // that were taken, where a script counts them
}

// say writes lines, without caring whether anyone still listens.
func (c *scriptConn) say(lines ...string) {
	_, _ = c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
}

// stall neither reads nor writes until the test is over.
func (c *scriptConn) stall(t *testing.T) { <-t.Context().Done() }

// until reads lines up to the first that begins with one of prefixes, and returns it; "" at the end.
func (c *scriptConn) until(prefixes ...string) string {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return ""
		}
		for _, p := range prefixes {
			if strings.HasPrefix(strings.ToUpper(line), p) {
				return strings.TrimSpace(line)
			}
		}
	}
}

// hang keeps the connection open and silent until the other side takes leave or closes it.
func (c *scriptConn) hang() { c.until("QUIT") }

// welcome greets and answers EHLO with the keywords.
func (c *scriptConn) welcome(keywords ...string) {
	c.say("220 script.test ready")
	c.until("EHLO")
	c.say("250-script.test")
	for _, k := range keywords {
		c.say("250-" + k)
	}
	c.say("250 HELP")
}

// accept answers an envelope up to the 354, in step or pipelined.
func (c *scriptConn) accept() {
	c.until("MAIL")
	c.say("250 2.1.0 ok")
	c.until("RCPT")
	c.say("250 2.1.5 ok")
	c.until("DATA")
	c.say("354 go ahead")
}

// relayTo makes a relay without login to addr.
func relayTo(t *testing.T, addr string) *Relay {
	t.Helper()
	return relayURL(t, "smtp://"+addr)
}

func relayURL(t *testing.T, url string) *Relay {
	t.Helper()
	r, err := NewRelay(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// hurry makes every wait of the relay short, for servers that never answer.
func hurry(r *Relay, d time.Duration) {
	r.servers[0].door.patience = patience{dial: longest, greeting: d, command: d, block: d, dot: d}
}

// longest is how long a test waits for what has to come: minutes, since what takes no time here may take one of them
// where many share a processor.
const longest = 5 * time.Minute

// patiently tries something with a server that keeps us waiting, and tells what is wrong. A wait that is short is too
// short for a busy machine now and then, and then it is tried again with a longer one.
func patiently(t *testing.T, try func(wait time.Duration) (wrong string)) {
	t.Helper()
	for wait := 50 * time.Millisecond; ; wait *= 4 {
		wrong := try(wait)
		if wrong == "" {
			return
		}
		if wait > time.Minute/2 {
			t.Error(wrong)
			return
		}
	}
}

func testLetter() Letter {
	return Letter{
		ID: 1, From: "news@sender.test", To: "marie.jensen@example.dk", Attempts: 1, Created: time.Now(),
		Data: []byte("From: news@sender.test\r\nSubject: Hi\r\n\r\nHello\r\n"),
	}
}

func deliver(t *testing.T, r Route, l Letter) Verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	return deliverBy(ctx, r, l)
}

// unlike tells how a verdict differs in what matters; "" when it doesn't.
func unlike(v Verdict, state State, code int, enhanced, words string) string {
	if v.State == state && v.Code == code && v.Enhanced == enhanced && strings.Contains(v.Reply, words) {
		return ""
	}
	return fmt.Sprintf("got %s %d %s %q, want %s %d %s %q", v.State, v.Code, v.Enhanced, v.Reply, state, code, enhanced, words)
}

// checkVerdict compares what matters and makes sure that no address slipped into words.
func checkVerdict(t *testing.T, v Verdict, state State, code int, enhanced, words string) {
	t.Helper()
	if wrong := unlike(v, state, code, enhanced, words); wrong != "" {
		t.Error(wrong)
	}
	for _, line := range append([]string{v.Reply}, v.Transcript...) {
		if strings.Contains(strings.ToLower(line), "marie") || strings.Contains(line, "news@") {
			t.Errorf("an address slipped into %q", line)
		}
	}
	if v.At.IsZero() {
		t.Error("the verdict has no time")
	}
}

// deliverBy makes one attempt.
func deliverBy(ctx context.Context, r Route, l Letter) (v Verdict) {
	r.Deliver(ctx, l, func(got Verdict) { v = got })
	return v
}
