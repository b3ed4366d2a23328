package mta

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/netutil"
)

// Bounds of the port for what comes back. Nobody has much to say there.
const (
	maxInbound      = 1 << 20 // bytes of a message
	maxInboundBytes = 3 << 20 // of a connection, commands and all
	maxInboundConns = 64      // at once
	maxPerClient    = 8       // of these from one address
	inboundTime     = 5 * time.Minute
	inboundPause    = 30 * time.Second // between two reads or writes
	maxInboundRcpt  = 5
	// maxInboundWords is how many lines of ours one connection gets: a few for each command, for some hundred mails.
	maxInboundWords = 2000
)

// Inbound is what an address of ours is for.
type Inbound int

// The purposes of addresses.
const (
	// InboundNone: it is none of ours.
	InboundNone Inbound = iota
	// InboundBounce is the envelope sender of one letter: reports about it come here.
	InboundBounce
	// InboundLeave takes its writer off a list, whatever the mail says.
	InboundLeave
)

// Inbox is what takes in mail that comes back. The local part that it came to says what it is about, by a token.
type Inbox interface {
	// Kind tells what an address is for, by its local part; it may be asked by anybody about anything.
	Kind(ctx context.Context, local string) (Inbound, error)
	// Report takes what a mail to an [InboundBounce] said.
	Report(ctx context.Context, local string, r Report) error
	// Leave takes that a mail came to an [InboundLeave].
	Leave(ctx context.Context, local string) error
}

// Inlet is the server for mail that comes back: it takes mail for addresses that hold a token, and no other.
type Inlet struct {
	domain string
	inbox  Inbox
	log    *slog.Logger
	server *smtp.Server
	listen net.Listener
	ctx    context.Context // of what is being taken in
	cancel context.CancelFunc
}

// NewInlet makes a server of mail to addresses of domain on l. It encrypts where the sender wants it, under a
// certificate of its own making: senders of mail don't check that without a policy that says so (RFC 7435).
func NewInlet(l net.Listener, domain string, inbox Inbox, logger *slog.Logger) (*Inlet, error) {
	name, err := domainASCII(domain)
	if err != nil {
		return nil, errors.New("the bounce domain is not a domain name")
	}
	cert, err := ownCertificate(name)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	in := &Inlet{domain: name, inbox: inbox, log: logger}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	in.listen = newGuarded(netutil.LimitListener(l, maxInboundConns))
	in.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &incoming{inlet: in}, nil }))
	in.server.Domain = name
	in.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	in.server.MaxMessageBytes = maxInbound
	in.server.MaxRecipients = maxInboundRcpt
	in.server.ReadTimeout, in.server.WriteTimeout = inboundPause, inboundPause
	in.server.EnableSMTPUTF8 = true
	in.server.ErrorLog = log.New(io.Discard, "", 0) // it would name addresses
	return in, nil
}

// Run serves until ctx ends, then breaks off what is under way: its senders come again.
func (in *Inlet) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		in.cancel()
		_ = in.listen.Close() // the server doesn't know of it before it serves
		_ = in.server.Close()
	})
	defer stop()
	err := in.server.Serve(in.listen)
	if ctx.Err() != nil || errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("the port for mail that comes back: %w", err)
}

// incoming is one SMTP session on the server's side.
type incoming struct {
	inlet *Inlet
	null  bool
	to    []string // local parts
	kinds []Inbound
}

var (
	errNotOurs = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "no mail for this address is taken here"}
	errLater   = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "not now, try again later"}
)

func (s *incoming) Mail(from string, _ *smtp.MailOptions) error {
	s.null = from == ""
	return nil
}

func (s *incoming) Rcpt(to string, _ *smtp.RcptOptions) error {
	at := strings.LastIndexByte(to, '@')
	if at < 1 || at > maxLocal || !strings.EqualFold(strings.TrimSuffix(to[at+1:], "."), s.inlet.domain) {
		return errNotOurs
	}
	kind, err := s.inlet.inbox.Kind(s.inlet.ctx, to[:at])
	switch {
	case err != nil:
		s.inlet.log.Error("looking up an address of the bounce port failed", "err", err)
		return errLater
	case kind == InboundNone:
		return errNotOurs
	}
	s.to, s.kinds = append(s.to, to[:at]), append(s.kinds, kind)
	return nil
}

func (s *incoming) Data(r io.Reader) error {
	report, err := ParseReport(r, s.null)
	if err != nil {
		return err
	}
	for i, local := range s.to {
		if s.kinds[i] == InboundLeave {
			err = s.inlet.inbox.Leave(s.inlet.ctx, local)
		} else {
			err = s.inlet.inbox.Report(s.inlet.ctx, local, report)
		}
		if err != nil {
			s.inlet.log.Error("taking in a mail that came back failed", "err", err)
			return errLater
		}
	}
	return nil
}

func (s *incoming) Reset()        { s.null, s.to, s.kinds = false, nil, nil }
func (s *incoming) Logout() error { return nil }

// guarded is a listener whose connections have a bounded life, in time and in bytes, and of which one client gets a few.
type guarded struct {
	net.Listener
	mu  sync.Mutex
	now map[string]int // connections by client
}

func newGuarded(l net.Listener) *guarded { return &guarded{Listener: l, now: map[string]int{}} }

// Accept waits for the next connection that may be served.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		g.mu.Lock()
		allowed := g.now[client] < maxPerClient
		if allowed {
			g.now[client]++
		}
		g.mu.Unlock()
		if !allowed {
			_ = conn.Close()
			continue
		}
		c := &boundedConn{Conn: conn, end: time.Now().Add(inboundTime), left: maxInboundBytes, words: maxInboundWords}
		c.gone = sync.OnceFunc(func() { g.leave(client) })
		return c, nil
	}
}

func (g *guarded) leave(client string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now[client]--; g.now[client] <= 0 {
		delete(g.now, client)
	}
}

// boundedConn ends after a time, a number of bytes or a number of our lines, whatever deadlines are set. Every command is
// answered by a line at least, within TLS too, so that their number bounds that of commands.
type boundedConn struct {
	net.Conn
	end   time.Time
	left  int // bytes that may still be read
	words int // lines that may still be written
	gone  func()
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 || c.words <= 0 || time.Now().After(c.end) {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}

func (c *boundedConn) Write(p []byte) (int, error) {
	c.words--
	return c.Conn.Write(p)
}

// Close ends the connection.
func (c *boundedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}

// ownCertificate makes a certificate for this run of the program.
func ownCertificate(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
