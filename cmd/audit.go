package cmd

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) audit() *cobra.Command {
	var id, before int64
	var limit int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			rows, err := desk.Audit(cmd.Context(), a.cli(), flows.AuditFilter{SubscriberID: id}, before, limit)
			if err != nil {
				return err
			}
			return a.print(map[string]any{"audit": rows}, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "NUMBER\tAT\tWHO\tROLE\tFROM\tACT\tCARD\tWHY")
				for _, r := range rows {
					fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, when(&r.At), clean(r.Actor), r.Role, clean(r.From), r.Act, number(r.SubscriberID), clean(r.Why))
				}
				t.Flush()
			})
		},
	}
	c.Flags().Int64Var(&id, "id", 0, "only what was done with this SubscriberID")
	c.Flags().Int64Var(&before, "before", 0, "the page that follows this number")
	c.Flags().IntVar(&limit, "limit", 50, "how many, at most 500")
	return c
}
