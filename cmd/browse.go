package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/store"
)

func (a *app) browse() *cobra.Command {
	var list, permission, source string
	var after int64
	var limit int
	c := &cobra.Command{
		Use:   "browse",
		Short: "Show a page of masked cards, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			page := flows.Page{Filter: flows.Filter{List: list, Source: source}, Limit: limit}
			if err := checkLimit(limit); err != nil {
				return err
			}
			if permission != "" {
				p, err := store.ParsePermission(permission)
				if err != nil {
					return usageError{err}
				}
				page.Filter.Permission = p
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if after != 0 {
				at, err := desk.CursorOf(cmd.Context(), after)
				if err != nil {
					return fmt.Errorf("there is no card to go on after: %w", err)
				}
				page.After = &at
			}
			cards, err := desk.Browse(cmd.Context(), a.cli(), page)
			if err != nil {
				return err
			}
			return a.cards(cards.Cards)
		},
	}
	c.Flags().StringVar(&list, "list", "", "only those on this list")
	c.Flags().StringVar(&permission, "permission", "", "only pending, confirmed or unsubscribed ones")
	c.Flags().StringVar(&source, "source", "", "only those from this source")
	c.Flags().Int64Var(&after, "after", 0, "the page that follows this SubscriberID")
	c.Flags().IntVar(&limit, "limit", 50, "how many, at most 500")
	return c
}

// checkLimit refuses a page of nothing, and one of everything.
func checkLimit(n int) error {
	if n < 1 || n > 500 {
		return usageError{errors.New("--limit takes 1 to 500")}
	}
	return nil
}
