package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

// letterAct is a flow on one letter.
type letterAct func(*flows.Service, context.Context, flows.Actor, int64) (flows.Letter, error)

// outboxActs are the commands on one letter.
func (a *app) outboxActs() []*cobra.Command {
	act := func(name, short string, do letterAct) *cobra.Command {
		return &cobra.Command{Use: name + " NUMBER", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return a.onLetter(cmd.Context(), args[0], do)
		}}
	}
	return []*cobra.Command{
		a.outboxShow(), a.outboxStats(), a.outboxSeen(),
		act("retry", "Try a deferred letter again now", (*flows.Service).Retry),
		act("hold", "Keep a letter from being sent", (*flows.Service).Hold),
		act("release", "Let a held letter go out", (*flows.Service).Release),
		a.outboxDrop(),
	}
}

func (a *app) onLetter(ctx context.Context, number string, do letterAct) error {
	id, err := letterNumber(number)
	if err != nil {
		return err
	}
	desk, err := a.open(ctx)
	if err != nil {
		return err
	}
	l, err := do(desk, ctx, a.cli(), id)
	if err != nil {
		return err
	}
	return a.print(l, func(w io.Writer) { printLetter(w, l) })
}

func (a *app) outboxDrop() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "drop NUMBER --reason TEXT",
		Short: "Remove a letter that was not delivered, with its text",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := letterNumber(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := desk.Drop(cmd.Context(), a.cli(), id, reason); err != nil {
				return err
			}
			return a.print(map[string]any{"dropped": id}, func(w io.Writer) {
				fmt.Fprintf(w, "Letter %d is gone. What it asked to be confirmed is forgotten when its time is over, unless another letter asks for it.\n", id)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	must(c, "reason")
	return c
}

func letterNumber(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return 0, usageError{errors.New("a letter is named by its number, as kartotek outbox shows it")}
	}
	return id, nil
}

func printLetter(w io.Writer, l flows.Letter) {
	t := newTable(w)
	for _, row := range [][2]string{
		{"Letter", strconv.FormatInt(l.ID, 10)},
		{"State", l.State},
		{"Card", fmt.Sprintf("#%d", l.SubscriberID)},
		{"To", clean(l.ToMasked)},
		{"Kind", l.Kind},
		{"Created", when(&l.Created)},
		{"Next try", when(l.Due)},
		{"Attempts", strconv.Itoa(l.Attempts)},
		{"Delivered", when(l.Delivered)},
		{"Server", clean(l.Host)},
		{"Last answer", clean(flows.Answer(l.Enhanced, l.Reply))},
	} {
		if row[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
		}
	}
	t.flush()
}
