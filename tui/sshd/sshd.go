// Package sshd is the console over SSH, for a team: the same screens and the
// same commands, under the name and the role of whoever's public key it is.
//
// It lets in who is in staff and has the key, and nobody else by any other
// way; a session is the console or one command of Kartotek, never a shell, a
// subsystem, a forwarding or an environment. It decides nothing about contacts:
// what a role may do is for flows to say.
//
// Start reading at Serve; gate.go bounds what strangers can cost, session.go is
// what happens to somebody who is in.
package sshd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"charm.land/wish/v2"
	"github.com/charmbracelet/ssh"
	gossh "golang.org/x/crypto/ssh"

	"kartotek/flows"
	"kartotek/tui"
)

// Desk is what the server needs of flows besides the console's.
type Desk interface {
	KnownKey(ctx context.Context, key gossh.PublicKey) (flows.Actor, error)
	StillIn(ctx context.Context, who flows.Actor) error
	SignedIn(ctx context.Context, who flows.Actor) error
	SignedOut(ctx context.Context, who flows.Actor) error
	TurnedAway(ctx context.Context, n int, why string) error
}

// Options say what the server serves.
type Options struct {
	Desk    Desk
	HostKey string      // path of the host key, made on first use
	Console tui.Options // what the console works on; the actor is filled in
	// Command runs a command line under an actor and returns its exit code.
	Command func(ctx context.Context, who flows.Actor, args []string, s Streams) int
	Log     *slog.Logger
	Limits  Limits // zero values stand for the defaults
}

// Limits bound what clients can take.
type Limits struct {
	Strangers  int           // connections that have not signed in yet (64)
	PerAddress int           // of them from one address (16)
	SignIn     time.Duration // for signing in (20 s)
	Sessions   int           // at once (400)
	PerStaff   int           // of one of staff at once (20)
	Idle       time.Duration // without a key press (30 min)
	Watch      time.Duration // between two looks whether somebody still is in staff (2 s)
}

func (l Limits) withDefaults() Limits {
	for _, n := range []struct {
		at *int
		to int
	}{{&l.Strangers, 64}, {&l.PerAddress, 16}, {&l.Sessions, 400}, {&l.PerStaff, 20}} {
		if *n.at == 0 {
			*n.at = n.to
		}
	}
	for _, d := range []struct {
		at *time.Duration
		to time.Duration
	}{{&l.SignIn, 20 * time.Second}, {&l.Idle, 30 * time.Minute}, {&l.Watch, 2 * time.Second}} {
		if *d.at == 0 {
			*d.at = d.to
		}
	}
	return l
}

// Server listens for SSH clients.
type Server struct {
	o     Options
	l     net.Listener
	ssh   *ssh.Server
	gate  *gate
	print string
	ctx   context.Context // of Serve: sessions end with it
}

// Listen opens the port, and makes the host key where there is none.
func Listen(ctx context.Context, addr string, o Options) (*Server, error) {
	o.Limits = o.Limits.withDefaults()
	s := &Server{o: o, ctx: ctx}
	s.gate = newGate(o.Limits)
	var err error
	s.ssh, err = wish.NewServer(wish.WithHostKeyPath(o.HostKey), wish.WithVersion("Kartotek"), wish.WithPublicKeyAuth(s.known))
	if err != nil {
		return nil, fmt.Errorf("the SSH host key %s: %w", o.HostKey, err)
	}
	if info, err := os.Stat(o.HostKey); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the SSH host key %s can be read by others: run chmod 600 on it", o.HostKey)
	}
	s.print = gossh.FingerprintSHA256(s.ssh.HostSigners[0].PublicKey())
	s.ssh.ConnCallback = s.arrive
	s.ssh.ServerConfigCallback = s.config
	s.ssh.ConnectionFailedCallback = func(net.Conn, error) {} // the gate tells who was turned away
	s.ssh.ChannelHandlers = map[string]ssh.ChannelHandler{"session": s.channel}
	s.ssh.RequestHandlers = map[string]ssh.RequestHandler{}
	s.ssh.SubsystemHandlers = map[string]ssh.SubsystemHandler{}
	var lc net.ListenConfig
	if s.l, err = lc.Listen(ctx, "tcp", addr); err != nil {
		return nil, err
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.l.Addr().String() }

// Fingerprint is the host key's, as clients show it on their first visit.
func (s *Server) Fingerprint() string { return s.print }

// Serve lets clients in until ctx ends, and returns when nothing of them is left.
func (s *Server) Serve(ctx context.Context) error {
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	var tell sync.WaitGroup
	tell.Go(func() { s.gate.tell(s.ctx, s.o) })
	ended := make(chan error, 1)
	go func() { ended <- s.ssh.Serve(s.l) }()
	var err error
	select {
	case <-ctx.Done():
		s.gate.shut() // when every session has said goodbye
		err = s.ssh.Close()
		if fault := s.l.Close(); !errors.Is(fault, net.ErrClosed) { // serving had not begun: Close did not know of it
			err = errors.Join(err, fault)
		}
		if end := <-ended; !errors.Is(end, ssh.ErrServerClosed) {
			err = errors.Join(err, end)
		}
	case err = <-ended:
		err = fmt.Errorf("the SSH server stopped: %w", err)
	}
	cancel()
	s.gate.shut()
	s.gate.closeAll()
	tell.Wait()
	return err
}

// known tells whether a key is one of staff. It is asked for every key that a
// client offers, before the client proves to have it.
func (s *Server) known(ctx ssh.Context, key ssh.PublicKey) bool {
	who, err := s.o.Desk.KnownKey(ctx, key)
	if err == nil {
		return true
	}
	var refusal *flows.Refusal
	if errors.As(err, &refusal) {
		if c := connOf(ctx); c != nil {
			c.refused(who.Name)
		}
	} else {
		s.o.Log.Error("the store does not say who signs in", "error", err)
	}
	return false
}

// config is each connection's: a few tries, and a word to the gate as soon as
// somebody is in.
func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	cfg := &gossh.ServerConfig{MaxAuthTries: 6}
	if c := connOf(ctx); c != nil {
		cfg.AuthLogCallback = func(_ gossh.ConnMetadata, _ string, err error) {
			if err == nil {
				c.signedIn()
			}
		}
	}
	return cfg
}
