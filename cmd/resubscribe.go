package cmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) resubscribe() *cobra.Command {
	var r flows.Resubscription
	c := &cobra.Command{
		Use:   "resubscribe ADDRESS --list L --asked TEXT",
		Short: "Send an erased or unsubscribed person, who asked for it, the mail to come back by",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if strings.TrimSpace(r.Asked) == "" {
				return usageError{errors.New("how and when the person asked is missing: --asked takes a text that says how and when the person asked")}
			}
			if r.Address, err = a.address(args[0]); err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			w, err := desk.Resubscribe(cmd.Context(), a.cli(), r)
			if err != nil {
				return err
			}
			return a.print(w, func(out io.Writer) {
				fmt.Fprintf(out, "The confirmation mail is on its way. #%d waits for the person's own click until %s.\n", w.SubscriberID, when(&w.Until))
			})
		},
	}
	c.Flags().StringVar(&r.List, "list", "", "the list that the person wants")
	c.Flags().StringVar(&r.Asked, "asked", "", "how and when the person asked; without name or address")
	c.Flags().StringVar(&r.Lang, "lang", "", "the letter's language: en, da, sv or de")
	must(c, "list")
	must(c, "asked")
	return c
}
