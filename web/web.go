// Package web is what the contact sees and clicks: the confirmation page, the
// unsubscribe page with RFC 8058's one-click POST, and a sign-up form per list.
//
// A robot must not be able to consent. So GET, HEAD and OPTIONS never call a
// method of Desk that changes anything, and a POST counts only with the field
// that the page's own button sends. Pages are plain HTML in four languages that
// need no script, no cookie and nothing from elsewhere.
//
// The room turns requests into calls of Desk and answers into pages; what may
// happen to a contact is decided behind Desk. It knows no SQL and no mail, and
// it logs routes and statuses only: no address, IP, query or token.
//
// Start reading at Handler, then confirm.go. Wording is in words_*.go.
package web

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"kartotek/flows"
	"kartotek/flows/lang"
)

// Desk is what the pages ask of the flows; *flows.Service is one. Only SignUp,
// Confirm and UnsubscribeByToken change anything.
type Desk interface {
	FormOf(ctx context.Context, slug string, tag lang.Tag) (flows.ListPage, error)
	SignUp(ctx context.Context, s flows.SignUp) error
	LookConfirm(ctx context.Context, token string) (flows.TokenPage, error)
	Confirm(ctx context.Context, token string, from flows.Client) (flows.TokenPage, error)
	LookUnsubscribe(ctx context.Context, token string) (flows.TokenPage, error)
	UnsubscribeByToken(ctx context.Context, token string, all bool, from flows.Client) (flows.TokenPage, error)
}

// Options say what Handler serves, and for whom.
type Options struct {
	Desk Desk
	// PublicURL is where readers reach the pages. An https one switches
	// Strict-Transport-Security on.
	PublicURL string
	// Company is named on every page; "Kartotek" when empty.
	Company string
	// TrustedProxies are the networks of proxies whose X-Forwarded-For is
	// believed. Without any, the connection's own address is the client's.
	TrustedProxies []netip.Prefix
	// Beat is what a sign-up's answer takes, or so many times that: its time must
	// not tell whether an address is known. Zero is as fast as it goes.
	Beat time.Duration
	// Metrics are numbers for a monitoring system; nil for none. This machine and
	// the networks in MetricsFor see them under /metrics.
	Metrics    http.Handler
	MetricsFor []netip.Prefix
	// Observe is told of every request: the method and the page are ours among few,
	// without what the client wrote in them. It may be nil.
	Observe func(method, page string, status int, took time.Duration)
	// Log gets one line per request and the faults; nil drops them.
	Log *slog.Logger
}

// site is the state behind the pages.
type site struct {
	desk    Desk
	company string
	secure  bool // reached by https
	trusted []netip.Prefix
	log     *slog.Logger
	observe func(method, page string, status int, took time.Duration)
	limits  *limits
	beat    time.Duration
}

// SignUpBeat is a Beat that is longer than a sign-up takes on a machine with
// some work.
const SignUpBeat = 400 * time.Millisecond

// Handler returns the whole site. It keeps the limits per client in memory, so
// make one per process.
//
// There is no protection against cross-site requests because there is nothing
// to protect: no one is logged in, no cookie is set or read, and a page acts by
// the token in its address alone. A company may put the sign-up form on a site
// of its own; it posts here like any other.
func Handler(o Options) http.Handler {
	s := &site{
		desk:    o.Desk,
		company: cmp.Or(o.Company, "Kartotek"),
		trusted: o.TrustedProxies,
		log:     o.Log,
		observe: o.Observe,
		beat:    o.Beat,
		limits:  newLimits(maxClients, time.Now),
	}
	if u, err := url.Parse(o.PublicURL); err == nil && u.Scheme == "https" {
		s.secure = true
	}
	if s.observe == nil {
		s.observe = func(string, string, int, time.Duration) {}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", s.only(methods{http.MethodGet: s.home}))
	mux.Handle("/healthz", s.only(methods{http.MethodGet: s.health}))
	mux.Handle("/robots.txt", s.only(methods{http.MethodGet: s.robots}))
	mux.Handle("/confirm/{token}", s.only(methods{http.MethodGet: s.lookConfirm, http.MethodPost: s.confirm}))
	mux.Handle("/unsubscribe/{token}", s.only(methods{http.MethodGet: s.lookUnsubscribe, http.MethodPost: s.unsubscribe}))
	mux.Handle("/signup/{slug}", s.only(methods{http.MethodGet: s.form, http.MethodPost: s.signUp}))
	if o.Metrics != nil {
		mux.Handle("/metrics", s.only(methods{http.MethodGet: s.metrics(o.Metrics, o.MetricsFor)}))
	}
	mux.Handle("/", http.HandlerFunc(s.notFound))
	return s.guard(mux)
}
