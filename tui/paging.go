package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// page is the call for one page under the filter that is on now.
func (c *contacts) page(p flows.Page) func(context.Context) (flows.Cards, error) {
	p.Filter, p.Order, p.Limit = c.filter, c.order, pageSize
	return func(ctx context.Context) (flows.Cards, error) { return c.sh.Desk.Browse(ctx, c.sh.Actor, p) }
}

// first goes to the newest contact. What is on show stays until it is there.
func (c *contacts) first() tea.Cmd {
	if c.win.len() > 0 && !c.win.newer() && c.win.cur != 0 {
		c.win.cur, c.win.top = 0, 0
		return nil
	}
	return read(c.sh, c.box, "page", c.page(flows.Page{}), func(p flows.Cards, err error) tea.Cmd {
		if err != nil {
			return c.refused(err)
		}
		c.loaded, c.closed, c.seen = true, "", c.sh.contacts()
		c.forget()
		c.win.reset(p, 0)
		return nil
	})
}

// last goes to the oldest contact.
func (c *contacts) last() tea.Cmd {
	if c.win.len() > 0 && !c.win.older() {
		c.win.cur = c.win.len() - 1
		c.win.clamp(c.rows)
		return nil
	}
	return read(c.sh, c.box, "page", c.page(flows.Page{Last: true}), func(p flows.Cards, err error) tea.Cmd {
		if err != nil {
			return c.refused(err)
		}
		start := int64(-1)
		if total, ok := c.total(); ok && total >= int64(len(p.Cards)) {
			start = total - int64(len(p.Cards))
		}
		c.forget()
		c.win.reset(p, start)
		c.win.cur = len(p.Cards) - 1
		c.win.clamp(c.rows)
		return nil
	})
}

// reload fetches the page around the cursor anew and keeps the place.
func (c *contacts) reload() tea.Cmd {
	at := 0
	page := flows.Page{}
	offset, start := c.win.cur, int64(-1)
	for i, p := range c.win.pages {
		if offset < len(p.Cards) || i == len(c.win.pages)-1 {
			if i > 0 {
				last := c.win.pages[i-1].Last
				page.After = &last
			}
			break
		}
		offset -= len(p.Cards)
		at += len(p.Cards)
	}
	if page.After == nil && c.win.newer() {
		return nil // the page before it is not known; it will be fetched on the way
	}
	if c.win.start >= 0 {
		start = c.win.start + int64(at)
	}
	top := c.win.top - at
	return read(c.sh, c.box, "page", c.page(page), func(p flows.Cards, err error) tea.Cmd {
		if err != nil {
			return c.refused(err)
		}
		c.forget()
		c.win.reset(p, start)
		c.win.cur, c.win.top = offset, top
		c.win.clamp(c.rows)
		return c.prefetch()
	})
}

func (c *contacts) forget() {
	c.grid.forget()
	c.side.forget()
	c.box.next("older", nil)
	c.box.next("newer", nil)
	delete(c.box.cancel, "older")
	delete(c.box.cancel, "newer")
}

// refused says an answer that is no page; a fault is told by the frame.
func (c *contacts) refused(err error) tea.Cmd {
	if fault(err) {
		return nil
	}
	c.closed = reason(err)
	return c.sh.fail(err)
}

func (c *contacts) step(n int) tea.Cmd {
	c.win.cur += n
	if c.beside() && (n == 1 || n == -1) {
		c.win.leap(c.rows, n)
	}
	c.win.clamp(c.rows)
	return tea.Batch(c.prefetch(), c.side.moved())
}

// prefetch asks for the next page well before the cursor is at an end.
func (c *contacts) prefetch() tea.Cmd {
	near := max(pageSize/2, 2*c.rows)
	var cmds []tea.Cmd
	if c.win.older() && c.win.len()-c.win.cur < near && !c.box.busy("older") {
		after := c.win.pages[len(c.win.pages)-1].Last
		cmds = append(cmds, c.extend("older", flows.Page{After: &after}, c.win.extend))
	}
	if c.win.newer() && c.win.cur < near && !c.box.busy("newer") {
		before := c.win.pages[0].First
		cmds = append(cmds, c.extend("newer", flows.Page{Before: &before}, c.win.extendFront))
	}
	return tea.Batch(cmds...)
}

func (c *contacts) extend(slot string, page flows.Page, add func(flows.Cards)) tea.Cmd {
	return read(c.sh, c.box, slot, c.page(page), func(p flows.Cards, err error) tea.Cmd {
		if err != nil {
			return c.refused(err)
		}
		add(p)
		c.win.clamp(c.rows)
		return c.prefetch()
	})
}
