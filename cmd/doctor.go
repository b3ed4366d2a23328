package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/mta"
	"kartotek/store"
)

// examination is one of the things that doctor looks at.
type examination func(context.Context, *app, *flows.Service) ([]store.Finding, error)

// examinations are all of them, in the order in which they are told.
var examinations = []examination{examineStore, examinePorts, examineMail}

func (a *app) doctor() *cobra.Command {
	var deeply, mend bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check the store and what it stands on, and say what to mend",
		Long:  "Check the store and what it stands on, and say what to mend: database and settings, keys, journal, clock, disk, ports. With --deep everything in the store is read and checked as well; others can go on with their work. --mend then makes anew what only repeats what the cards say: counters, and what lists are sorted by; and lets go of letters where nothing tells who has them. The exit code is 1 when something is bad.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if mend && !deeply {
				return usageError{errors.New("--mend goes with --deep, which finds what to mend")}
			}
			ctx := cmd.Context()
			desk, err := a.open(ctx)
			if err != nil {
				return err
			}
			var all []store.Finding
			for _, examine := range examinations {
				found, err := examine(ctx, a, desk)
				if err != nil {
					return err
				}
				all = append(all, found...)
			}
			if deeply {
				bar := newBar(a.errOut)
				look := desk.ExamineDeeply
				if mend {
					look = desk.MendDeeply
				}
				found, err := look(ctx, a.cli(), bar.count)
				bar.clear()
				if err != nil {
					return err
				}
				all = append(all, found...)
			}
			return a.printFindings(all)
		},
	}
	c.Flags().BoolVar(&deeply, "deep", false, "read and check everything in the store")
	c.Flags().BoolVar(&mend, "mend", false, "with --deep: make anew what only repeats what the cards say")
	return c
}

func (a *app) printFindings(all []store.Finding) error {
	bad := 0
	for _, f := range all {
		if f.Severity == store.Bad {
			bad++
		}
	}
	if err := a.print(map[string]any{"findings": all, "bad": bad}, func(w io.Writer) {
		for _, f := range all {
			fmt.Fprintf(w, "%-4s  %s: %s\n", f.Severity, f.What, clean(f.Words))
			if f.Mend != "" {
				fmt.Fprintf(w, "      → %s\n", f.Mend)
			}
		}
	}); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%s to mend", plural(bad, "thing"))
	}
	return nil
}

func examineStore(ctx context.Context, a *app, desk *flows.Service) ([]store.Finding, error) {
	return desk.Examine(ctx, a.cli())
}

// examinePorts tells whether web pages, returned mail and the team's console
// can listen where the configuration says.
func examinePorts(ctx context.Context, a *app, _ *flows.Service) ([]store.Finding, error) {
	web, err := examinePort(ctx, "web", a.set.Web, "for the web pages; contacts reach them as "+a.common.publicURL)
	if err != nil {
		return nil, err
	}
	if web.Severity == store.Good && a.common.route != routeCapture && !strings.HasPrefix(a.common.publicURL, "https://") {
		web.Severity, web.Mend = store.Note, "set public-url to an https:// address that contacts reach: it stands in every letter"
	}
	out := []store.Finding{web}
	if hidesClients(a.set.Web, a.common.publicURL) && len(a.set.Proxies) == 0 {
		out = append(out, store.Finding{
			What: "trusted-proxies", Severity: store.Note, Words: "contacts reach " + a.common.publicURL + " through another program, and its address stands in their evidence instead of theirs",
			Mend: "let it set X-Forwarded-For, and set trusted-proxies to its address",
		})
	}
	for _, p := range []struct{ name, addr, use string }{
		{"bounce", a.set.Bounce, "for mail that comes back"}, {"ssh", a.set.SSH, "for the team's console"},
	} {
		if p.addr == "" {
			continue
		}
		f, err := examinePort(ctx, p.name, p.addr, p.use)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// hidesClients tells whether contacts can only come through another program on
// this machine.
func hidesClients(web, publicURL string) bool {
	here, _, err := net.SplitHostPort(web)
	u, wrong := url.Parse(publicURL)
	return err == nil && wrong == nil && loopback(here) && !loopback(u.Hostname())
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// examinePort tries a port; name is its setting.
func examinePort(ctx context.Context, name, addr, use string) (store.Finding, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return store.Finding{What: name, Severity: store.Good, Words: addr + " is taken, as it is while Kartotek serves there, " + use}, nil
	case err != nil:
		return store.Finding{What: name, Severity: store.Bad, Words: fmt.Sprintf("%s can't be had %s: %v", addr, use, err), Mend: "choose another with --" + name}, nil
	}
	return store.Finding{What: name, Severity: store.Good, Words: addr + " is free " + use}, l.Close()
}

// examineMail looks at what is published for the sender, once mail leaves.
func examineMail(ctx context.Context, a *app, desk *flows.Service) ([]store.Finding, error) {
	if a.common.route == routeCapture {
		return []store.Finding{{What: "mail", Severity: store.Good, Words: "captured on this machine: nothing leaves"}}, nil
	}
	published, err := a.checkMail(ctx, desk)
	if err != nil {
		return nil, err
	}
	out := make([]store.Finding, len(published))
	for i, p := range published {
		out[i] = store.Finding{What: p.Check + " of " + p.Name, Severity: store.Good, Words: p.Words}
		switch p.State {
		case mta.FoundMissing, mta.FoundWrong:
			out[i].Severity, out[i].Mend = store.Bad, p.Publish
		case mta.FoundOK:
		default:
			out[i].Severity = store.Note
		}
	}
	return out, nil
}
