package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// overview is the screen of how the lists and the mail are doing, in numbers
// out of maintained counters (overviewparts.go draws them).
type overview struct {
	base
	now    flows.Overview
	loaded bool
	closed string // why it may not be seen

	top, rows int
	lines     []string // as drawn last, for width and theme
	width     int
	theme     *theme
}

func newOverview(sh *shell) screen { return &overview{base: newBase(sh)} }

func (o *overview) name() string { return "Overview" }

func (o *overview) enter() tea.Cmd { return o.refresh() }

// refresh asks anew. What is on show stays until the answer is there.
func (o *overview) refresh() tea.Cmd {
	if o.sh.screen() != screen(o) {
		return nil
	}
	return read(o.sh, o.box, "overview", func(ctx context.Context) (flows.Overview, error) {
		return o.sh.Desk.Overview(ctx, o.sh.Actor)
	}, func(now flows.Overview, err error) tea.Cmd {
		switch {
		case err == nil:
			o.now, o.loaded, o.closed, o.lines = now, true, "", nil
		case !fault(err):
			o.closed, o.lines = reason(err), nil
		}
		return nil
	})
}

func (o *overview) poll(shown bool) tea.Cmd {
	if !shown || o.box.busy("overview") {
		return nil
	}
	return o.refresh()
}

// place says how fresh the numbers are, and when a day ends in them.
func (o *overview) place() string {
	if !o.loaded {
		return ""
	}
	return "as of " + o.now.At.In(o.sh.zone).Format("15:04:05") + ", days in UTC"
}

func (o *overview) actions() []action {
	return moves(o.scroll, func() int { return max(1, o.rows-1) },
		func() tea.Cmd { o.top = 0; return nil },
		func() tea.Cmd { return o.scroll(len(o.lines)) })
}

func (o *overview) scroll(n int) tea.Cmd {
	o.top = max(0, min(o.top+n, len(o.lines)-o.rows))
	return nil
}

func (o *overview) wheel(n int) tea.Cmd { return o.scroll(n) }

// nothing says why there are no numbers, "" when there are.
func (o *overview) nothing() string {
	contacts := int64(0)
	for _, n := range o.now.ByPermission {
		contacts += n
	}
	switch {
	case o.closed != "":
		return o.closed
	case o.loaded && contacts == 0:
		return "Nobody is here yet: the numbers begin with the first contact."
	case o.loaded:
		return ""
	case o.sh.line.lost:
		return "The store does not answer. The numbers show as soon as it does."
	default:
		return "Counting …"
	}
}

func (o *overview) draw(w, h int) []string {
	o.rows = h
	if why := o.nothing(); why != "" {
		return append([]string{""}, view{sh: o.sh, w: w}.indent(o.sh.dimmed(why, w-4))...)
	}
	if o.lines == nil || o.width != w || o.theme != o.sh.theme {
		o.width, o.theme = w, o.sh.theme
		o.lines = view{sh: o.sh, w: w, now: o.now.At}.overview(o.now)
	}
	o.scroll(0)
	return o.lines[o.top:min(len(o.lines), o.top+h)]
}
