package cmd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) unsubscribe() *cobra.Command {
	var list string
	var all bool
	c := &cobra.Command{
		Use:   "unsubscribe ADDRESS|ID (--list L | --all)",
		Short: "Pause one list, or all: the card stays",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (list == "") == !all {
				return usageError{errors.New("give either --list L or --all")}
			}
			target, err := a.address(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			id, err := strconv.ParseInt(target, 10, 64)
			if err != nil || strings.HasPrefix(target, "+") {
				found, err := desk.Find(cmd.Context(), a.cli(), target)
				if err != nil {
					return err
				}
				if len(found.Cards) == 0 {
					return fmt.Errorf("nobody is known by exactly that: %w", flows.ErrNotFound)
				}
				id = found.Cards[0].SubscriberID
			}
			card, err := desk.Unsubscribe(cmd.Context(), a.cli(), id, list)
			if err != nil {
				return err
			}
			return a.cards([]flows.Card{card})
		},
	}
	c.Flags().StringVar(&list, "list", "", "the list to leave")
	c.Flags().BoolVar(&all, "all", false, "leave every list")
	return c
}
