package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// search asks for a full address, a number or a SubscriberID. What is typed
// lives in the overlay and is gone with it.
func (sh *shell) search() tea.Cmd {
	if _, ok := sh.overlay().(*form); ok {
		return nil
	}
	b := newBox()
	f := &form{
		title: "Search", direct: true, labels: []string{"back", "search"},
		fields: []field{typed("Find", "name@example.com, +45…, or a SubscriberID", 320)},
		body: func(w int) []string {
			return sh.dimmed("A full address, a number in international form, or a SubscriberID finds exactly that contact: the card, and any tombstones of the address.", w)
		},
	}
	f.submit = func() tea.Cmd {
		query := f.value(0)
		if query == "" {
			return nil
		}
		return f.wait(read(sh, b, "find", func(ctx context.Context) (flows.Found, error) {
			return sh.Desk.Find(ctx, sh.Actor, query)
		}, func(found flows.Found, err error) tea.Cmd {
			if err == nil && len(found.Cards) == 0 {
				f.busy = false
				f.fault = "Nobody is known by that: no card, and no tombstone."
				return nil
			}
			if !f.end(err) {
				return nil
			}
			return sh.showFound(found)
		}))
	}
	return sh.openForm(f)
}

// showFound opens the only card, or lists the cards and tombstones found.
func (sh *shell) showFound(found flows.Found) tea.Cmd {
	sh.tab = 0
	for len(sh.tabs[0].stack) > 1 {
		sh.back() // what was found before gives way, and the address that it was found by with it
	}
	if len(found.Cards) == 1 {
		return sh.push(newCard(sh, found.Cards[0], found.Given))
	}
	return sh.push(newResults(sh, found))
}

// dimmed is a text of ours, wrapped and quiet.
func (sh *shell) dimmed(s string, w int) []string {
	lines := wrap(s, w)
	for i, l := range lines {
		lines[i] = sh.theme.dim.Render(l)
	}
	return lines
}

// results is the screen of a search that found several cards.
type results struct {
	base
	found flows.Found
	grid  *grid[flows.Card]
	list  cursor
}

func newResults(sh *shell, found flows.Found) screen {
	return &results{base: newBase(sh), found: found, grid: newCardGrid(sh)}
}

func (r *results) name() string { return "Search" }

func (r *results) leave() { r.found = flows.Found{} }

func (r *results) place() string {
	return number(int64(r.list.cur+1)) + " of " + plural(int64(len(r.found.Cards)), "card found", "cards found")
}

func (r *results) card() (flows.Card, bool) {
	if r.list.cur >= len(r.found.Cards) {
		return flows.Card{}, false
	}
	return r.found.Cards[r.list.cur], true
}

func (r *results) open() tea.Cmd {
	return r.sh.push(newCard(r.sh, r.found.Cards[r.list.cur], r.found.Given))
}

func (r *results) actions() []action {
	table := []action{
		{Key: "enter", Label: "open", Do: r.open},
		{Key: "esc", Label: "back", Do: r.sh.back},
	}
	given := func() *flows.Given { return r.found.Given }
	table = append(append(table, r.sh.cardActs(r.card, given)...), r.sh.proveAct(r.card, given))
	return append(table, r.list.moves()...)
}

func (r *results) wheel(n int) tea.Cmd { return r.list.step(n) }

func (r *results) click(_, y int) tea.Cmd {
	if r.list.click(y, 1) {
		return r.open()
	}
	return nil
}

func (r *results) patch(c flows.Card) tea.Cmd {
	for i := range r.found.Cards {
		if r.found.Cards[i].SubscriberID == c.SubscriberID {
			r.found.Cards[i] = c
			r.grid.forget()
		}
	}
	return nil
}

func (r *results) draw(w, h int) []string {
	r.list.show(len(r.found.Cards), h-1)
	return r.grid.draw(w, h, r.list.top, r.list.cur, func(i int) (*flows.Card, bool) {
		if i < 0 || i >= len(r.found.Cards) {
			return nil, false
		}
		return &r.found.Cards[i], true
	})
}
