package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// contacts is the grid of all contacts, masked, newest first.
type contacts struct {
	base
	filter flows.Filter
	order  flows.Order
	win    window
	loaded bool
	closed string // why contacts may not be browsed
	seen   int64  // how many contacts there were when the first page was fetched
	rows   int    // that fitted when it was last drawn
	head   int    // lines above the grid's first row
	wide   int    // of the grid
	clears int    // where on the line of chips the word stands that clears them; 0 for nowhere
	grid   *grid[flows.Card]
	side   preview
	marks  map[int64]flows.Card // those to act on together, by SubscriberID (marks.go)
}

func newContacts(sh *shell) screen {
	c := &contacts{base: newBase(sh), rows: 1, grid: newCardGrid(sh), side: preview{sh: sh}, marks: map[int64]flows.Card{}}
	c.grid.marked = func(id int64) bool { _, ok := c.marks[id]; return ok }
	return c
}

func (c *contacts) name() string { return "Contacts" }

func (c *contacts) badge() (int64, bool) { return c.sh.contacts(), false }

func (c *contacts) place() string {
	if n := len(c.marks); n > 0 {
		return strings.TrimSuffix(number(int64(n))+" marked · "+c.where(), " · ")
	}
	return c.where()
}

// where is the cursor's place among all contacts.
func (c *contacts) where() string {
	total, known := c.total()
	if !known && c.win.start >= 0 && !c.win.older() {
		total, known = c.win.start+int64(c.win.len()), true // the last one is in sight
	}
	i := int64(c.win.cur)
	switch {
	case c.win.len() == 0:
		return ""
	case c.win.start >= 0 && known:
		return number(min(c.win.start+i+1, total)) + " of " + number(total)
	case c.win.start >= 0:
		return "row " + number(c.win.start+i+1)
	default:
		return "near the end"
	}
}

// total is how many contacts the filter leaves, where a counter tells.
func (c *contacts) total() (int64, bool) {
	f := c.filter
	switch n := c.sh.counts; {
	case !c.sh.counted:
		return 0, false
	case f == flows.Filter{}:
		return c.sh.contacts(), true
	case f == flows.Filter{Permission: f.Permission}:
		return n.ByPermission[f.Permission], true
	case f == flows.Filter{Source: f.Source}:
		return n.BySource[f.Source], true
	case f == flows.Filter{Rating: f.Rating}:
		return n.ByRating[f.Rating], true
	case f == flows.Filter{List: f.List}:
		return c.sh.onList(f.List)
	default:
		return 0, false
	}
}

// empty tells whether there is nobody at all, which greets instead of a grid.
func (c *contacts) empty() bool {
	return c.loaded && c.win.len() == 0 && c.filter == flows.Filter{} && c.sh.counts.ByPermission[flows.Deleted] == 0
}

func (c *contacts) card() (flows.Card, bool) {
	if p := c.win.at(c.win.cur); p != nil {
		return *p, true
	}
	return flows.Card{}, false
}

func (c *contacts) actions() []action {
	here := func() string {
		if _, ok := c.card(); !ok {
			return "no card is under the cursor"
		}
		return ""
	}
	var table []action
	acts := c.sh.cardActs(c.card, func() *flows.Given { return nil })
	if len(c.marks) > 0 {
		table = c.markedActs()
		acts = slices.DeleteFunc(acts, func(a action) bool { return a.has("e") || a.has("u") || a.has("d") })
	}
	table = append(table,
		action{Key: "enter", Label: "open", Why: here, Do: c.openCard},
		action{Key: "f", Label: "filter", Do: c.askFilter},
	)
	for i := range acts {
		acts[i].Quiet = acts[i].Quiet || acts[i].has("z") // marks and sorting are wanted more often
	}
	table = append(append(table, acts...), c.sh.revealAct(c.card, func() []string { return nil }).quiet(), c.sh.copyAct(c.card))
	table = append(table,
		action{Key: "o", Label: c.otherOrder(), Why: c.whyOrder, Do: c.turnOrder},
		action{Key: "space", Label: "mark", Why: here, Do: c.mark},
		action{Key: "i", Label: "import", Why: c.sh.mayReadFile, Do: c.sh.askImport},
		action{Key: "F", Label: "clear the filter", Quiet: c.filter == flows.Filter{}, Why: func() string {
			if c.filter == (flows.Filter{}) {
				return "no filter is set"
			}
			return ""
		}, Do: func() tea.Cmd { return c.setFilter(flows.Filter{}) }},
		action{Key: "s", Label: "load sample contacts", Quiet: true, Why: func() string {
			if !c.empty() {
				return "only an empty store takes them"
			}
			return c.sh.mayImport()
		}, Do: c.sh.sample},
	)
	return append(table, moves(c.step, func() int { return max(1, c.rows-1) }, c.first, c.last)...)
}

func (c *contacts) openCard() tea.Cmd {
	card, _ := c.card()
	return c.sh.push(newCard(c.sh, card, nil))
}

func (c *contacts) enter() tea.Cmd {
	if c.loaded {
		return nil
	}
	return c.first()
}

func (c *contacts) refresh() tea.Cmd {
	if c.loaded && (c.win.cur > 0 || c.win.newer()) {
		return c.reload()
	}
	return c.first()
}

// poll fetches the first page anew when contacts have come and the cursor
// rests on the newest: further down, nothing moves under the reader's eyes.
func (c *contacts) poll(bool) tea.Cmd {
	atTop := c.win.cur == 0 && !c.win.newer()
	if c.loaded && atTop && c.seen != c.sh.contacts() && !c.box.busy("page") {
		return c.first()
	}
	return nil
}

func (c *contacts) patch(card flows.Card) tea.Cmd {
	if _, ok := c.marks[card.SubscriberID]; ok {
		c.marks[card.SubscriberID] = card
	}
	if c.win.patch(card) {
		c.grid.forget()
		c.side.forget()
	}
	return nil
}

func (c *contacts) wheel(n int) tea.Cmd { return c.step(n) }

func (c *contacts) click(x, y int) tea.Cmd {
	i := c.win.top + y - c.head
	if y == 0 && c.head > 1 { // the chips
		if c.clears > 0 && x >= c.clears {
			return c.setFilter(flows.Filter{})
		}
		return c.askFilter()
	}
	if y < c.head || x >= c.wide || c.win.at(i) == nil {
		return nil
	}
	if i == c.win.cur {
		return c.openCard()
	}
	c.win.cur = i
	return tea.Batch(c.prefetch(), c.side.moved())
}

// beside tells whether the preview is on show.
func (c *contacts) beside() bool { return c.wide > 0 && c.sh.w >= previewFrom }

// nothing says why there are no rows.
func (c *contacts) nothing() string {
	switch {
	case c.closed != "":
		return c.closed
	case c.loaded && c.filter == flows.Filter{}:
		return "No contacts. Tombstones are found by a search for their full address."
	case c.loaded:
		return "No contact fits this filter."
	case c.sh.line.lost:
		return "The store does not answer. The contacts show as soon as it does."
	default:
		return "Fetching the contacts …"
	}
}

// previewFrom is the width from which a card is shown beside the grid.
const (
	previewFrom = 120
	previewCols = 44
)

func (c *contacts) draw(w, h int) []string {
	if c.empty() {
		return c.sh.welcome(w, h)
	}
	t := c.sh.theme
	c.wide, c.head = w, 1
	if w >= previewFrom {
		c.wide = w - previewCols - 1
	}
	var above []string
	if line := c.chipLine(w); line != "" {
		above = append(above, line)
		c.head++
	}
	c.rows = max(1, h-c.head)
	c.win.clamp(c.rows)
	lo, hi := c.win.bounds()
	out := c.grid.draw(c.wide, h-len(above), c.win.top, c.win.cur, func(i int) (*flows.Card, bool) {
		return c.win.at(i), i >= lo && i <= hi
	})
	if c.win.len() == 0 && len(out) > 2 {
		out[2] = t.dim.Render(fit("  "+c.nothing(), c.wide))
	}
	if w >= previewFrom {
		card, ok := c.card()
		beside(out, c.side.draw(card, ok, previewCols-2, len(out)), t.faint.Render("│"))
	}
	return append(above, out...)
}

// beside puts lines to the right of others, which are all of one width.
func beside(left, right []string, rule string) {
	for i := range left {
		left[i] += rule + " "
		if i < len(right) {
			left[i] += strings.TrimRight(right[i], " ")
		}
	}
}
