package mta

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// maxCaptured is the largest message that is captured, in bytes.
const maxCaptured = 25 << 20

// Capture is the route of a new machine: an SMTP server in this process, on loopback, that keeps the mail
// instead of passing it on, so that the whole round works with no name service and no port 25. Letters go to it
// through a real SMTP conversation.
type Capture struct {
	pool   *pool
	listen net.Listener
	server *smtp.Server
	keep   func(ctx context.Context, from, to string, data []byte) error
	secret string // the name by which our own client says hello; others on this machine can't know it

	ctx     context.Context // of the keeping under way, ended by Close
	cancel  context.CancelFunc
	keeping sync.RWMutex // held for reading while a message is kept
	serving chan struct{}
}

// NewCapture starts the server. keep gets each message, with CRLF line ends, before it is acknowledged: when it
// fails the letter is deferred, and the error's text is in the verdict. It is called by several goroutines at once.
func NewCapture(keep func(ctx context.Context, from, to string, data []byte) error) (*Capture, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the capture server: %w", err)
	}
	c := &Capture{listen: l, keep: keep, secret: rand.Text() + ".invalid", serving: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.server = smtp.NewServer(smtp.BackendFunc(c.admit))
	c.server.Domain = "capture.invalid"
	c.server.MaxRecipients = 1
	c.server.MaxMessageBytes = maxCaptured
	c.server.EnableSMTPUTF8 = true
	c.server.ReadTimeout = time.Minute
	c.server.WriteTimeout = time.Minute
	c.server.ErrorLog = log.New(io.Discard, "", 0) // it would name addresses; our client sees every failure anyway
	c.pool = &pool{host: "capture", door: &door{
		dial: dialTo(l.Addr().String()), helo: c.secret, patience: usualPatience,
	}}
	go func() {
		defer close(c.serving)
		_ = c.server.Serve(l) // ends by Close; until then our client sees every failure
	}()
	return c, nil
}

// admit takes only ourselves: other users of this machine can reach the port as well.
func (c *Capture) admit(conn *smtp.Conn) (smtp.Session, error) {
	if conn.Hostname() != c.secret {
		return nil, &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not for you"}
	}
	return &captured{capture: c}, nil
}

// Name is "capture".
func (c *Capture) Name() string { return "capture" }

// Deliver sends the letter to the server in this process.
func (c *Capture) Deliver(ctx context.Context, l Letter, mark func(Verdict)) {
	c.pool.carry(ctx, l, mark)
}

// Close stops the server and waits until nothing is being kept any more.
func (c *Capture) Close() error {
	c.pool.close()
	c.cancel()
	_ = c.listen.Close() // the server doesn't know of it before it serves
	err := c.server.Close()
	<-c.serving
	c.keeping.Lock() // waits for the readers
	defer c.keeping.Unlock()
	if err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop the capture server: %w", err)
	}
	return nil
}

// captured is one SMTP session on the server's side.
type captured struct {
	capture  *Capture
	from, to string
}

func (s *captured) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *captured) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *captured) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.capture.keeping.RLock()
	defer s.capture.keeping.RUnlock()
	if err := s.capture.ctx.Err(); err != nil {
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "stopping"}
	}
	if err := s.capture.keep(s.capture.ctx, s.from, s.to, data); err != nil {
		return &smtp.SMTPError{
			Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0},
			Message: "the message could not be kept: " + oneLine(err.Error()),
		}
	}
	return nil
}

func (s *captured) Reset()        { s.from, s.to = "", "" }
func (s *captured) Logout() error { return nil }
