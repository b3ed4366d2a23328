package mta

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// refuse is a verdict of ours, made without a server's word.
func refuse(enhanced, why string) *Verdict {
	return &Verdict{State: Refused, Enhanced: enhanced, Reply: why}
}

// accepted is the verdict on a message that the server took.
func accepted(rep reply, to string) *Verdict {
	return fromReply(Delivered, rep, to)
}

// failed is the verdict on an attempt that ended in err, an error of a session or a door.
func failed(err error, to string) *Verdict {
	var no *refusal
	if errors.As(err, &no) {
		state := Deferred
		if final(no) {
			state = Refused
		}
		return fromReply(state, no.reply, to)
	}
	v := &Verdict{State: Deferred, Enhanced: "4.4.2", Reply: wordsFor(err)}
	var f *fault
	if !errors.As(err, &f) {
		return v
	}
	if errors.Is(err, context.Canceled) && f.phase != phaseDot {
		v.State, v.Retry = Postponed, time.Now() // we have broken it off: another sender may go on at once
	}
	switch f.phase {
	case phaseDial:
		v.Enhanced = "4.4.1"
	case phaseTLS:
		v.Enhanced = "4.7.5"
	case phaseAuth:
		v.Enhanced = "4.7.0"
	}
	v.Reply = "while " + string(f.phase) + ": " + v.Reply
	if f.phase == phaseDot {
		v.Reply = "the message was sent, but its receipt is missing; it may have arrived (" + wordsFor(err) + ")"
	}
	return v
}

// final tells whether a refusal is about the letter, for good. A 5xx before the envelope is about this server or
// our account on it, and so is a demand to log in (RFC 4954 section 6), wherever it comes: somebody can mend that.
func final(no *refusal) bool {
	switch no.phase {
	case phaseGreeting, phaseHello, phaseTLS, phaseAuth:
		return false
	}
	switch no.reply.code {
	case 530, 534, 535, 538:
		return false
	}
	return no.reply.code/100 == 5
}

func fromReply(state State, rep reply, to string) *Verdict {
	v := &Verdict{State: state, Code: rep.code, Enhanced: rep.enhanced, Reply: cleanReply(rep.text(), to)}
	if v.Enhanced == "" {
		v.Enhanced = map[State]string{Delivered: "2.0.0", Deferred: "4.0.0", Refused: "5.0.0"}[state]
	}
	return v
}

// complete adds what holds for every verdict, and returns it: who answered, how, when and with which words.
func (v *Verdict) complete(s *session, host, to string) *Verdict {
	v.At = time.Now().UTC()
	v.Host = host
	if s == nil {
		return v
	}
	v.TLS = s.tls
	if len(s.talk) > 0 {
		v.Transcript = make([]string, len(s.talk))
	}
	for i, line := range s.talk {
		v.Transcript[i] = cleanReply(line, to)
	}
	return v
}

// wordsFor tells what broke in words of ours: the text of a network error names IP addresses, and that of a TLS
// error may hold whatever the other side sent.
func wordsFor(err error) string {
	for _, ours := range []error{
		errBabble, errNoReply, errUnasked, errNoTLS, errNoLogin, errUnproven, errUntrusted, errHandshake, errDeaf, errNowhere,
	} {
		if errors.Is(err, ours) {
			return ours.Error()
		}
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return "broken off, for the sender is stopping"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the server's name does not exist"
	case errors.As(err, &dns):
		return "the server's name can't be looked up"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return errTimedOut.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the server refused the connection"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "the server closed the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the server can't be reached from here"
	}
	return "the connection failed"
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
