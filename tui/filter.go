package tui

import (
	"maps"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// permissions are those that a filter offers, in its order. Tombstones are
// not among them: one is found only by its full address.
var permissions = []flows.Permission{flows.Unknown, flows.Pending, flows.Confirmed, flows.Unsubscribed}

// askFilter opens the overlay that narrows the grid.
func (c *contacts) askFilter() tea.Cmd {
	var words []string
	for _, p := range permissions {
		words = append(words, p.String())
	}
	words[0] = "any"
	lists := []string{"any"}
	for _, l := range c.sh.lists {
		lists = append(lists, l.Name)
	}
	sources := append([]string{"any"}, slices.Sorted(maps.Keys(c.sh.counts.BySource))...)
	sources = slices.DeleteFunc(sources, func(s string) bool { return s == "" })
	ratings := append([]string{"any"}, flows.Ratings...)
	f := &form{title: "Filter", direct: true, labels: []string{"back", "show"}, fields: []field{
		choice("Permission", max(0, slices.Index(permissions, c.filter.Permission)), words...),
		choice("List", at(lists, c.filter.List), lists...),
		choice("Source", at(sources, c.filter.Source), sources...),
		choice("Rating", at(ratings, c.filter.Rating), ratings...),
		typed("Active from", "a day: 2026-01-31, or 30d for 30 days ago", 12),
		typed("Active until", "likewise; that day is included", 12),
	}}
	f.fields[4].input.SetValue(c.sh.day(c.filter.From))
	if !c.filter.Before.IsZero() {
		f.fields[5].input.SetValue(c.sh.day(c.filter.Before.In(c.sh.zone).AddDate(0, 0, -1)))
	}
	f.body = func(w int) []string {
		return c.sh.dimmed("← → change, ↑ ↓ go on, a letter jumps. The filter stays on until F clears it.", w)
	}
	f.submit = func() tea.Cmd {
		filter := flows.Filter{Permission: permissions[f.fields[0].picked]}
		if i := f.fields[1].picked; i > 0 {
			filter.List = lists[i]
		}
		if i := f.fields[2].picked; i > 0 {
			filter.Source = sources[i]
		}
		if i := f.fields[3].picked; i > 0 {
			filter.Rating = ratings[i]
		}
		if !c.takeDays(f, &filter) {
			return nil
		}
		c.sh.close(f)
		return c.setFilter(filter)
	}
	return c.sh.openForm(f)
}

// takeDays reads the days that were typed; it reports false, and says why, when
// they can't be read or the order has no place for them.
func (c *contacts) takeDays(f *form, filter *flows.Filter) bool {
	for i, into := range []*time.Time{&filter.From, &filter.Before} {
		n := 4 + i
		if f.value(n) == "" {
			continue
		}
		day, err := flows.ParseDay(f.value(n), c.sh.now(), c.sh.zone)
		switch {
		case err != nil:
			f.fault = reason(err)
		case c.order == flows.ByID:
			f.fault = "sorted by SubscriberID, days can't narrow: those between two days lie scattered over all contacts. Leave them empty, or go back and press o"
		}
		if f.fault != "" {
			f.refocus(n)
			return false
		}
		*into = day.AddDate(0, 0, i) // the last day is included
	}
	return true
}

// at is the place of a value among options, 0 when it is not there.
func at(options []string, value string) int {
	if value == "" {
		return 0
	}
	return max(0, slices.Index(options, value))
}

// setFilter fetches the first page under another filter. The rows on show go
// at once: under the new filter's name they would be wrong. The marks go too:
// nobody should act on contacts that are out of sight.
func (c *contacts) setFilter(f flows.Filter) tea.Cmd {
	c.filter = f
	return tea.Batch(c.unmark(), c.anew(), c.sh.fetchLists())
}

// anew fetches the first page of what is asked for now.
func (c *contacts) anew() tea.Cmd {
	c.forget()
	c.win = window{}
	c.loaded = false
	return c.first()
}
