package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"kartotek/flows"
	"kartotek/tui"
)

// console opens the console on this terminal, with the engine behind it.
func (a *app) console(ctx context.Context) error {
	if !terminal(a.in) || !terminal(a.out) {
		return usageError{errors.New("the console needs a terminal; without one there are the commands find, browse, import, export, erase, unsubscribe, resubscribe, mailbox, lists, outbox, overview, audit, backup, restore, copy, journal, keys, doctor, sample, migrate and serve")}
	}
	e, err := a.start(ctx, slog.New(slog.DiscardHandler), true)
	if err != nil {
		return err
	}
	if err := a.signIn(ctx, e.desk, "console"); err != nil {
		return errors.Join(err, e.end())
	}
	if err := e.desk.SignedIn(ctx, a.who); err != nil {
		return errors.Join(err, e.end())
	}
	o := tui.Options{
		Desk: e.desk, Actor: a.who, Store: a.store.Name(),
		Route: a.common.route, Mail: e.mailWords(), WebURL: a.common.publicURL, OpenURL: openURL,
		Settings: a.shown(e), Config: a.set.Config,
	}
	switch {
	case len(a.told) > 0:
		o.Word = strings.Join(a.told, " ")
	case e.ssh != nil:
		o.Word = e.sshWords()
	case a.set.SSH != "":
		o.Word = a.set.SSH + " is taken: unless another Kartotek serves the console over SSH there, start with another --ssh"
	}
	if e.web == nil {
		o.WebNote = fmt.Sprintf("%s is taken: unless a Kartotek on this store serves its web pages there, start with another --web", a.set.Web)
	}
	err = tui.Run(ctx, o, a.in, a.out)
	return errors.Join(err, e.desk.SignedOut(context.WithoutCancel(ctx), a.who), e.end())
}

// openURL opens a link in the user's browser.
func openURL(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The opener ends by itself once the browser has the link.
	if err := exec.CommandContext(ctx, "xdg-open", url).Run(); err != nil {
		return errors.New("no browser could be opened here: copy the link")
	}
	return nil
}

var _ tui.Desk = (*flows.Service)(nil)
