package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/store"
)

func (a *app) browse() *cobra.Command {
	var list, permission, source, rating, order, from, until string
	var after int64
	var limit int
	c := &cobra.Command{
		Use:   "browse",
		Short: "Show a page of masked cards, latest activity first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			page := flows.Page{Filter: flows.Filter{List: list, Source: source, Rating: rating}, Limit: limit}
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
			if err := ordered(&page, order, from, until); err != nil {
				return usageError{err}
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
	c.Flags().StringVar(&rating, "rating", "", "only those rated "+strings.Join(flows.Ratings, ", "))
	c.Flags().StringVar(&order, "sort", "activity", "what comes first: the latest activity, or the newest id")
	c.Flags().StringVar(&from, "active-from", "", "only those active on this day (2026-01-31, or 30d for 30 days ago; UTC) or later")
	c.Flags().StringVar(&until, "active-until", "", "only those last active on this day or earlier")
	c.Flags().Int64Var(&after, "after", 0, "the page that follows this SubscriberID")
	c.Flags().IntVar(&limit, "limit", 50, "how many, at most 500")
	return c
}

// ordered puts the order and the days into a page.
func ordered(p *flows.Page, order, from, until string) error {
	switch order {
	case "activity":
	case "id":
		p.Order = flows.ByID
	default:
		return errors.New("--sort takes activity or id")
	}
	if p.Filter.Rating != "" && !slices.Contains(flows.Ratings, p.Filter.Rating) {
		return errors.New("--rating takes " + strings.Join(flows.Ratings, ", "))
	}
	for _, d := range []struct {
		flag, value string
		into        *time.Time
		end         bool
	}{{"--active-from", from, &p.Filter.From, false}, {"--active-until", until, &p.Filter.Before, true}} {
		if d.value == "" {
			continue
		}
		day, err := flows.ParseDay(d.value, time.Now(), time.UTC)
		if err != nil {
			return fmt.Errorf("%s: %w", d.flag, err)
		}
		if d.end {
			day = day.AddDate(0, 0, 1)
		}
		*d.into = day
	}
	if p.Order == flows.ByID && (from != "" || until != "") {
		return errors.New(flows.WhyNoDates)
	}
	return nil
}

// checkLimit refuses a page of nothing, and one of everything.
func checkLimit(n int) error {
	if n < 1 || n > 500 {
		return usageError{errors.New("--limit takes 1 to 500")}
	}
	return nil
}
