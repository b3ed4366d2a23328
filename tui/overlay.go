package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// overlay lies over the screen and takes every key until it is closed.
type overlay interface {
	update(tea.Msg) tea.Cmd
	draw(w, h int) drawn
}

// drawn is an overlay's picture and where it belongs.
type drawn struct {
	text   string
	x, y   int
	cursor *tea.Position // in the picture
	unhand bool          // leave the mouse to the terminal, so that text can be selected
	spots  []spot        // what a click does, in the picture
}

// spot is a stretch of a line that can be clicked.
type spot struct {
	x, to, y int
	do       func() tea.Cmd
}

// click does what lies at a place of the screen, if anything does.
func (d drawn) click(x, y int) tea.Cmd {
	for _, s := range d.spots {
		if y-d.y == s.y && x-d.x >= s.x && x-d.x < s.to {
			return s.do()
		}
	}
	return nil
}

// outside tells whether a place of the screen is beside the picture.
func (d drawn) outside(x, y int) bool {
	return x < d.x || y < d.y || x >= d.x+lipgloss.Width(d.text) || y >= d.y+lipgloss.Height(d.text)
}

// The text of a box begins here in its picture.
const (
	boxLeft = 3
	boxTop  = 1
)

// wheelMsg is the mouse wheel for an overlay.
type wheelMsg int

// boxed draws lines of w cells in a box with a title, in the middle of a
// screen of sw by sh cells.
func boxed(t *theme, edge lipgloss.Style, title string, lines []string, w, sw, sh int) drawn {
	var b strings.Builder
	title = fit(title, min(lipgloss.Width(title), w-2))
	b.WriteString(edge.Render("╭─ ") + edge.Bold(true).Render(title) + edge.Render(" "+strings.Repeat("─", max(0, w+1-lipgloss.Width(title)))+"╮"))
	for _, l := range lines {
		b.WriteString("\n" + edge.Render("│") + "  " + l + t.text.Render(spaces(w-lipgloss.Width(l))) + "  " + edge.Render("│"))
	}
	b.WriteString("\n" + edge.Render("╰"+strings.Repeat("─", w+4)+"╯"))
	return drawn{text: b.String(), x: max(0, (sw-w-6)/2), y: max(0, (sh-len(lines)-2)/2)}
}

// pager is an overlay of text that scrolls.
type pager struct {
	sh    *shell
	title string
	lines func(w int) []string
	keys  func() []action // nil for none but those that scroll and close
	plain bool            // leave the mouse to the terminal
	top   int
	rows  int // that fitted when it was last drawn
	all   int
}

func (p *pager) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case wheelMsg:
		p.scroll(int(msg))
	case tea.KeyPressMsg:
		table := append(p.table(), moves(
			func(n int) tea.Cmd { p.scroll(n); return nil },
			func() int { return max(1, p.rows-1) },
			func() tea.Cmd { p.top = 0; return nil },
			func() tea.Cmd { p.scroll(p.all); return nil },
		)...)
		switch msg.String() {
		case "esc", "q", "enter", "?", "!":
			p.sh.close(p)
			return nil
		}
		return p.sh.dispatch(msg.String(), table)
	}
	return nil
}

func (p *pager) table() []action {
	if p.keys == nil {
		return nil
	}
	return p.keys()
}

func (p *pager) scroll(n int) { p.top = max(0, min(p.top+n, p.all-p.rows)) }

func (p *pager) draw(w, h int) drawn {
	t := p.sh.theme
	inner := min(w-8, 96)
	lines := p.lines(inner)
	if len(lines) > 0 && lines[0] != "" && len(lines) <= h-7 { // air, where there is room
		lines = append([]string{""}, lines...)
	}
	p.all, p.rows = len(lines), min(len(lines), h-6)
	p.scroll(0)
	end := ""
	var spots []spot
	for _, a := range p.table() {
		word := p.sh.theme.help(helpWord{a.keys(false), a.Label, a.why() != ""})
		x := boxLeft + lipgloss.Width(end)
		spots = append(spots, spot{x, x + lipgloss.Width(word), boxTop + p.rows + 1, func() tea.Cmd { return p.sh.perform(a) }})
		end += word + "   "
	}
	if p.all > p.rows {
		end += t.dim.Render("↑ ↓ scroll   ")
	}
	x := boxLeft + lipgloss.Width(end)
	spots = append(spots, spot{x, x + len("esc back"), boxTop + p.rows + 1, func() tea.Cmd { p.sh.close(p); return nil }})
	end += t.accent.Render("esc") + t.dim.Render(" back")
	shown := append(lines[p.top:p.top+p.rows:p.top+p.rows], "", fit(end, min(inner, lipgloss.Width(end))))
	d := boxed(t, t.accent, p.title, shown, inner, w, h)
	d.unhand, d.spots = p.plain, spots
	return d
}
