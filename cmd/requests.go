package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) requests() *cobra.Command {
	var state string
	var before int64
	var limit int
	list := func(cmd *cobra.Command, _ []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		desk, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		all, err := desk.Requests(cmd.Context(), a.cli(), state, before, limit)
		if err != nil {
			return err
		}
		return a.print(map[string]any{"requests": all}, func(w io.Writer) { printRequests(w, all) })
	}
	c := &cobra.Command{Use: "requests", Short: "Show what people have asked for, and bulk exports that wait for approval", Args: cobra.NoArgs, RunE: list}
	sub := &cobra.Command{Use: "list", Short: "Show them, newest first, or with --state what is due first ahead", Args: cobra.NoArgs, RunE: list}
	for _, f := range []*cobra.Command{c, sub} {
		f.Flags().StringVar(&state, "state", "", "open, approved, done or refused")
		f.Flags().Int64Var(&before, "before", 0, "the page that follows this number")
		f.Flags().IntVar(&limit, "limit", 50, "how many, at most 500")
	}
	c.AddCommand(sub, a.requestsAdd(), a.requestsClose(), a.requestsApprove(),
		a.requestAct("show N", "Show one request", func(ctx context.Context, desk *flows.Service, id int64) (flows.Request, error) {
			return desk.Request(ctx, a.cli(), id)
		}),
		a.requestsReject(), a.requestsFetch())
	return c
}

// requestAct makes a command that does something with one request, and shows it.
func (a *app) requestAct(use, short string, act func(context.Context, *flows.Service, int64) (flows.Request, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		id, err := requestNumber(args[0])
		if err != nil {
			return err
		}
		desk, err := a.open(cmd.Context())
		if err != nil {
			return err
		}
		r, err := act(cmd.Context(), desk, id)
		if err != nil {
			return err
		}
		return a.printRequest(r)
	}}
}

func requestNumber(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id <= 0 {
		return 0, usageError{errors.New("give the request's number, as requests list shows it")}
	}
	return id, nil
}

func (a *app) requestsAdd() *cobra.Command {
	var n flows.NewRequest
	var received string
	c := &cobra.Command{
		Use:   "add ID --kind KIND",
		Short: "Write down what a person asked for: it is due a month after it was received (GDPR art. 12(3))",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if n.SubscriberID, err = strconv.ParseInt(args[0], 10, 64); err != nil {
				return usageError{errors.New("give the person's SubscriberID: find ADDRESS tells it")}
			}
			if n.Received, err = moment("--received", received); err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			r, err := desk.AddRequest(cmd.Context(), a.cli(), n)
			if err != nil {
				return err
			}
			return a.printRequest(r)
		},
	}
	c.Flags().StringVar(&n.Kind, "kind", "", strings.Join(flows.RequestKinds, ", "))
	c.Flags().StringVar(&received, "received", "", "when: 2026-02-03, or 2026-02-03T10:00:00Z (default: now)")
	c.Flags().StringVar(&n.Note, "note", "", "how it came; without the person's name or address")
	must(c, "kind")
	return c
}

func (a *app) requestsClose() *cobra.Command {
	var refused bool
	var reason string
	c := a.requestAct("close N", "End a person's request: it is done, or with --refused not granted", func(ctx context.Context, desk *flows.Service, id int64) (flows.Request, error) {
		return desk.CloseRequest(ctx, a.cli(), id, refused, reason)
	})
	c.Flags().BoolVar(&refused, "refused", false, "it is not granted; give the reason")
	c.Flags().StringVar(&reason, "reason", "", "what was done, or why it is refused; without the person's name or address")
	return c
}

func (a *app) requestsApprove() *cobra.Command {
	c := a.requestAct("approve N", "Let a bulk export be made that somebody else of staff asked for, and make it", func(ctx context.Context, desk *flows.Service, id int64) (flows.Request, error) {
		bar := newBar(a.errOut)
		defer bar.clear()
		return desk.Approve(ctx, a.cli(), id, bar.show)
	})
	c.Long = "Let a bulk export be made that somebody else of staff asked for, and make it here: a file in the exports directory, encrypted to the SSH keys of who asked. " +
		"It is kept for 7 days, and goes earlier when anybody in it is erased."
	return c
}

func (a *app) requestsReject() *cobra.Command {
	var reason string
	c := a.requestAct("reject N --reason TEXT", "Refuse a bulk export, or take back one's own", func(ctx context.Context, desk *flows.Service, id int64) (flows.Request, error) {
		return desk.Reject(ctx, a.cli(), id, reason)
	})
	c.Flags().StringVar(&reason, "reason", "", "why")
	must(c, "reason")
	return c
}

func (a *app) requestsFetch() *cobra.Command {
	return &cobra.Command{
		Use:   "fetch N > FILE",
		Short: "Write the encrypted file of a bulk export to standard output, for who asked for it",
		Long:  "Write the encrypted file of a bulk export to standard output, for who asked for it. It opens with age -d -i ~/.ssh/id_ed25519 FILE.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := requestNumber(args[0])
			if err != nil {
				return err
			}
			if terminal(a.out) {
				return usageError{errors.New("the file is not for a terminal: put > FILE after the command")}
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			return desk.FetchExport(cmd.Context(), a.cli(), id, a.out)
		},
	}
}

// askExport asks for a bulk export.
func (a *app) askExport(ctx context.Context, w flows.BulkWish) error {
	desk, err := a.open(ctx)
	if err != nil {
		return err
	}
	r, err := desk.AskExport(ctx, a.cli(), w)
	if err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "Request %d waits for a second person: kartotek requests approve %d.\n", r.ID, r.ID)
	})
}

func (a *app) printRequest(r flows.Request) error {
	return a.print(r, func(w io.Writer) { printRequests(w, []flows.Request{r}) })
}

func printRequests(w io.Writer, all []flows.Request) {
	if len(all) == 0 {
		fmt.Fprintln(w, "There are no such requests.")
		return
	}
	t := newTable(w)
	fmt.Fprintln(t, "NUMBER\tKIND\tSTATE\tDUE\tABOUT\tBY\tNOTE")
	for _, r := range all {
		about, note := number(r.SubscriberID), r.Note
		if e := r.Export; e != nil {
			about = e.What
			switch {
			case e.Gone:
				note = "the file is gone"
			case e.Expires != nil:
				note = fmt.Sprintf("%d contacts in %s on %s, until %s", e.Contacts, e.File, e.Machine, e.Expires.Format(time.DateOnly))
			}
		}
		if r.Answer != "" {
			note = strings.TrimPrefix(note+"; "+r.Answer, "; ")
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Kind, r.State, r.Due.Format(time.DateOnly), clean(about), clean(r.By), clean(note))
	}
	t.flush()
}
