package tui

import (
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// column is one column of a grid of cards. The columns with the least rank
// are kept when there is no room for all; want is what a column gladly takes.
type column struct {
	title     string
	rank      int
	min, want int
	right     bool
	cell      func(g *grid, c *flows.Card) (string, lipgloss.Style)
}

// Columns from extraRank on come only where the others keep extraSpare cells
// to grow by.
const (
	extraRank  = 5
	lastRank   = 6
	extraSpare = 24
)

// columns in the order in which they stand.
var columns = []column{
	{title: "ID", rank: 0, min: 4, want: 4, right: true, cell: cellID},
	{title: "Address", rank: 0, min: 18, want: 36, cell: cellAddress},
	{title: "Permission", rank: 0, min: 14, want: 14, cell: cellPermission},
	{title: "Lists", rank: 2, min: 8, want: 34, cell: cellLists},
	{title: "Source", rank: 3, min: 8, want: 16, cell: cellSource},
	{title: "Rating", rank: 4, min: 7, want: 7, cell: cellRating},
	{title: "Mobile", rank: 6, min: 12, want: 14, cell: cellMobile},
	{title: "Signed up", rank: 5, min: 11, want: 11, cell: cellSignedUp},
	{title: "Active", rank: 1, min: 7, want: 7, right: true, cell: cellActive},
}

func cellID(g *grid, c *flows.Card) (string, lipgloss.Style) {
	return strconv.FormatInt(c.SubscriberID, 10), g.sh.theme.dim
}

func cellAddress(g *grid, c *flows.Card) (string, lipgloss.Style) {
	if c.EmailMasked == nil && c.Permission == flows.Deleted {
		return "(tombstone)", g.sh.theme.dim
	}
	return text(c.EmailMasked), g.sh.theme.text
}

func cellPermission(g *grid, c *flows.Card) (string, lipgloss.Style) {
	word, style := g.sh.theme.permission(c.Permission)
	if c.Frozen {
		return "■ frozen", g.sh.theme.warn
	}
	return word, style
}

func cellLists(g *grid, c *flows.Card) (string, lipgloss.Style) {
	return clean(c.ListNames()), g.sh.theme.text
}

func cellSource(g *grid, c *flows.Card) (string, lipgloss.Style) {
	return text(c.Source), g.sh.theme.dim
}

func cellRating(g *grid, c *flows.Card) (string, lipgloss.Style) {
	return text(c.Rating), g.sh.theme.text
}

func cellMobile(g *grid, c *flows.Card) (string, lipgloss.Style) {
	return text(c.MobileMasked), g.sh.theme.dim
}

func cellSignedUp(g *grid, c *flows.Card) (string, lipgloss.Style) {
	if c.SignedUp == nil || c.SignedUp.At.IsZero() {
		return "", g.sh.theme.dim
	}
	return c.SignedUp.At.In(g.sh.zone).Format("2 Jan 2006"), g.sh.theme.dim
}

// cellActive is the time since the last activity, without the word "ago": the
// column is narrow, and nothing in it lies ahead.
func cellActive(g *grid, c *flows.Card) (string, lipgloss.Style) {
	if c.LastActivity == nil {
		return "", g.sh.theme.dim
	}
	if d := g.now.Sub(*c.LastActivity); d >= time.Minute {
		return span(d), g.sh.theme.dim
	}
	return "now", g.sh.theme.dim
}

// grid draws cards as rows. Rows that have been drawn are kept until the
// width, the theme or the minute changes.
type grid struct {
	sh     *shell
	width  int
	digits int
	gap    int
	theme  *theme
	now    time.Time
	cols   []column
	widths []int
	head   string
	rows   map[int64]string
}

// keptRows bounds the rows that a grid keeps drawn.
const keptRows = 2000

func newGrid(sh *shell) grid { return grid{sh: sh, rows: map[int64]string{}} }

func (g *grid) forget() { clear(g.rows) }

// draw is the head and then h-1 rows from top on. card gives the row for an
// index: nil with true is a row that is not loaded yet.
func (g *grid) draw(w, h, top, cur int, card func(int) (*flows.Card, bool)) []string {
	digits := g.digits
	for i := top; i < top+h-1; i++ {
		if c, _ := card(i); c != nil {
			digits = max(digits, len(strconv.FormatInt(c.SubscriberID, 10)))
		}
	}
	g.layout(w, max(digits, 4))
	out := make([]string, 1, h)
	out[0] = g.head
	for i := top; i < top+h-1; i++ {
		c, ok := card(i)
		switch {
		case !ok:
			out = append(out, spaces(w))
		case c == nil:
			out = append(out, g.ghost(i == cur))
		case i == cur:
			out = append(out, g.row(c, true))
		default:
			line, ok := g.rows[c.SubscriberID]
			if !ok {
				line = g.row(c, false)
				if len(g.rows) >= keptRows {
					clear(g.rows)
				}
				g.rows[c.SubscriberID] = line
			}
			out = append(out, line)
		}
	}
	return out
}

// layout picks the columns that fit, by rank, and shares out what is left.
func (g *grid) layout(w, digits int) {
	now := g.sh.now()
	if g.width == w && g.digits == digits && g.theme == g.sh.theme {
		if now.Sub(g.now) >= time.Minute {
			g.now = now
			clear(g.rows)
		}
		return
	}
	g.width, g.digits, g.theme, g.now = w, digits, g.sh.theme, now
	clear(g.rows)
	g.gap = 2
	if w < 90 {
		g.gap = 1
	}
	room := w - 3 // the mark of the cursor, and an edge
	taken := map[string]bool{}
	for rank := 0; rank <= lastRank; rank++ {
		for _, c := range columns {
			need := g.least(c)
			if len(taken) > 0 {
				need += g.gap
			}
			spare := 0
			if rank >= extraRank {
				spare = extraSpare
			}
			if c.rank == rank && room >= need+spare {
				taken[c.title] = true
				room -= need
			}
		}
	}
	g.cols, g.widths = g.cols[:0], g.widths[:0]
	for _, c := range columns {
		if taken[c.title] {
			g.cols, g.widths = append(g.cols, c), append(g.widths, g.least(c))
		}
	}
	g.share(room)
	g.head = g.join(func(c column) (string, lipgloss.Style) { return c.title, g.theme.dim.Bold(true) }, "  ", nil)
}

// share gives the cells that are left to the columns that want them, evenly,
// and what then remains to the lists.
func (g *grid) share(room int) {
	for grown := true; grown && room > 0; {
		grown = false
		for i, c := range g.cols {
			if room > 0 && g.widths[i] < c.want {
				g.widths[i]++
				room--
				grown = true
			}
		}
	}
	for i, c := range g.cols {
		if c.title == "Lists" {
			g.widths[i] += room
		}
	}
}

func (g *grid) least(c column) int {
	if c.title == "ID" {
		return g.digits
	}
	return c.min
}

func (g *grid) join(cell func(column) (string, lipgloss.Style), mark string, under func(lipgloss.Style) lipgloss.Style) string {
	if under == nil {
		under = func(s lipgloss.Style) lipgloss.Style { return s }
	}
	var b strings.Builder
	b.WriteString(under(g.theme.accentBold).Render(mark))
	gap := under(g.theme.text).Render(spaces(g.gap))
	for i, c := range g.cols {
		if i > 0 {
			b.WriteString(gap)
		}
		s, style := cell(c)
		if c.right {
			s = fitRight(s, g.widths[i])
		} else {
			s = fit(s, g.widths[i])
		}
		b.WriteString(under(style).Render(s))
	}
	if n := g.width - lipgloss.Width(b.String()); n > 0 {
		b.WriteString(under(g.theme.text).Render(spaces(n)))
	}
	return b.String()
}

func (g *grid) row(c *flows.Card, current bool) string {
	cell := func(col column) (string, lipgloss.Style) { return col.cell(g, c) }
	if current {
		return g.join(cell, "▌ ", g.theme.row)
	}
	return g.join(cell, "  ", nil)
}

// ghost is a row whose card is on its way.
func (g *grid) ghost(current bool) string {
	cell := func(column) (string, lipgloss.Style) { return "·····", g.theme.faint }
	if current {
		return g.join(cell, "▌ ", g.theme.row)
	}
	return g.join(cell, "  ", nil)
}
