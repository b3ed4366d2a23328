package tui

import (
	"time"

	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// newCardGrid makes the grid of contacts: masked, nothing decrypted.
func newCardGrid(sh *shell) *grid[flows.Card] {
	return newGrid(sh, "ID", func(c *flows.Card) int64 { return c.SubscriberID }, []column[flows.Card]{
		{title: "Address", rank: 0, min: 18, want: 30, most: 48, cell: cellAddress},
		{title: "Permission", rank: 0, min: 14, want: 14, cell: cellPermission},
		{title: "Lists", rank: 2, min: 8, want: 34, rest: true, cell: func(k ink, c *flows.Card) (string, lipgloss.Style) { return clean(c.ListNames()), k.text }},
		{title: "Source", rank: 3, min: 8, want: 16, cell: func(k ink, c *flows.Card) (string, lipgloss.Style) { return text(c.Source), k.dim }},
		{title: "Rating", rank: 4, min: 7, want: 7, cell: func(k ink, c *flows.Card) (string, lipgloss.Style) { return text(c.Rating), k.dim }},
		{title: "Mobile", rank: 6, min: 12, want: 16, cell: func(k ink, c *flows.Card) (string, lipgloss.Style) { return text(c.MobileMasked), k.dim }},
		{title: "Signed up", rank: 5, min: 11, want: 11, cell: cellSignedUp},
		{title: "Active", rank: 1, min: 7, want: 7, right: true, cell: cellActive},
	})
}

func cellAddress(k ink, c *flows.Card) (string, lipgloss.Style) {
	if c.EmailMasked == nil && c.Permission == flows.Deleted {
		return "(tombstone)", k.dim
	}
	return text(c.EmailMasked), k.text
}

func cellPermission(k ink, c *flows.Card) (string, lipgloss.Style) {
	if c.Frozen {
		return "■ frozen", k.warn
	}
	return k.permission(c.Permission)
}

func cellSignedUp(k ink, c *flows.Card) (string, lipgloss.Style) {
	if c.SignedUp == nil || c.SignedUp.At.IsZero() {
		return "", k.dim
	}
	return c.SignedUp.At.In(k.zone).Format("2 Jan 2006"), k.dim
}

// cellActive is the time since the last activity, without the word "ago": the
// column is narrow, and nothing in it lies ahead.
func cellActive(k ink, c *flows.Card) (string, lipgloss.Style) {
	if c.LastActivity == nil {
		return "", k.dim
	}
	if d := k.now.Sub(*c.LastActivity); d >= time.Minute {
		return span(d), k.dim
	}
	return "now", k.dim
}
