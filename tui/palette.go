package tui

import (
	"strconv"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"
)

// palette finds an action or a screen by a few letters of its words.
type palette struct {
	sh    *shell
	input textinput.Model
	all   []action
	found []action
	list  cursor
}

// palette opens it with all that can be done on the screen on show.
func (sh *shell) palette() tea.Cmd {
	p := &palette{sh: sh, input: *typed("", "a few letters of what to do", 60).input}
	p.input.Focus() // its command is for a drawn cursor; ours is the terminal's
	for i, t := range sh.tabs {
		if i != sh.tab {
			p.all = append(p.all, action{Key: strconv.Itoa(i + 1), Label: "go to " + t.stack[0].name(), Do: func() tea.Cmd { return sh.show(i) }})
		}
	}
	moving := map[string]bool{}
	for _, a := range moves(nil, nil, nil, nil) {
		moving[a.Key] = true
	}
	for _, table := range [][]action{sh.screen().actions(), sh.everywhere()} {
		for _, a := range table {
			if a.Label != "" && !moving[a.Key] && !a.has(":") && !a.has("1") && !a.has("tab") && !a.has("shift+tab") {
				p.all = append(p.all, a)
			}
		}
	}
	p.all = append(p.all, sh.settings()...)
	p.match()
	return sh.open(p)
}

// match keeps what fits the letters, the best first.
func (p *palette) match() {
	p.found, p.list = p.all, cursor{}
	if p.input.Value() == "" {
		return
	}
	labels := make([]string, len(p.all))
	for i, a := range p.all {
		labels[i] = a.Label
	}
	p.found = nil
	for _, m := range fuzzy.Find(p.input.Value(), labels) {
		p.found = append(p.found, p.all[m.Index])
	}
}

func (p *palette) update(msg tea.Msg) tea.Cmd {
	if key, ok := msg.(tea.KeyPressMsg); ok {
		switch key.String() {
		case "esc":
			p.sh.close(p)
			return nil
		case "up", "ctrl+p":
			return p.list.step(-1)
		case "down", "ctrl+n":
			return p.list.step(1)
		case "enter":
			return p.choose(p.list.cur)
		}
	}
	if n, ok := msg.(wheelMsg); ok {
		return p.list.step(int(n))
	}
	before := p.input.Value()
	in, cmd := p.input.Update(msg)
	p.input = in
	if in.Value() != before {
		p.match()
	}
	return cmd
}

// choose does what is found in a place, and closes the palette.
func (p *palette) choose(i int) tea.Cmd {
	p.sh.close(p)
	if i >= len(p.found) {
		return nil
	}
	return p.sh.perform(p.found[i])
}

func (p *palette) draw(w, h int) drawn {
	t := p.sh.theme
	inner := min(w-8, 56)
	p.input.SetWidth(inner - 3)
	t.dress(&p.input)
	p.list.show(len(p.found), min(12, h-8))
	lines := []string{t.accentBold.Render("› ") + p.input.View(), t.faint.Render(fit("", inner))}
	var spots []spot
	for i := p.list.top; i < p.list.top+min(12, h-8); i++ {
		if i >= len(p.found) {
			lines = append(lines, "")
			continue
		}
		a := p.found[i]
		spots = append(spots, spot{boxLeft, boxLeft + inner, boxTop + len(lines), func() tea.Cmd { return p.choose(i) }})
		style, mark, label := t.text, "  ", a.Label
		if a.why() != "" { // as on the help line
			style, label = t.dim, "("+a.Label+")"
		}
		if i == p.list.cur {
			style, mark = t.row(t.bold), "▌ "
		}
		lines = append(lines, style.Render(mark+fit(label, inner-14)+" "+fitRight(a.keys(true), 11)))
	}
	if len(p.found) == 0 {
		lines[2] = t.dim.Render("  nothing is called that")
	}
	d := boxed(t, t.accent, "What to do", lines, inner, w, h)
	d.spots = spots
	if c := p.input.Cursor(); c != nil {
		d.cursor = &tea.Position{X: 5 + c.X, Y: 1}
	}
	return d
}
