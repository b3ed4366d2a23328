package mta

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"
)

// What a server may say at most. RFC 5321 section 4.5.3.1.5 allows 512 bytes a line; real ones exceed it.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
	maxReplyBytes = 32 << 10
	// maxTalk bounds the lines of one transcript.
	maxTalk = 64
	// block is how much of a body is written under one deadline.
	block = 32 << 10
)

var (
	errBabble   = errors.New("the server says more than a server may say")
	errNoReply  = errors.New("the server's answer is no SMTP reply")
	errUnasked  = errors.New("the server answered what nobody asked")
	errPast     = time.Unix(1, 0) // a deadline that has passed
	errTimedOut = errors.New("the server took too long")
)

// patience is how long each phase may take. RFC 5321 section 4.5.3.2 names minutes for servers under load; the
// sum is bounded by the deadline of the letter.
type patience struct {
	dial, greeting, command, block, dot time.Duration
}

var usualPatience = patience{
	dial:     30 * time.Second,
	greeting: 2 * time.Minute,
	command:  2 * time.Minute,
	block:    time.Minute,
	dot:      5 * time.Minute,
}

// reply is one answer of a server.
type reply struct {
	code     int
	enhanced string // of RFC 3463, without its text; empty if the server gave none
	line     string // the words of the first line
	more     []string
}

func (r *reply) ok() bool { return r.code/100 == 2 }

func (r *reply) text() string {
	if len(r.more) == 0 {
		return r.line
	}
	return r.line + " " + strings.Join(r.more, " ")
}

// wire is a connection that answers in replies: bounded in time and in size, and with a transcript. It knows
// nothing of the order of commands.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	talk []string // raw, masked by transcript
	out  []byte   // what is written next, its room used again

	reading, writing deadline
}

func newWire(conn net.Conn) *wire {
	return &wire{conn: conn, r: bufio.NewReaderSize(conn, maxReplyLine)}
}

// abort closes the connection at once, without taking leave of the other side.
func (w *wire) abort() {
	conn := w.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close() // nothing is expected of it any more
}

// bind makes the end of ctx break off whatever the connection is waiting for, until release is called.
func (w *wire) bind(ctx context.Context) (release func() bool) {
	conn := w.conn
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(errPast) })
}

// deadline is one that a connection has; zero for none.
type deadline time.Time

// renew makes it d from now, and no later than the end of ctx. One that is there and leaves nearly as much stays, for
// setting one costs as much as a small letter's checks: then set is false.
func (l *deadline) renew(ctx context.Context, d time.Duration) (t time.Time, set bool) {
	now := time.Now()
	t = now.Add(d)
	if end, ok := ctx.Deadline(); ok && end.Before(t) {
		t = end
	}
	if early := t.Sub(time.Time(*l)); early >= 0 && early < t.Sub(now)/16 {
		return t, false
	}
	*l = deadline(t)
	return t, true
}

// allowWriting gives the next writes the time d, and no more than ctx has left.
func (w *wire) allowWriting(ctx context.Context, d time.Duration) error {
	if t, set := w.writing.renew(ctx, d); set {
		if err := w.conn.SetWriteDeadline(t); err != nil {
			return err
		}
	}
	return ctx.Err() // checked last: bind's function may have run before
}

// allowReading gives the next reply its time. One of a single line that has come needs none.
func (w *wire) allowReading(ctx context.Context, d time.Duration) error {
	there, _ := w.r.Peek(w.r.Buffered())
	if end := bytes.IndexByte(there, '\n'); end >= 0 && (end <= 3 || there[3] != '-') {
		return ctx.Err()
	}
	if t, set := w.reading.renew(ctx, d); set {
		if err := w.conn.SetReadDeadline(t); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// say writes a command line, as the transcript shall show it in shown, without waiting for an answer.
func (w *wire) say(ctx context.Context, d time.Duration, shown, line string) error {
	w.note("> " + shown)
	return w.write(ctx, d, append(append(w.out[:0], line...), "\r\n"...))
}

// write writes b, which may be in the room of out, within the time d.
func (w *wire) write(ctx context.Context, d time.Duration, b []byte) error {
	w.keep(b)
	if err := w.allowWriting(ctx, d); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// body writes a message and, in one with its end, the commands that go behind it, each block under its own deadline.
// last tells whether its final block, and so possibly its final dot, was begun: from there on a failure doesn't mean
// that nothing arrived.
func (w *wire) body(ctx context.Context, d time.Duration, msg []byte, behind []step) (last bool, err error) {
	all := stuff(w.out[:0], msg)
	w.note("> (" + strconv.Itoa(len(all)) + " bytes)")
	all = commands(all, behind)
	w.keep(all)
	for len(all) > 0 {
		n := min(len(all), block)
		if err := w.allowWriting(ctx, d); err != nil {
			return false, err
		}
		last = n == len(all)
		if _, err := w.conn.Write(all[:n]); err != nil {
			return last, err
		}
		all = all[n:]
	}
	return last, nil
}

// keep lets the room of b be used for what is written next, unless it is much.
func (w *wire) keep(b []byte) {
	if cap(b) <= block {
		w.out = b
	}
}

// hear reads one reply, of any number of lines within the bounds.
func (w *wire) hear(ctx context.Context, d time.Duration) (reply, error) {
	var rep reply
	if err := w.allowReading(ctx, d); err != nil {
		return rep, err
	}
	total := 0
	for range maxReplyLines {
		raw, err := w.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return rep, errBabble
		}
		if err != nil {
			return rep, err
		}
		if total += len(raw); total > maxReplyBytes {
			return rep, errBabble
		}
		noted := "< " + string(bytes.TrimRight(raw, "\r\n"))
		w.note(noted)
		line := noted[2:]
		more, err := rep.add(line)
		if err != nil {
			return rep, err
		}
		if !more {
			return rep, nil
		}
	}
	return rep, errBabble
}

// add takes one line of a reply (RFC 5321 section 4.2); more tells that others follow.
func (r *reply) add(line string) (more bool, err error) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return false, errNoReply
	}
	code, err := strconv.ParseUint(line[:3], 10, 16)
	if err != nil || code < 200 || code > 599 || r.code != 0 && int(code) != r.code {
		return false, errNoReply
	}
	first := r.code == 0
	r.code = int(code)
	text, more := "", false
	if len(line) > 3 {
		text, more = line[4:], line[3] == '-'
	}
	if e, rest := cutEnhanced(text, r.code); e != "" {
		if r.enhanced == "" {
			r.enhanced = e
		}
		text = rest
	}
	if first {
		r.line = text
	} else {
		r.more = append(r.more, text)
	}
	return more, nil
}

// cutEnhanced takes a status code of RFC 3463 off the beginning of text; its class must be the reply's
// (RFC 2034 section 4), or it is part of the words.
func cutEnhanced(text string, code int) (enhanced, rest string) {
	first, rest, _ := strings.Cut(text, " ")
	class, subject, _ := strings.Cut(first, ".")
	subject, detail, _ := strings.Cut(subject, ".")
	if len(class) != 1 || int(class[0]-'0') != code/100 || !isStatusNumber(subject) || !isStatusNumber(detail) {
		return "", text
	}
	return first, rest
}

// isStatusNumber tells whether s is of one to three digits (RFC 3463 section 2).
func isStatusNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 3
}

// quiet reports whether nothing is left that the server said: an answer too many would be taken for the
// answer to the next command.
func (w *wire) quiet() bool { return w.r.Buffered() == 0 }

func (w *wire) note(line string) {
	if len(w.talk) < maxTalk {
		w.talk = append(w.talk, line)
	}
}
