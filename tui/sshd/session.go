package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/charmbracelet/ssh"
	gossh "golang.org/x/crypto/ssh"

	"kartotek/flows"
	"kartotek/tui"
)

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Why a session ends before its user ends it.
var (
	errIdle    = errors.New("nobody has pressed a key for a long time: the session has ended")
	errFlooded = errors.New("too much was sent at once: the session has ended")
	errStopped = errors.New("the server is shutting down")
)

// mostUnread is how much a client may send without any of it becoming a key
// press or a paste that ends, in bytes.
const mostUnread = 1 << 20

// session is one channel of somebody who is in.
type session struct {
	server *Server
	who    flows.Actor
	ctx    context.Context
	end    context.CancelCauseFunc
	last   atomic.Int64 // when the user last did something, in nanoseconds
	unread atomic.Int64
	idles  atomic.Bool // it waits for the user
	begun  atomic.Bool // the console or a command was asked for
	done   chan struct{}
	sizes  chan tui.Size
}

// channel is asked for by a client that is in. Who it is comes from the key.
func (s *Server) channel(srv *ssh.Server, sc *gossh.ServerConn, nc gossh.NewChannel, ctx ssh.Context) {
	key, _ := ctx.Value(ssh.ContextKeyPublicKey).(ssh.PublicKey)
	if key == nil {
		refuse(nc, gossh.Prohibited, "sign in with a public key")
		return
	}
	who, err := s.o.Desk.KnownKey(ctx, key)
	if err != nil {
		refuse(nc, gossh.Prohibited, "you are not in staff any more")
		return
	}
	if who.IP, _, err = net.SplitHostPort(sc.RemoteAddr().String()); err != nil {
		who.IP = ""
	}
	if !s.gate.enter(who.Staff) {
		refuse(nc, gossh.ResourceShortage, "too many sessions are open: close one")
		return
	}
	defer s.gate.leave(who.Staff)
	ses := &session{server: s, who: who, sizes: make(chan tui.Size, 1), done: make(chan struct{})}
	ses.ctx, ses.end = context.WithCancelCause(s.ctx)
	defer ses.end(nil)
	ses.active()
	// A server of its own for each channel is how the library is told which
	// handler a session has: the connection's context is shared by them all.
	own := &ssh.Server{PtyHandler: srv.PtyHandler, Handler: func(sess ssh.Session) {
		defer close(ses.done)
		ses.run(sess)
	}}
	ssh.DefaultSessionHandler(own, sc, &narrow{NewChannel: nc, ses: ses}, ctx)
	ses.end(nil)
	if ses.begun.Load() {
		<-ses.done
	}
}

// refuse turns a channel away; a client that is gone needs no answer.
func refuse(nc gossh.NewChannel, why gossh.RejectionReason, text string) { _ = nc.Reject(why, text) }

func (ses *session) active() {
	ses.last.Store(time.Now().UnixNano())
	ses.unread.Store(0)
}

// narrow passes on only those requests on a channel that a session needs.
type narrow struct {
	gossh.NewChannel
	ses *session
}

// Accept opens the channel. When the client closes it, the session ends.
func (n *narrow) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, all, err := n.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	some := make(chan *gossh.Request)
	go func() {
		defer close(some)
		defer n.ses.end(context.Canceled)
		for req := range all {
			switch req.Type {
			case "shell", "exec":
				n.ses.begun.Store(true)
				some <- req
			case "pty-req":
				some <- req
			case "window-change":
				n.ses.resize(req.Payload)
			default: // environment, agent, X11, subsystem, signals
				if req.WantReply {
					_ = req.Reply(false, nil) // the client may be gone
				}
			}
		}
	}()
	return ch, some, nil
}

// resize keeps the newest size; a flood of them costs nothing.
func (ses *session) resize(payload []byte) {
	var w struct{ Cols, Rows, Width, Height uint32 }
	if gossh.Unmarshal(payload, &w) != nil {
		return
	}
	size := tui.Size{Cols: int(min(w.Cols, 1<<16)), Rows: int(min(w.Rows, 1<<16))}
	for {
		select {
		case ses.sizes <- size:
			return
		default:
		}
		select {
		case <-ses.sizes:
		default:
		}
	}
}

// run is a session from sign-in to sign-out.
func (ses *session) run(sess ssh.Session) {
	desk := ses.server.o.Desk
	if err := desk.SignedIn(ses.ctx, ses.who); err != nil {
		fmt.Fprintln(sess.Stderr(), "kartotek: "+err.Error())
		_ = sess.Exit(1) // the client may be gone
		return
	}
	var watch sync.WaitGroup
	watch.Go(ses.watch)
	code := ses.serve(sess)
	why := context.Cause(ses.ctx)
	if code == 0 && why != nil {
		code = 1
	}
	if why != nil && !errors.Is(why, context.Canceled) {
		fmt.Fprintln(sess.Stderr(), "kartotek: "+why.Error())
	}
	ses.end(nil)
	watch.Wait()
	if err := desk.SignedOut(context.WithoutCancel(ses.ctx), ses.who); err != nil {
		ses.server.o.Log.Error("a sign-out can't be written into the audit", "error", err)
	}
	_ = sess.Exit(code) // the client may be gone: there is nobody to tell
}

// serve is the console, or the command that was given.
func (ses *session) serve(sess ssh.Session) (code int) {
	o := ses.server.o
	in := &counted{ses: ses, r: sess}
	defer func() {
		if p := recover(); p != nil { // one session's fault ends that session
			o.Log.Error("a session failed", "panic", fmt.Sprintf("%T", p))
			code = 1
		}
	}()
	if sess.RawCommand() != "" {
		in.feeds = true
		return o.Command(ses.ctx, ses.who, sess.Command(), Streams{In: in, Out: sess, Err: sess.Stderr()})
	}
	pty, _, ok := sess.Pty()
	if !ok {
		fmt.Fprintln(sess.Stderr(), "kartotek: the console needs a terminal: use ssh -t, or give a command, such as find ADDRESS")
		return 2
	}
	ses.idles.Store(true)
	console := o.Console
	console.Actor = ses.who
	err := tui.RunOn(ses.ctx, console, tui.Terminal{
		In: in, Out: sess, Environ: []string{"TERM=" + pty.Term[:min(len(pty.Term), 64)]},
		Size: tui.Size{Cols: pty.Window.Width, Rows: pty.Window.Height}, Sizes: ses.sizes, Active: ses.active,
	})
	if err != nil {
		o.Log.Error("a console ended", "error", err)
		return 1
	}
	return 0
}

// counted reads what the client sends. Its end is the session's.
type counted struct {
	ses   *session
	r     io.Reader
	feeds bool // a command, which works by itself once it has what it reads
}

// Read is io.Reader's.
func (c *counted) Read(p []byte) (int, error) {
	if c.feeds {
		c.ses.active()
		c.ses.idles.Store(true)
		defer c.ses.idles.Store(false)
		return c.r.Read(p)
	}
	n, err := c.r.Read(p)
	if c.ses.unread.Add(int64(n)) > mostUnread {
		err = errFlooded
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			c.ses.end(context.Canceled)
		} else {
			c.ses.end(err)
		}
		return 0, io.EOF
	}
	return n, nil
}

// watch ends a session whose user does nothing, or is not in staff any more.
func (ses *session) watch() {
	l := ses.server.o.Limits
	tick := time.NewTicker(l.Watch)
	defer tick.Stop()
	for {
		select {
		case <-ses.server.ctx.Done():
			ses.end(errStopped)
			return
		case <-ses.ctx.Done():
			return
		case <-tick.C:
		}
		if ses.idles.Load() && time.Since(time.Unix(0, ses.last.Load())) > l.Idle {
			ses.end(errIdle)
			return
		}
		if err := ses.server.o.Desk.StillIn(ses.ctx, ses.who); errors.Is(err, flows.ErrSignedOut) {
			ses.end(err)
			return
		}
	}
}
