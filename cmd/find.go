package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) find() *cobra.Command {
	return &cobra.Command{
		Use:   "find ADDRESS|+NUMBER|ID",
		Short: "Show the cards and tombstones of exactly that address, number or SubscriberID",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := a.address(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			found, err := desk.FindOpened(cmd.Context(), a.cli(), query)
			if err != nil {
				return err
			}
			if err := a.cards(found.Cards); err != nil {
				return err
			}
			if len(found.Cards) == 0 {
				return fmt.Errorf("nobody is known by exactly that: %w", flows.ErrNotFound)
			}
			return nil
		},
	}
}

// cards prints cards, as find and browse do.
func (a *app) cards(cards []flows.Card) error {
	if cards == nil {
		cards = []flows.Card{}
	}
	return a.print(map[string]any{"cards": cards}, func(w io.Writer) {
		for i, c := range cards {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printCard(w, c)
		}
	})
}

func printCard(w io.Writer, c flows.Card) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-14s %s\n", name, clean(value))
		}
	}
	title := text(c.EmailMasked)
	if c.Permission == flows.Deleted {
		title = "tombstone"
	}
	fmt.Fprintf(w, "#%d  %s  %s\n", c.SubscriberID, c.Permission, clean(title))
	line("mobile", text(c.MobileMasked))
	line("lists", c.ListNames())
	line("source", text(c.Source))
	line("rating", text(c.Rating))
	line("signed up", stamp(c.SignedUp))
	line("confirmed", stamp(c.Confirmed))
	line("deleted", stamp(c.Deleted))
	line("last activity", when(c.LastActivity))
	switch {
	case c.Undelivered != nil:
		line("waits", "until "+when(c.WaitingUntil)+", but the confirmation mail was not delivered: "+c.Undelivered.Words())
	case c.WaitingUntil != nil:
		line("waits", "for the person's click until "+when(c.WaitingUntil))
	}
	if c.NoMailUntil != nil {
		line("no mail", "until "+when(c.NoMailUntil)+", since the address took none; kartotek mail allow lifts that")
	}
	line("predecessor", number(c.Predecessor))
	line("successor", number(c.Successor))
	if c.Frozen {
		line("frozen", "yes")
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("#%d", *n)
}

func when(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func stamp(s *flows.Stamp) string {
	if s == nil {
		return ""
	}
	parts := []string{when(&s.At)}
	if s.IP != nil {
		parts = append(parts, "from "+*s.IP)
	}
	if s.By != "" {
		parts = append(parts, "by "+s.By)
	}
	return strings.Join(parts, " ")
}
