package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"kartotek/flows"
	"kartotek/mta"
	"kartotek/web"
)

// route makes the way that mail leaves by.
func (a *app) route(desk *flows.Service) (mta.Route, error) {
	url, relay := strings.CutPrefix(a.set.Mail, "relay=")
	switch {
	case a.set.Mail == "capture":
		return mta.NewCapture(desk.Capture)
	case relay:
		r, err := mta.NewRelay(url)
		if err != nil {
			return nil, usageError{fmt.Errorf("--mail: %w", err)}
		}
		return r, nil
	case a.set.Mail == "direct":
		return mta.NewDirect()
	}
	return nil, usageError{errors.New("--mail takes capture, direct, or relay=smtp://USER:PASS@HOST:PORT")}
}

// engine is what runs besides the screens: web pages, mail sender, clock.
type engine struct {
	desk  *flows.Service
	route mta.Route
	web   net.Listener // nil when another process serves the pages
	group *errgroup.Group
	stop  context.CancelFunc
}

// start starts them. Where the web pages' port is taken by another kartotek,
// they are left to it if shared is set.
func (a *app) start(ctx context.Context, log *slog.Logger, shared bool) (*engine, error) {
	desk, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	e := &engine{desk: desk}
	if e.web, err = net.Listen("tcp", a.set.Web); err != nil && (!shared || !errors.Is(err, syscall.EADDRINUSE)) {
		return nil, fmt.Errorf("the web pages can't listen on %s (choose another with --web): %w", a.set.Web, err)
	}
	if e.route, err = a.route(desk); err != nil {
		if e.web != nil {
			e.web.Close()
		}
		return nil, err
	}
	ctx, e.stop = context.WithCancel(ctx)
	e.group, ctx = errgroup.WithContext(ctx)
	desk.SetLog(log)
	sender := mta.NewSender(desk.Spool(), e.route, mta.WithLogger(log))
	desk.OnLetter(sender.Wake)
	e.group.Go(func() error { return sender.Run(ctx) })
	e.group.Go(func() error { return desk.Clock(ctx) })
	if e.web != nil {
		h := web.Handler(web.Options{Desk: desk, PublicURL: a.set.PublicURL, Company: a.set.Company, TrustedProxies: a.set.Proxies, Log: log})
		e.group.Go(func() error { return web.Serve(ctx, e.web, h) })
	}
	return e, nil
}

// wait waits until one of the parts fails or all were told to stop.
func (e *engine) wait() error {
	err := e.group.Wait()
	e.stop()
	return errors.Join(err, e.route.Close())
}

// end tells all parts to stop and waits for them.
func (e *engine) end() error {
	e.stop()
	return e.wait()
}

// openDelivered opens the store and, where mail is captured on this machine,
// first delivers what is due: a command shows the mail that the one before it
// caused, whether or not a server runs.
func (a *app) openDelivered(ctx context.Context) (*flows.Service, error) {
	desk, err := a.open(ctx)
	if err != nil || a.set.Mail != "capture" {
		return desk, err
	}
	counts, err := desk.Counts(ctx)
	if err != nil || counts.Due == 0 {
		return desk, err
	}
	route, err := a.route(desk)
	if err != nil {
		return nil, err
	}
	sendCtx, stop := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error {
		return mta.NewSender(desk.Spool(), route, mta.WithLogger(slog.New(slog.DiscardHandler))).Run(sendCtx)
	})
	err = awaitDelivered(ctx, desk)
	stop()
	return desk, errors.Join(err, group.Wait(), route.Close())
}

// awaitDelivered waits until nothing is due, or what is left is not moving.
func awaitDelivered(ctx context.Context, desk *flows.Service) error {
	left, since := int64(-1), time.Now()
	for {
		counts, err := desk.Counts(ctx)
		if err != nil || counts.Due == 0 {
			return err
		}
		if counts.Due != left {
			left, since = counts.Due, time.Now()
		}
		if time.Since(since) > 3*time.Second {
			return nil // another process has the rest under way
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// logTo is a log of stable keys without anything personal.
func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
