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
	"kartotek/tui/sshd"
	"kartotek/web"
)

// route makes the way that mail leaves by.
func (a *app) route(desk *flows.Service) (mta.Route, error) {
	url, _ := strings.CutPrefix(a.set.Mail, routeRelay+"=")
	switch a.common.route {
	case routeCapture:
		return mta.NewCapture(desk.Capture)
	case routeDirect:
		return a.set.Delivery.direct(desk.Policies())
	case routeRelay:
		r, err := mta.NewRelay(url)
		if err != nil {
			return nil, usageError{fmt.Errorf("--mail: %w", err)}
		}
		return r, nil
	}
	return nil, usageError{errors.New("--mail takes capture, direct, or relay=smtp://USER:PASS@HOST:PORT")}
}

// engine is what runs besides the screens: web pages, mail sender, clock.
type engine struct {
	desk  *flows.Service
	mail  string     // the route's word
	route mta.Route  // nil when mail is left to another process
	inlet *mta.Inlet // nil where no mail that comes back is taken

	signers mta.Signers
	web     net.Listener // nil when another process serves the pages
	ssh     *sshd.Server // nil when the console is not served over SSH
	group   *errgroup.Group
	stop    context.CancelFunc
}

// start starts them. With patient set, what another kartotek on the store does
// is left to it: web pages, team's console and returned mail when their ports
// are taken, and the mail when it leaves by a route that this process was not
// told of.
func (a *app) start(ctx context.Context, log *slog.Logger, patient bool) (*engine, error) {
	Garbage(false)
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", a.set.Web)
	if err != nil && (!patient || !errors.Is(err, syscall.EADDRINUSE)) {
		return nil, fmt.Errorf("the web pages can't listen on %s (choose another with --web): %w", a.set.Web, err)
	}
	e := &engine{web: l}
	if err := a.assemble(ctx, e, patient); err != nil {
		return nil, errors.Join(err, e.give())
	}
	if err := a.openInlet(e, log, patient); err != nil {
		return nil, errors.Join(err, e.give())
	}
	if err := a.listenSSH(ctx, e, log, patient); err != nil {
		return nil, errors.Join(err, e.give())
	}
	ctx, e.stop = context.WithCancel(ctx)
	e.group, ctx = errgroup.WithContext(ctx)
	e.desk.SetLog(log)
	m := newMetrics(e.desk, e.mail, log)
	if e.route != nil {
		sender := mta.NewSender(e.desk.Spool(), e.route, mta.WithLogger(log), mta.WithSigning(e.signers), mta.WithObserver(m.observe), mta.WithRush(Garbage))
		e.desk.OnLetter(sender.Wake)
		e.group.Go(func() error { return sender.Run(ctx) })
	}
	if e.inlet != nil {
		e.group.Go(func() error { return e.inlet.Run(ctx) })
	}
	e.group.Go(func() error { return e.desk.Clock(ctx) })
	if e.web != nil {
		h := web.Handler(web.Options{Desk: e.desk, PublicURL: a.common.publicURL, Company: a.common.company, TrustedProxies: a.set.Proxies, Beat: web.SignUpBeat, Metrics: m.handler(), MetricsFor: a.set.Metrics, Observe: m.request, Log: log})
		e.group.Go(func() error { return web.Serve(ctx, e.web, h, a.set.Proxies) })
	}
	if e.ssh != nil {
		e.group.Go(func() error { return e.ssh.Serve(ctx) })
	}
	return e, nil
}

// openInlet listens for mail that comes back, unless with patient set another
// process does.
func (a *app) openInlet(e *engine, log *slog.Logger, patient bool) error {
	if a.set.Bounce == "" {
		return nil
	}
	l, err := net.Listen("tcp", a.set.Bounce)
	if patient && errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mail that comes back can't be taken on %s (choose another with --bounce): %w", a.set.Bounce, err)
	}
	if e.inlet, err = mta.NewInlet(l, a.set.Bounces, e.desk.Inbox(), log); err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// give gives back what was opened, before anything runs.
func (e *engine) give() (err error) {
	if e.web != nil {
		err = e.web.Close()
	}
	if e.route != nil {
		err = errors.Join(err, e.route.Close())
	}
	return err
}

// assemble settles how the outside reaches this process, and makes the route.
func (a *app) assemble(ctx context.Context, e *engine, patient bool) error {
	if a.set.PublicURL == "" && e.web != nil {
		a.set.PublicURL = "http://" + e.web.Addr().String()
	}
	desk, err := a.service(ctx)
	if err != nil {
		return err
	}
	e.desk, e.mail = desk, a.common.route
	if a.set.Mail == "" && e.mail != routeCapture {
		if !patient {
			return usageError{fmt.Errorf("mail of this store leaves by %s: say how with --mail (or --mail capture, to keep it here from now on)", e.mail)}
		}
		return nil
	}
	if e.signers, err = signers(desk); err != nil {
		return err
	}
	route, err := a.route(desk)
	if err != nil {
		return err
	}
	e.route = route
	return a.common.keep(ctx, desk, a.set.User, e.web != nil)
}

// mailWords say how mail leaves.
func (e *engine) mailWords() string {
	if e.route == nil {
		return e.mail + ", by another process"
	}
	return e.route.Name()
}

// wait waits until one of the parts fails or all were told to stop.
func (e *engine) wait() error {
	err := e.group.Wait()
	e.stop()
	if e.route != nil {
		err = errors.Join(err, e.route.Close())
	}
	return err
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
	if err != nil || a.common.route != routeCapture || a.desk != nil {
		return desk, err
	}
	counts, err := desk.Counts(ctx, a.cli())
	if err != nil || counts.Due == 0 {
		return desk, err
	}
	route, err := a.route(desk)
	if err != nil {
		return nil, err
	}
	sign, err := signers(desk)
	if err != nil {
		return nil, errors.Join(err, route.Close())
	}
	sendCtx, stop := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error {
		return mta.NewSender(desk.Spool(), route, mta.WithLogger(slog.New(slog.DiscardHandler)), mta.WithSigning(sign)).Run(sendCtx)
	})
	err = a.awaitDelivered(ctx, desk)
	stop()
	return desk, errors.Join(err, group.Wait(), route.Close())
}

// awaitDelivered waits until nothing is due, or what is left is not moving.
func (a *app) awaitDelivered(ctx context.Context, desk *flows.Service) error {
	left, since := int64(-1), time.Now()
	for {
		counts, err := desk.Counts(ctx, a.cli())
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
