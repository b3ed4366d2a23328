package mta

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// This file alone speaks SMTP as a client (RFC 5321). go-smtp's own client is not used here: it sends one
// command per round trip (BenchmarkExchange measures what that costs), can't leave the greeting before
// STARTTLS to the caller, and bounds neither the time of a body nor the length of a reply.

// phase is how far an exchange had come when it ended.
type phase string

const (
	phaseDial     phase = "connecting"
	phaseGreeting phase = "waiting for the greeting"
	phaseHello    phase = "saying hello"
	phaseTLS      phase = "starting TLS"
	phaseAuth     phase = "logging in"
	phaseMail     phase = "naming the sender"
	phaseRcpt     phase = "naming the recipient"
	phaseData     phase = "announcing the message"
	phaseBody     phase = "sending the message"
	phaseDot      phase = "waiting for the receipt"
)

// fault is an exchange that broke: the connection is of no further use.
type fault struct {
	phase phase
	err   error
}

func (f *fault) Error() string { return string(f.phase) + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// refusal is a reply other than the one asked for: the server is there and said no.
type refusal struct {
	phase phase
	reply reply
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: answered %d", r.phase, r.reply.code) }

// session is one connection to a server that has been greeted, and as the door asks, encrypted and logged in.
type session struct {
	*wire
	patience patience
	tls      string            // protocol version, empty in clear
	caps     map[string]string // EHLO keywords in upper case, with their parameters
	takes    abilities
	sent     int             // messages offered
	before   <-chan struct{} // closed once the message before has been marked; nil for none
	steps    [3]step         // the commands of the envelope under way
	ahead    bool            // they went out with the end of the last message
	dirty    bool            // a transaction is half open: RSET before the next
	worn     bool            // not to be kept for another letter
	born     time.Time
	idle     *time.Timer // lets go of a kept connection
}

// ask sends one command and returns its reply, whatever it is.
func (s *session) ask(ctx context.Context, ph phase, shown, line string) (reply, error) {
	if err := s.say(ctx, s.patience.command, shown, line); err != nil {
		return reply{}, &fault{ph, err}
	}
	rep, err := s.hear(ctx, s.patience.command)
	if err != nil {
		return rep, &fault{ph, err}
	}
	return rep, nil
}

// greet waits for the server's first words.
func (s *session) greet(ctx context.Context) error {
	rep, err := s.hear(ctx, s.patience.greeting)
	if err != nil {
		return &fault{phaseGreeting, err}
	}
	if rep.code != 220 {
		return &refusal{phaseGreeting, rep}
	}
	return nil
}

// hello introduces us and notes what the server offers; an old server gets HELO.
func (s *session) hello(ctx context.Context, name string) error {
	s.caps = map[string]string{}
	rep, err := s.ask(ctx, phaseHello, "EHLO "+name, "EHLO "+name)
	if err != nil {
		return err
	}
	if rep.code == 500 || rep.code == 502 {
		rep, err = s.ask(ctx, phaseHello, "HELO "+name, "HELO "+name)
		if err != nil {
			return err
		}
	}
	if rep.code != 250 {
		return &refusal{phaseHello, rep}
	}
	for _, line := range rep.more {
		word, args, _ := strings.Cut(line, " ")
		s.caps[strings.ToUpper(word)] = args
	}
	limit, _ := strconv.ParseInt(s.caps["SIZE"], 10, 64) // without a number it is not known
	s.takes = abilities{
		pipelining: s.offers("PIPELINING"), dsn: s.offers("DSN"), eightBit: s.offers("8BITMIME"), utf8: s.offers("SMTPUTF8"),
		size: s.offers("SIZE"), limit: max(limit, 0),
	}
	return nil
}

// abilities are what every letter asks of a server's keywords.
type abilities struct {
	pipelining, dsn, eightBit, utf8 bool

	size  bool
	limit int64 // of a message in bytes; 0 for none that is known
}

func (s *session) offers(keyword string) bool {
	_, ok := s.caps[keyword]
	return ok
}

// authenticate carries one log-in through (RFC 4954 section 4). What the two sides say within it is left out of the
// transcript, for a password could be guessed by it.
func (s *session) authenticate(ctx context.Context, client sasl.Client) error {
	mech, initial, err := client.Start()
	if err != nil {
		return &fault{phaseAuth, err}
	}
	line := "AUTH " + mech
	if initial != nil {
		line += " " + base64.StdEncoding.EncodeToString(initial)
	}
	for {
		said := len(s.talk)
		rep, err := s.ask(ctx, phaseAuth, "AUTH "+mech+" ***", line)
		if err != nil {
			return err
		}
		if c, ok := client.(*scramClient); ok && rep.code == 235 && !c.proven() {
			return &fault{phaseAuth, errUnproven}
		}
		if rep.code == 235 {
			return nil
		}
		if rep.code != 334 {
			return &refusal{phaseAuth, rep}
		}
		s.talk = s.talk[:min(said+1, len(s.talk))]
		s.note("< 334 ***")
		challenge, err := base64.StdEncoding.DecodeString(rep.line)
		if err != nil {
			return &fault{phaseAuth, errNoReply}
		}
		answer, err := client.Next(challenge)
		if err != nil && !errors.Is(err, errUnproven) {
			err = errNoLogin
		}
		if err != nil {
			return &fault{phaseAuth, err}
		}
		line = base64.StdEncoding.EncodeToString(answer)
	}
}

// send offers one message. A nil error means that the server took it, with the reply that says so. The envelope of the
// message that next names, if it names one, goes out with this one's end (RFC 2920 section 3.1: the transfer of a
// message may be the first command of a group).
func (s *session) send(ctx context.Context, p *parcel, next func() *parcel) (reply, error) {
	s.sent++
	if s.dirty {
		rep, err := s.ask(ctx, phaseMail, "RSET", "RSET")
		if err != nil {
			return rep, err
		}
		if !rep.ok() {
			return rep, &fault{phaseMail, errNoReply}
		}
	}
	s.dirty = true
	if rep, err := s.envelope(ctx, p); err != nil {
		return rep, err
	}
	if err := s.awaitMark(ctx); err != nil {
		return reply{}, &fault{phaseData, err}
	}
	var behind []step
	if n := next(); n != nil {
		s.prepare(n)
		behind = s.steps[:]
	}
	last, err := s.body(ctx, s.patience.block, p.msg, behind)
	if err != nil {
		ph := phaseBody
		if last {
			ph = phaseDot
		}
		return reply{}, &fault{ph, err}
	}
	rep, err := s.hear(ctx, s.patience.dot)
	if err != nil {
		return rep, &fault{phaseDot, err}
	}
	s.dirty, s.ahead = false, behind != nil
	return rep, dot.judge(rep)
}

// awaitMark returns when it is written down what came of the message before: so a crash repeats one for each
// connection, at most.
func (s *session) awaitMark(ctx context.Context) error {
	if s.before == nil {
		return nil
	}
	select {
	case <-s.before:
		s.before = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// step is one command of the envelope: verb, path and rest make its line.
type step struct {
	phase            phase
	verb, path, rest string
	shown            string // what the transcript has of it
	want             int    // hundreds of the code
}

// dot is the end of a message.
var dot = step{phase: phaseDot, want: 2}

// judge tells a refusal from an answer that is no answer to this command: after that one nobody knows which
// reply belongs to which command.
func (st *step) judge(rep reply) error {
	switch rep.code / 100 {
	case st.want:
		return nil
	case 4, 5:
		return &refusal{st.phase, rep}
	}
	return &fault{st.phase, errNoReply}
}

// prepare makes the steps of a parcel's envelope.
func (s *session) prepare(p *parcel) {
	mail, rcpt := s.shown(p)
	s.steps = [3]step{
		{phaseMail, "MAIL FROM:<", p.from, mail[len(shownSender):], mail, 2},
		{phaseRcpt, "RCPT TO:<", p.to, rcpt[len(shownRecipient):], rcpt, 2},
		{phaseData, "DATA", "", "", "> DATA", 3},
	}
}

// commands appends the lines of some steps to out.
func commands(out []byte, steps []step) []byte {
	for i := range steps {
		st := &steps[i]
		out = append(append(append(append(out, st.verb...), st.path...), st.rest...), "\r\n"...)
	}
	return out
}

// envelope brings the server to the point where it waits for the message. With PIPELINING (RFC 2920) its
// commands go out together, and every answer is read even after a refusal, so that the connection stays usable.
func (s *session) envelope(ctx context.Context, p *parcel) (reply, error) {
	if s.ahead {
		s.ahead = false
		return s.pipeline(ctx, true)
	}
	s.prepare(p)
	if s.takes.pipelining {
		return s.pipeline(ctx, false)
	}
	for _, st := range &s.steps {
		rep, err := s.ask(ctx, st.phase, st.shown[2:], st.verb+st.path+st.rest)
		if err != nil {
			return rep, err
		}
		if err := st.judge(rep); err != nil {
			return rep, err
		}
	}
	return reply{}, nil
}

// pipeline sends the steps at once, unless they are ahead, and reads their answers.
func (s *session) pipeline(ctx context.Context, ahead bool) (reply, error) {
	for i := range s.steps {
		s.note(s.steps[i].shown)
	}
	if !ahead {
		if err := s.write(ctx, s.patience.command, commands(s.out[:0], s.steps[:])); err != nil {
			return reply{}, &fault{phaseMail, err}
		}
	}
	var said reply // the first reply other than the one asked for
	var no error
	for i := range s.steps {
		st := &s.steps[i]
		rep, err := s.hear(ctx, s.patience.command)
		if err != nil && no == nil {
			return rep, &fault{st.phase, err}
		}
		if err != nil || rep.code == 421 {
			s.worn = true // a server that says no and hangs up has said no
			if no == nil {
				said, no = rep, st.judge(rep)
			}
			break
		}
		switch {
		case no == nil:
			if no = st.judge(rep); no != nil {
				said = rep
			}
		case ahead && st.phase == phaseRcpt && rep.ok():
			return rep, &fault{phaseMail, errNoReply} // no recipient without a sender: what was refused wasn't the sender
		case rep.code == 354:
			// The server wants a message for nobody. An empty one ends its wait (RFC 2920 section 3.1), and
			// the connection with it: who answers so may do anything with the next letter.
			s.worn = true
			_ = s.say(ctx, s.patience.command, ".", ".")
		}
	}
	return said, no
}

// What the transcript shows up to the end of a path.
const (
	shownSender    = "> MAIL FROM:<sender"
	shownRecipient = "> RCPT TO:<recipient"
)

// shown are MAIL and RCPT as the transcript shows them, with their parameters, each only where the server offers it. A
// parcel that needs more than the server offers never gets here (see fit).
//
// A report of failure (RFC 3461) is asked for by the letter's number and without the message: its links are the
// recipient's alone. There is none to ask for without a sender to report to.
func (s *session) shown(p *parcel) (mail, rcpt string) {
	b := append(append(make([]byte, 0, 128), shownSender...), '>')
	if s.takes.size {
		b = strconv.AppendInt(append(b, " SIZE="...), int64(len(p.msg)), 10)
	}
	if p.eightBit {
		b = append(b, " BODY=8BITMIME"...)
	}
	if p.utf8Path || p.utf8Head {
		b = append(b, " SMTPUTF8"...)
	}
	rcpt = shownRecipient + ">"
	if s.takes.dsn && p.from != "" {
		b = strconv.AppendInt(append(b, " RET=HDRS ENVID="...), p.id, 10)
		rcpt = shownRecipient + "> NOTIFY=FAILURE"
	}
	return string(b), rcpt
}

// fit makes the parcel one that this server can take, or says why it can't at all. Text of 8 bits for a server of 7 is
// encoded anew, unless the header is beyond ASCII too, or a signature covers it.
func (s *session) fit(p *parcel) (*parcel, *Verdict) {
	switch {
	case p.utf8Path && !s.takes.utf8:
		return p, refuse("5.6.7", "the server takes no addresses beyond ASCII")
	case p.utf8Head && !s.takes.utf8:
		return p, refuse("5.6.9", "the server takes no header beyond ASCII")
	case p.eightBit && !s.takes.eightBit:
		var ok bool
		if p, ok = p.inSevenBits(); !ok {
			return p, refuse("5.6.3", "the server takes 7-bit messages only")
		}
	}
	if limit := s.takes.limit; limit > 0 && int64(len(p.msg)) > limit {
		return p, refuse("5.3.4", "the message is larger than the server takes")
	}
	return p, nil
}

// quit takes leave, waiting a moment at most, and closes the connection.
func (s *session) quit() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = s.ask(ctx, phaseHello, "QUIT", "QUIT") // nothing depends on the answer
	_ = s.conn.Close()
}
