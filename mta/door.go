package mta

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"time"
)

var (
	errNoTLS     = errors.New("the server offers no TLS")
	errHandshake = errors.New("the TLS handshake failed")
	errDeaf      = errors.New("the server's name leads to no address that mail may go to")
	errNowhere   = errors.New("the server's name does not exist")
	errUntrusted = errors.New("the server's certificate can't be trusted")
)

// tlsLevel is how much encryption a connection must have.
type tlsLevel int

const (
	// tlsOpportunistic encrypts where the server offers it, trusts any certificate and falls back to clear
	// (RFC 7435): it stops listeners, not impostors.
	tlsOpportunistic tlsLevel = iota
	// tlsRequired sends nothing before the server has shown a certificate of its name (RFC 8314, RFC 7817).
	tlsRequired
)

// door is how to reach one server: everything up to the point where it takes messages.
type door struct {
	dial     func(ctx context.Context) (net.Conn, error)
	name     string // the server's name, for its certificate
	implicit bool   // TLS from the first byte (RFC 8314 section 3.3); with tlsRequired only
	level    tlsLevel
	roots    *x509.CertPool // nil for the system's
	user     string
	password string
	helo     string // how we introduce ourselves; empty for this machine's name
	patience patience
}

// dialTo dials a fixed address, host:port.
func dialTo(addr string) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
}

// open connects, greets, encrypts and logs in. The session is returned even with an error, once there is a
// connection, for its transcript; it is closed then.
func (d *door) open(ctx context.Context) (*session, error) {
	s, err := d.enter(ctx, true)
	if d.level == tlsOpportunistic && errors.Is(err, errHandshake) && ctx.Err() == nil {
		s, err = d.enter(ctx, false)
	}
	return s, err
}

func (d *door) enter(ctx context.Context, encrypt bool) (*session, error) {
	within, cancel := context.WithTimeout(ctx, d.patience.dial)
	conn, err := d.dial(within)
	cancel()
	if err != nil {
		return nil, &fault{phaseDial, err}
	}
	s := &session{wire: newWire(conn), patience: d.patience, born: time.Now()}
	release := s.bind(ctx)
	defer release()
	if err := d.introduce(ctx, s, encrypt); err != nil {
		_ = s.conn.Close() // the first error tells
		return s, err
	}
	return s, nil
}

func (d *door) introduce(ctx context.Context, s *session, encrypt bool) error {
	if d.implicit {
		if err := d.handshake(ctx, s); err != nil {
			return err
		}
	}
	if err := s.greet(ctx); err != nil {
		return err
	}
	helo := d.helo
	if helo == "" {
		helo = machineName(s.conn)
	}
	if err := s.hello(ctx, helo); err != nil {
		return err
	}
	if s.tls == "" && encrypt {
		if err := d.startTLS(ctx, s, helo); err != nil {
			return err
		}
	}
	if d.user != "" {
		return s.login(ctx, d.user, d.password)
	}
	return nil
}

// startTLS encrypts a connection that has begun in clear (RFC 3207) and introduces us again.
func (d *door) startTLS(ctx context.Context, s *session, helo string) error {
	if !s.offers("STARTTLS") {
		if d.level == tlsRequired {
			return &fault{phaseTLS, errNoTLS}
		}
		return nil
	}
	rep, err := s.ask(ctx, phaseTLS, "STARTTLS", "STARTTLS")
	if err != nil {
		return err
	}
	if rep.code != 220 {
		if d.level == tlsRequired {
			return &refusal{phaseTLS, rep}
		}
		return nil
	}
	if !s.quiet() {
		return &fault{phaseTLS, errUnasked} // words slipped in before the encryption (CVE-2011-0411)
	}
	if err := d.handshake(ctx, s); err != nil {
		return err
	}
	return s.hello(ctx, helo)
}

// checkedTLS stands behind the version of TLS where a valid certificate was asked for and shown.
const checkedTLS = ", certificate checked"

func (d *door) handshake(ctx context.Context, s *session) error {
	config := &tls.Config{ServerName: d.name, RootCAs: d.roots, MinVersion: tls.VersionTLS12}
	if d.level == tlsOpportunistic {
		config.InsecureSkipVerify = true // an unproven server is better than clear text
		config.MinVersion = tls.VersionTLS10
	}
	if err := errors.Join(s.allowWriting(ctx, s.patience.command), s.allowReading(ctx, s.patience.command)); err != nil {
		return &fault{phaseTLS, err}
	}
	conn := tls.Client(s.conn, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		var cert *tls.CertificateVerificationError
		if errors.As(err, &cert) {
			return &fault{phaseTLS, errUntrusted}
		}
		return &fault{phaseTLS, errors.Join(errHandshake, err)}
	}
	talk := s.talk
	s.wire = newWire(conn)
	s.talk = talk
	s.tls = tls.VersionName(conn.ConnectionState().Version)
	if !config.InsecureSkipVerify {
		s.tls += checkedTLS
	}
	return nil
}

// machineName is how we introduce ourselves: this machine's full name, or without one the address literal of
// the connection (RFC 5321 section 4.1.4).
func machineName(conn net.Conn) string {
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		if ascii, err := domainASCII(name); err == nil {
			return ascii
		}
	}
	addr, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return "localhost"
	}
	if addr.IP.To4() != nil {
		return "[" + addr.IP.String() + "]"
	}
	return "[IPv6:" + addr.IP.String() + "]"
}
