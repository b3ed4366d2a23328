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
	lines    []string
}

func (r reply) ok() bool     { return r.code/100 == 2 }
func (r reply) text() string { return strings.Join(r.lines, " ") }

// wire is a connection that answers in replies: bounded in time and in size, and with a transcript. It knows
// nothing of the order of commands.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	talk []string // raw, masked by transcript
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

// allow gives the next reads and writes the time d, and no more than ctx has left.
func (w *wire) allow(ctx context.Context, d time.Duration) error {
	t := time.Now().Add(d)
	if end, ok := ctx.Deadline(); ok && end.Before(t) {
		t = end
	}
	if err := w.conn.SetDeadline(t); err != nil {
		return err
	}
	return ctx.Err() // checked last: bind's function may have run before SetDeadline
}

// allowReading gives the next reply its time. One that has come needs none, unless it is of several lines: those have
// what is left of the time before.
func (w *wire) allowReading(ctx context.Context, d time.Duration) error {
	if there, _ := w.r.Peek(w.r.Buffered()); bytes.IndexByte(there, '\n') >= 0 {
		return ctx.Err()
	}
	return w.allow(ctx, d)
}

// say writes command lines, as the transcript shall show them in shown, without waiting for an answer.
func (w *wire) say(ctx context.Context, d time.Duration, shown []string, lines string) error {
	for _, s := range shown {
		w.note("> " + s)
	}
	return w.write(ctx, d, []byte(lines))
}

// write writes b within the time d.
func (w *wire) write(ctx context.Context, d time.Duration, b []byte) error {
	if err := w.allow(ctx, d); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// body writes a prepared message and, in one with its end, what goes behind it, each block under its own deadline. last
// tells whether its final block, and so possibly its final dot, was begun: from there on a failure doesn't mean that
// nothing arrived.
func (w *wire) body(ctx context.Context, d time.Duration, msg, behind []byte) (last bool, err error) {
	w.note("> (" + strconv.Itoa(len(msg)) + " bytes)")
	msg = append(msg, behind...)
	for len(msg) > 0 {
		n := min(len(msg), block)
		if err := w.allow(ctx, d); err != nil {
			return false, err
		}
		last = n == len(msg)
		if _, err := w.conn.Write(msg[:n]); err != nil {
			return last, err
		}
		msg = msg[n:]
	}
	return last, nil
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
		line := strings.TrimRight(string(raw), "\r\n")
		w.note("< " + line)
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
	r.lines = append(r.lines, text)
	return more, nil
}

// cutEnhanced takes a status code of RFC 3463 off the beginning of text; its class must be the reply's
// (RFC 2034 section 4), or it is part of the words.
func cutEnhanced(text string, code int) (enhanced, rest string) {
	first, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(first, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(code/100) {
		return "", text
	}
	for _, p := range parts[1:] {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return "", text
		}
	}
	return first, rest
}

// quiet reports whether nothing is left that the server said: an answer too many would be taken for the
// answer to the next command.
func (w *wire) quiet() bool { return w.r.Buffered() == 0 }

func (w *wire) note(line string) {
	if len(w.talk) < maxTalk {
		w.talk = append(w.talk, line)
	}
}
