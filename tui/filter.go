package tui

import (
	"maps"
	"slices"

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
	f := &form{title: "Filter", direct: true, labels: []string{"back", "show"}, fields: []field{
		choice("Permission", max(0, slices.Index(permissions, c.filter.Permission)), words...),
		choice("List", at(lists, c.filter.List), lists...),
		choice("Source", at(sources, c.filter.Source), sources...),
	}}
	f.body = func(w int) []string {
		return c.sh.dimmed("← → change, ↑ ↓ go on, a letter jumps. The filter stays on until F clears it.", w)
	}
	show := func() tea.Cmd {
		c.sh.close(f)
		filter := flows.Filter{Permission: permissions[f.fields[0].picked]}
		if i := f.fields[1].picked; i > 0 {
			filter.List = lists[i]
		}
		if i := f.fields[2].picked; i > 0 {
			filter.Source = sources[i]
		}
		return c.setFilter(filter)
	}
	f.submit = show
	return c.sh.openForm(f)
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
	c.forget()
	c.win = window{}
	c.loaded = false
	return tea.Batch(c.unmark(), c.first(), c.sh.fetchLists())
}
