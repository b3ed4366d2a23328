package cmd

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) lists() *cobra.Command {
	c := &cobra.Command{
		Use:   "lists",
		Short: "Show the lists and how many are on them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			lists, err := desk.Lists(cmd.Context())
			if err != nil {
				return err
			}
			return a.printLists(lists)
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "add NAME",
		Short: "Make a list",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			l, err := desk.AddList(cmd.Context(), a.cli(), args[0])
			if err != nil {
				return err
			}
			return a.printLists([]flows.List{l})
		},
	})
	return c
}

func (a *app) printLists(lists []flows.List) error {
	return a.print(map[string]any{"lists": lists}, func(w io.Writer) {
		if len(lists) == 0 {
			fmt.Fprintln(w, "There is no list yet: make one with kartotek lists add NAME.")
			return
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "LIST\tSUBSCRIBED\tPENDING\tUNSUBSCRIBED\tSIGN-UP FORM")
		for _, l := range lists {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s/signup/%s\n", clean(l.Name), l.Subscribed, l.Pending, l.Left, a.common.publicURL, l.Slug)
		}
		t.Flush()
	})
}
