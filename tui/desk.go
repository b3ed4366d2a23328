package tui

import (
	"context"
	"time"

	"kartotek/flows"
	"kartotek/flows/proof"
)

// Desk is what the console needs of flows; *flows.Service satisfies it.
type Desk interface {
	Find(ctx context.Context, who flows.Actor, query string) (flows.Found, error)
	Browse(ctx context.Context, who flows.Actor, page flows.Page) (flows.Cards, error)
	Open(ctx context.Context, who flows.Actor, id int64, given *flows.Given) (flows.Details, error)
	Lists(ctx context.Context, a flows.Actor) ([]flows.List, error)
	Counts(ctx context.Context, a flows.Actor) (flows.Counts, error)
	Outbox(ctx context.Context, who flows.Actor, state string, after int64, limit int) ([]flows.Letter, error)
	OutboxStats(ctx context.Context, who flows.Actor) (flows.OutboxStats, error)
	Destinations(ctx context.Context, who flows.Actor) ([]flows.Destination, error)
	Story(ctx context.Context, who flows.Actor, letter int64) (flows.LetterStory, error)
	Overview(ctx context.Context, who flows.Actor) (flows.Overview, error)
	Mailbox(ctx context.Context, who flows.Actor, limit int) ([]flows.Mail, error)
	Mail(ctx context.Context, who flows.Actor, number int64) (flows.Mail, error)

	Audit(ctx context.Context, who flows.Actor, f flows.AuditFilter, before int64, limit int) ([]flows.AuditEntry, error)
	// LastVerification is how the last walk through the log ended, nil when there was none.
	LastVerification(ctx context.Context, who flows.Actor) (*flows.Verification, error)
	VerifyAudit(ctx context.Context, who flows.Actor, progress func(flows.ImportProgress)) (flows.Verification, error)
	Prove(ctx context.Context, who flows.Actor, target string, given *flows.Given) (*proof.Bundle, error)
	KeepProof(ctx context.Context, b *proof.Bundle, format string) (path string, err error)

	Unsubscribe(ctx context.Context, who flows.Actor, id int64, list string) (flows.Card, error)
	// AskExport asks for several contacts' data, which a second person approves.
	AskExport(ctx context.Context, who flows.Actor, w flows.BulkWish) (flows.Request, error)
	// UndoUnsubscribe takes back the actor's own; UndoUntil is until when it can
	// be, the zero time when it can't.
	UndoUnsubscribe(ctx context.Context, who flows.Actor, id int64) (flows.Card, error)
	UndoUntil(who flows.Actor, id int64) time.Time
	Erase(ctx context.Context, who flows.Actor, target, reason string) (flows.Erased, error)
	Resubscribe(ctx context.Context, who flows.Actor, r flows.Resubscription) (flows.Waiting, error)
	Export(ctx context.Context, who flows.Actor, target string, given *flows.Given, format, out string) (flows.Exported, error)
	Freeze(ctx context.Context, who flows.Actor, id int64, reason string) (flows.Card, error)
	Unfreeze(ctx context.Context, who flows.Actor, id int64, reason string) (flows.Card, error)
	Correct(ctx context.Context, who flows.Actor, id int64, field, value string) (flows.Card, error)
	Import(ctx context.Context, who flows.Actor, path string, o flows.ImportOptions, progress func(flows.ImportProgress)) (flows.ImportResult, error)
	Sample(ctx context.Context, who flows.Actor, n int, progress func(flows.ImportProgress)) (flows.ImportResult, error)

	Retry(ctx context.Context, who flows.Actor, id int64) (flows.Letter, error)
	ClearAlarms(ctx context.Context, who flows.Actor, upTo time.Time) (int64, error)
	Hold(ctx context.Context, who flows.Actor, id int64) (flows.Letter, error)
	Release(ctx context.Context, who flows.Actor, id int64) (flows.Letter, error)
	Drop(ctx context.Context, who flows.Actor, id int64, reason string) error

	Requests(ctx context.Context, who flows.Actor, state string, before int64, limit int) ([]flows.Request, error)
	AddRequest(ctx context.Context, who flows.Actor, n flows.NewRequest) (flows.Request, error)
	CloseRequest(ctx context.Context, who flows.Actor, id int64, refused bool, answer string) (flows.Request, error)
	Approve(ctx context.Context, who flows.Actor, id int64, progress func(flows.ImportProgress)) (flows.Request, error)
	Reject(ctx context.Context, who flows.Actor, id int64, reason string) (flows.Request, error)

	// Reveal uncovers flows.RevealEmail, RevealMobile or an own field.
	Reveal(ctx context.Context, who flows.Actor, id int64, what, reason string) (flows.Revealed, error)

	Retention(ctx context.Context, who flows.Actor) (flows.Retention, error)
	SetRetention(ctx context.Context, who flows.Actor, r flows.Retention) error

	// Why says in a few words why an act ("unsubscribe", "erase",
	// "resubscribe", "export", "freeze", "correct") is not to be had on a card; "" when it is.
	Why(who flows.Actor, act string, card flows.Card) string
	// WhyLetter says the same of an act (flows.ActRetry …) on a letter.
	WhyLetter(who flows.Actor, act string, l flows.Letter) string
}

// Options says what the console works on and what its frame shows.
type Options struct {
	Desk    Desk
	Actor   flows.Actor
	Store   string             // for the frame: "SQLite kartotek.db"
	Route   string             // how mail leaves: "capture", "relay" or "direct"
	Mail    string             // the route in words for the frame; "" means Route alone
	WebURL  string             // where the web pages are; "" when nobody serves them
	WebNote string             // a word on them: "web pages are served by another process"
	Word    string             // what the user must know at once, "" when there is nothing: a new key file
	Config  string             // the configuration file's path
	Remote  bool               // the user sits at another machine: files of this one are not theirs
	OpenURL func(string) error // opens a link in the user's browser; nil where there is none (over SSH)

	Settings []Setting // what the configuration says, for the palette
}
