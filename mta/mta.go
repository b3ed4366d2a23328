// Package mta is the mail transfer room: how a letter leaves, and what came back.
//
// It exists so that the company's mail leaves through its own hands, with a queue that staff can read. It
// knows letters, routes and verdicts and nothing else: no contact, no permission, no SQL. It imports nothing
// of ours; what it needs of the outbox is the small [Spool] interface, which the flows fill.
//
// What it may not do: decide whether a letter should be sent, keep a letter, or let a personal value (an
// address, a server's words about one) into a log or an error text. Whatever a server says is hostile input:
// it is bounded when read and cleaned before it becomes part of a [Verdict].
//
// Start reading at [Sender.Run], which walks the queue; then exchange.go, the one file that speaks SMTP; then a
// route: relay.go (smart host), capture.go (keeps the mail in this process).
package mta

import (
	"context"
	"errors"
	"time"
)

// ErrLost is returned by [Spool.Mark] when the lease is no longer the owner's, or the letter is gone
// (its person was erased, or another sender took it over after the lease ran out).
var ErrLost = errors.New("the lease of the letter is lost")

// Letter is one claimed message.
type Letter struct {
	ID int64
	// Lease is the number of the lease that the letter was claimed with.
	Lease int64
	// From is the envelope sender (RFC 5321 section 4.1.1.2); empty for the null reverse path.
	From string
	// To is the one envelope recipient.
	To string
	// Data is the message of RFC 5322 with CRLF line ends.
	Data []byte
	// Attempts counts the tries to send it, this one too.
	Attempts int
	// Created is when the letter was put into the outbox; giving up counts from here.
	Created time.Time
	// Urgent letters, which somebody waits for at this moment, have slots of their own.
	Urgent bool
}

// State says what became of one attempt.
type State string

// The outcomes of an attempt.
const (
	// Delivered: the next server has taken responsibility (2xx after the final dot).
	Delivered State = "delivered"
	// Deferred: not now; try again at [Verdict.Retry] (4xx, network and name service faults).
	Deferred State = "deferred"
	// Refused: never (5xx, an impossible address, or given up).
	Refused State = "refused"
	// Postponed: the destination has as much from us as it takes, or we have broken it off; nobody has answered, so it is no attempt.
	Postponed State = "postponed"
)

// Verdict is what came back from one attempt.
type Verdict struct {
	State State
	// Code is the server's reply code (RFC 5321 section 4.2), 0 when no server answered.
	Code int
	// Enhanced is the status code of RFC 3463, such as "5.1.1"; from the server, or ours when it gave none.
	Enhanced string
	// Reply is the server's words, or ours when no server answered: one line of at most 500 bytes without
	// control characters, the recipient's address replaced by "<recipient>".
	Reply string
	// Host is the server that answered, as it was looked for.
	Host string
	// TLS is the protocol version used, such as "TLS 1.3", and whether the server had to prove its name; empty in
	// clear.
	TLS string
	At  time.Time
	// Digest is the SHA-256 of the message as it was handed on, its signatures included.
	Digest [32]byte
	// Retry is when to try again; zero unless deferred or postponed.
	Retry time.Time
	// Transcript is the masked conversation, one line an element; empty when nothing was said.
	Transcript []string
}

// Spool is what the room needs of the outbox.
type Spool interface {
	// Claim leases up to n due letters to owner, and up to spare more that are urgent, and notes the attempts. It
	// has committed both before it returns, so that a crash while sending can't make an attempt unseen. Letters that
	// can't be read are the error, beside those that can.
	Claim(ctx context.Context, owner string, n, spare int, lease time.Duration) ([]Letter, error)
	// Renew lets all leases of owner begin anew whose letters have no verdict yet.
	Renew(ctx context.Context, owner string, lease time.Duration) error
	// Mark records a verdict and takes the letter out of its lease. It is fenced by that: [ErrLost] when the letter is
	// no longer in [Letter.Lease], or gone. Marks of several goroutines may share a transaction. It takes a bounded
	// time, also when ctx has none.
	Mark(ctx context.Context, l Letter, v Verdict) error
	// Forget tells that no verdict of a letter will come. It waits for another attempt where it stood.
	Forget(l Letter)
}

// Route is a way for letters to leave. Its methods may be called by several goroutines at once.
type Route interface {
	// Name says on screens which route is on, such as "capture" or "relay smtp.example.com:587".
	Name() string
	// Deliver makes one attempt and tells mark its verdict, once. The connection that it used hands over no other
	// message before mark has returned, so that a crash repeats at most one letter a connection. It returns soon
	// after ctx has ended, and leaves the time of the next try of a deferred letter to the sender.
	Deliver(ctx context.Context, l Letter, mark func(Verdict))
	// Close ends all connections; no Deliver may be under way.
	Close() error
}
