package tui

import (
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// help opens the page of all keys of the screen on show: the same tables that
// dispatch reads, with the reason beside each that is off.
func (sh *shell) help() tea.Cmd {
	s := sh.screen()
	return sh.open(&pager{sh: sh, title: "Keys: " + s.name(), lines: func(w int) []string {
		out := sh.keyLines("Here", s.actions(), w)
		return append(append(out, ""), sh.keyLines("Everywhere", sh.everywhere(), w)...)
	}})
}

func (sh *shell) keyLines(title string, table []action, w int) []string {
	t := sh.theme
	out := []string{t.bold.Render(title)}
	for _, a := range table {
		if a.Label == "" {
			continue
		}
		keys := fit(a.keys(true), 13)
		why := a.why()
		if why == "" {
			out = append(out, t.accent.Render(keys)+" "+t.text.Render(fit(a.Label, min(w-14, ansi.StringWidth(a.Label)))))
			continue
		}
		for i, l := range wrap("("+a.Label+"): "+why, w-14) {
			if i > 0 {
				keys = spaces(13)
			}
			out = append(out, t.dim.Render(keys+" "+l))
		}
	}
	return out
}

// history opens the messages so far, the latest first.
func (sh *shell) history() tea.Cmd {
	return sh.open(&pager{sh: sh, title: "Messages so far", lines: func(w int) []string {
		t := sh.theme
		if len(sh.notes.all) == 0 {
			return []string{t.dim.Render("None yet.")}
		}
		var out []string
		for i := len(sh.notes.all) - 1; i >= 0; i-- {
			n := sh.notes.all[i]
			symbol, style := n.mood.draw(t)
			for j, l := range wrap(n.text, w-12) {
				if j == 0 {
					out = append(out, t.dim.Render(n.at.In(sh.zone).Format("15:04:05"))+"  "+style.Render(symbol)+l)
				} else {
					out = append(out, spaces(12)+l)
				}
			}
		}
		return out
	}})
}
