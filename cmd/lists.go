package cmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/flows/letters"
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
			lists, err := desk.Lists(cmd.Context(), a.cli())
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
	c.AddCommand(a.listSender())
	return c
}

func (a *app) listSender() *cobra.Command {
	var from letters.Sender
	c := &cobra.Command{
		Use:   "sender NAME --address ADDRESS",
		Short: "Set who the letters of a list come from",
		Long:  "Sets the address, and the name, that the letters of a list come from, in the place of the company's. An empty address goes back to that.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			l, err := desk.SetListSender(cmd.Context(), a.cli(), args[0], from)
			if err != nil {
				return err
			}
			return a.print(l, func(w io.Writer) {
				if l.From == "" {
					fmt.Fprintf(w, "Letters of %s come from the company's address.\n", clean(l.Name))
					return
				}
				fmt.Fprintf(w, "Letters of %s come from %s. Is its domain signed? See kartotek mail dkim.\n", clean(l.Name), clean(l.From))
			})
		},
	}
	c.Flags().StringVar(&from.Address, "address", "", "the address")
	c.Flags().StringVar(&from.Name, "name", "", "the name beside it (default: as the company's letters have it)")
	must(c, "address")
	return c
}

func (a *app) printLists(lists []flows.List) error {
	return a.print(map[string]any{"lists": lists}, func(w io.Writer) {
		if len(lists) == 0 {
			fmt.Fprintln(w, "There is no list yet: make one with kartotek lists add NAME.")
			return
		}
		t := newTable(w)
		fmt.Fprintln(t, "LIST\tSUBSCRIBED\tPENDING\tUNSUBSCRIBED\tSIGN-UP FORM")
		for _, l := range lists {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s/signup/%s\n", clean(l.Name), l.Subscribed, l.Pending, l.Left, a.common.publicURL, l.Slug)
		}
		t.flush()
	})
}
