package tui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// countedLetters is up to how many open letters the engine's line tells the
// due from the deferred: beyond that, it says only how many there are.
const countedLetters = 300

// engine is how the sending engine stands.
type engine struct {
	known, split           bool
	open, held             int64
	due, sending, deferred int64
	delivered, refused     int64 // today, UTC
}

// count asks how the engine stands, out of counters.
func (o *outbox) count() tea.Cmd {
	return read(o.sh, o.box, "engine", o.engineNow, func(e engine, err error) tea.Cmd {
		if err == nil {
			o.engine = e
		}
		return nil // the letters' own question tells the fault
	})
}

func (o *outbox) engineNow(ctx context.Context) (engine, error) {
	now, err := o.sh.Desk.Overview(ctx, o.sh.Actor)
	if err != nil {
		return engine{}, err
	}
	e := engine{known: true, split: now.LettersOpen <= countedLetters, open: now.LettersOpen, held: now.LettersHeld}
	if n := len(now.Days); n > 0 {
		e.delivered, e.refused = now.Days[n-1].Delivered, now.Days[n-1].Refused
	}
	if !e.split || e.open == 0 {
		return e, nil
	}
	for state, n := range map[string]*int64{"due": &e.due, "sending": &e.sending, "deferred": &e.deferred} {
		letters, err := o.sh.Desk.Outbox(ctx, o.sh.Actor, state, 0, countedLetters)
		if err != nil {
			return engine{}, err
		}
		*n = int64(len(letters))
	}
	return e, nil
}

// line writes the engine's state in one line: what is nothing is quiet.
func (e engine) line(sh *shell, w int) string {
	t := sh.theme
	if !e.known {
		return ""
	}
	word := func(state string, n int64) string {
		mark, style := letterState(t, state)
		symbol, name, _ := strings.Cut(mark, " ")
		if n == 0 {
			style = t.faint
		}
		number := t.bold.Render(number(n))
		if n == 0 {
			number = t.dim.Render("0")
		}
		if w < 100 {
			return t.dim.Render(name+" ") + number
		}
		return style.Render(symbol) + t.dim.Render(" "+name+" ") + number
	}
	now := []string{word("waiting", e.open)}
	if e.split {
		now = []string{word("due", e.due), word("sending", e.sending), word("deferred", e.deferred)}
	}
	now = append(now, word("held", e.held))
	gap := "  "
	if w >= 100 {
		gap = "   "
	}
	return fit("  "+strings.Join(now, gap)+gap+t.faint.Render("│")+t.dim.Render(" today ")+word("delivered", e.delivered)+gap+word("refused", e.refused), w)
}

// onlyChip is the filter that is on, above the letters.
func (o *outbox) onlyChip() string {
	t := o.sh.theme
	word, _ := letterState(t, o.state)
	return t.dim.Render("  Only ") + t.row(t.accent).Render(" "+word+" ") + t.dim.Render("  F clears")
}

// askFilter narrows the outbox to letters of one state.
func (o *outbox) askFilter() tea.Cmd {
	words := append([]string{"any"}, states[1:]...)
	f := &form{title: "Filter", direct: true, labels: []string{"back", "show"}, fields: []field{choice("State", at(states, o.state), words...)}, body: func(w int) []string {
		return o.sh.dimmed("← → change, a letter jumps. The filter stays on until F clears it.", w)
	}}
	f.submit = func() tea.Cmd {
		o.sh.close(f)
		return o.only(states[f.fields[0].picked])
	}
	return o.sh.openForm(f)
}

// only fetches the letters of a state. Those on show go at once: under the
// new filter's name they would be wrong.
func (o *outbox) only(state string) tea.Cmd {
	o.state, o.letters, o.loaded, o.list = state, []flows.Letter(nil), false, cursor{}
	return o.refresh()
}
