package cmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) outbox() *cobra.Command {
	var state string
	var after int64
	var limit int
	c := &cobra.Command{
		Use:   "outbox",
		Short: "Show the mail that is to be sent and that was, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			letters, err := desk.Outbox(cmd.Context(), a.cli(), state, after, limit)
			if err != nil {
				return err
			}
			return a.print(map[string]any{"letters": letters}, func(w io.Writer) {
				if len(letters) == 0 {
					fmt.Fprintln(w, "There is no mail.")
					return
				}
				t := newTable(w)
				fmt.Fprintln(t, "NUMBER\tCARD\tTO\tKIND\tSTATE\tATTEMPTS\tCREATED\tNEXT TRY\tLAST ANSWER")
				for _, l := range letters {
					fmt.Fprintf(t, "%d\t#%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", l.ID, l.SubscriberID, clean(l.ToMasked), l.Kind, l.State, l.Attempts,
						when(&l.Created), when(l.Due), clean(flows.Answer(l.Enhanced, l.Reply)))
				}
				t.flush()
			})
		},
	}
	c.AddCommand(a.outboxActs()...)
	c.Flags().StringVar(&state, "state", "", "only those due, sending, deferred, held, refused or delivered")
	c.Flags().Int64Var(&after, "after", 0, "the page that follows this number")
	c.Flags().IntVar(&limit, "limit", 50, "how many, at most 500")
	list := &cobra.Command{Use: "list", Short: c.Short, Args: cobra.NoArgs, RunE: c.RunE}
	list.Flags().AddFlagSet(c.Flags())
	c.AddCommand(list)
	return c
}
