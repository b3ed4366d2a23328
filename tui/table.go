package tui

import tea "charm.land/bubbletea/v2"

// cursor is a place in a list that is wholly in memory.
type cursor struct{ cur, top, rows, len int }

func (c *cursor) step(n int) tea.Cmd {
	c.cur = max(0, min(c.cur+n, c.len-1))
	return nil
}

// show keeps the cursor among n rows, and on a screen of h of them.
func (c *cursor) show(n, h int) {
	c.len, c.rows = n, max(1, h)
	c.step(0)
	c.top = max(0, min(max(c.cur-c.rows+1, min(c.top, c.cur)), n-c.rows))
}

func (c *cursor) moves() []action {
	return moves(c.step, func() int { return max(1, c.rows-1) },
		func() tea.Cmd { return c.step(-c.len) }, func() tea.Cmd { return c.step(c.len) })
}

// click picks the row at y of a list that begins at line head; again tells
// that it was picked before.
func (c *cursor) click(y, head int) (again bool) {
	i := c.top + y - head
	if y < head || i >= c.len {
		return false
	}
	again = i == c.cur
	c.cur = i
	return again
}
