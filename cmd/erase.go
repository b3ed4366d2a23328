package cmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) erase() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "erase ADDRESS|ID --reason TEXT",
		Short: "Delete a person: what stays is a tombstone that proves and blocks",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usageError{errors.New("the reason is missing: --reason takes a text that says why")}
			}
			target, err := a.address(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			done, err := desk.Erase(cmd.Context(), a.cli(), target, reason)
			if err != nil {
				return err
			}
			return a.print(done, func(w io.Writer) {
				switch {
				case done.Before:
					fmt.Fprintf(w, "#%d was erased before; nothing waits beside it.\n", done.SubscriberID)
				case done.Suppressed:
					fmt.Fprintf(w, "Nobody was known by this address. It is blocked now: tombstone #%d.\n", done.SubscriberID)
				default:
					fmt.Fprintf(w, "Erased: #%d is a tombstone.\n", done.SubscriberID)
				}
				if done.Files > 0 {
					fmt.Fprintf(w, "Exported files removed: %d.\n", done.Files)
				}
				if done.Remnant != "" {
					fmt.Fprintln(w, "Note: "+done.Remnant+".")
				}
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit; without the person's name or address")
	must(c, "reason")
	return c
}

// must marks a flag that a command can't do without.
func must(c *cobra.Command, name string) {
	if err := c.MarkFlagRequired(name); err != nil {
		panic(err) // the flag was defined on the line above
	}
}
