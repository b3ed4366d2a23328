package tui

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// engine is how the sending engine stands.
type engine struct {
	known bool
	flows.OutboxStats
	pace throughput
}

// count asks how the engine stands, out of counters.
func (o *outbox) count() tea.Cmd {
	return read(o.sh, o.box, "engine", func(ctx context.Context) (flows.OutboxStats, error) {
		return o.sh.Desk.OutboxStats(ctx, o.sh.Actor)
	}, func(now flows.OutboxStats, err error) tea.Cmd {
		if err == nil {
			o.engine.known, o.engine.OutboxStats = true, now
			o.engine.pace.look(now, o.sh.now())
		}
		return nil // the letters' own question tells the fault
	})
}

// lines are the engine's state and its throughput, over the letters.
func (e engine) lines(sh *shell, w int) []string {
	if !e.known {
		return []string{"", "", ""}
	}
	return []string{e.line(sh, w), e.pace.line(sh, e.Days, w), ""}
}

// line writes the engine's state in one line: what is nothing is quiet.
func (e engine) line(sh *shell, w int) string {
	t := sh.theme
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
	now := []string{word("due", e.Due), word("sending", e.Sending), word("deferred", e.Deferred), word("held", e.Held)}
	gap := "  "
	if w >= 100 {
		gap = "   "
	}
	today := e.Today()
	end := word("delivered", today.Delivered) + gap + word("refused", today.Refused)
	if today.Returned > 0 {
		end += gap + t.dim.Render("came back ") + t.bold.Render(number(today.Returned))
	}
	return fit("  "+strings.Join(now, gap)+gap+t.faint.Render("│")+t.dim.Render(" today ")+end, w)
}

// alarmLines tell what staff must look at, each with what to do about it.
func (e engine) alarmLines(sh *shell, w int) []string {
	t := sh.theme
	var out []string
	for _, a := range e.Alarms {
		what := "▲ " + number(a.Count) + " since " + exact(a.Since, sh.zone) + ": " + a.Help()
		out = append(out, "  "+t.bad.Render(fit(what, w-3)), "  "+t.dim.Render(fit("  "+clean(a.Words), w-3)))
	}
	return out
}

// clearAlarms takes the alarms that are on show as seen.
func (o *outbox) clearAlarms() tea.Cmd {
	upTo := o.engine.At.Add(time.Second)
	return act(o.sh, "alarms", func(ctx context.Context) (int64, error) {
		return o.sh.Desk.ClearAlarms(ctx, o.sh.Actor, upTo)
	}, func(_ int64, err error) tea.Cmd {
		if err != nil {
			return o.sh.say(failed, "alarms: "+reason(err))
		}
		return tea.Batch(o.count(), o.sh.say(done, "the alarms are taken as seen; what is still true comes again"))
	})
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
