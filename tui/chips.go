package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"kartotek/flows"
)

// chips are the filters that are set, above the grid.
func (c *contacts) chips() []string {
	var out []string
	if p := c.filter.Permission; p != flows.Unknown {
		word, _ := c.sh.theme.permission(p)
		out = append(out, word)
	}
	if c.filter.List != "" {
		out = append(out, "list: "+clean(c.filter.List))
	}
	if c.filter.Source != "" {
		out = append(out, "source: "+clean(c.filter.Source))
	}
	if c.filter.Rating != "" {
		out = append(out, "rating: "+c.filter.Rating)
	}
	if dates := c.sh.dates(c.filter); dates != "" {
		out = append(out, dates)
	}
	return out
}

// chipLine is the chips as a line above the grid, and the order where it is not
// the usual one; "" when there is nothing to say. Where room is short, the
// longest chips give way first.
func (c *contacts) chipLine(w int) string {
	t := c.sh.theme
	chips := c.chips()
	if len(chips) == 0 && c.order == flows.ByActivity {
		return ""
	}
	line, end := "  ", ""
	c.clears = 0
	if len(chips) > 0 {
		line, end = line+t.dim.Render("Only "), t.dim.Render(" F clears")
	}
	if c.order == flows.ByID {
		end += t.dim.Render("  newest id first")
	}
	room := w - lipgloss.Width(line) - lipgloss.Width(end) - 3*len(chips)
	widths := make([]int, len(chips))
	for i, chip := range chips {
		widths[i] = ansi.StringWidth(chip)
		room -= widths[i]
	}
	for room < 0 {
		longest := 0
		for i := range widths {
			if widths[i] > widths[longest] {
				longest = i
			}
		}
		if widths[longest] <= 4 {
			break
		}
		widths[longest]--
		room++
	}
	for i, chip := range chips {
		line += t.row(t.accent).Render(" "+fit(chip, widths[i])+" ") + " "
	}
	if len(chips) > 0 {
		c.clears = lipgloss.Width(line)
	}
	return line + end
}

// dates are the filter's days in words; "" when there are none.
func (sh *shell) dates(f flows.Filter) string {
	from, until := sh.day(f.From), ""
	if !f.Before.IsZero() {
		until = sh.day(f.Before.In(sh.zone).AddDate(0, 0, -1))
	}
	switch {
	case from != "" && until != "":
		return "active " + from + " to " + until
	case from != "":
		return "active since " + from
	case until != "":
		return "active until " + until
	}
	return ""
}

// day is a day as the filter takes it; "" for none.
func (sh *shell) day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(sh.zone).Format(time.DateOnly)
}

// onList is how many contacts have anything to do with a list.
func (sh *shell) onList(name string) (int64, bool) {
	for _, l := range sh.lists {
		if l.Name == name {
			return l.Subscribed + l.Pending + l.Left, true
		}
	}
	return 0, false
}

func (c *contacts) otherOrder() string {
	if c.order == flows.ByID {
		return "sort by activity"
	}
	return "sort by id"
}

// whyOrder is why the order can't be turned now, or "".
func (c *contacts) whyOrder() string {
	if c.order == flows.ByActivity && c.sh.dates(c.filter) != "" {
		return flows.WhyNoDates
	}
	return ""
}

// turnOrder sorts by id, or by last activity again, and goes to the first row.
func (c *contacts) turnOrder() tea.Cmd {
	order, said := flows.ByID, "sorted by SubscriberID, the newest first"
	if c.order == flows.ByID {
		order, said = flows.ByActivity, "sorted by last activity, the latest first"
	}
	c.order = order
	return tea.Batch(c.anew(), c.sh.say(info, said))
}
