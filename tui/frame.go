package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// The frame: a line of tabs and a rule above the screen, the status line and
// the help line below it.
const (
	headRows  = 2
	footRows  = 2
	leastCols = 60
	leastRows = 15
)

func (sh *shell) bodyRows() int { return sh.h - headRows - footRows }

// frame draws everything but overlays.
func (sh *shell) frame() string {
	t := sh.theme
	rows := make([]string, 0, sh.h)
	rows = append(rows, sh.tabLine(), t.faint.Render(strings.Repeat("─", sh.w)))
	body := sh.screen().draw(sh.w, sh.bodyRows())
	for i := range sh.bodyRows() {
		if i < len(body) {
			rows = append(rows, body[i])
		} else {
			rows = append(rows, "")
		}
	}
	rows = append(rows, sh.statusLine(), sh.helpLine())
	return strings.Join(rows, "\n")
}

// extent is where a tab lies on its line.
type extent struct{ from, to int }

// tabText is a tab as it is written: its word, and its count, which gives way
// where the line has no room for all.
func (sh *shell) tabText(i int) (name, count string, hot bool) {
	all := 1
	for _, t := range sh.tabs {
		n, _ := t.stack[0].badge()
		all += len(t.stack[0].name()) + len(number(n)) + 4
	}
	s := sh.tabs[i].stack[0]
	n, hot := s.badge()
	if n > 0 && all < sh.w {
		count = " " + number(n)
	}
	return s.name(), count, hot
}

// roomForState is what the tabs leave for the route and the connection, where
// they can.
const roomForState = 22

// tabGap is how far apart the tabs stand: closer where room is short.
func (sh *shell) tabGap() int {
	all := roomForState
	for i := range sh.tabs {
		name, count, _ := sh.tabText(i)
		all += ansi.StringWidth(name+count) + 3
	}
	if all > sh.w {
		return 2
	}
	return 3
}

func (sh *shell) tabSpans() []extent {
	spans := make([]extent, len(sh.tabs))
	x, gap := 1, sh.tabGap()
	for i := range sh.tabs {
		name, count, _ := sh.tabText(i)
		w := ansi.StringWidth(name + count)
		spans[i] = extent{x - 1, x + w + 1}
		x += w + gap
	}
	return spans
}

func (sh *shell) tabLine() string {
	t := sh.theme
	var b strings.Builder
	used, gap := 0, sh.tabGap()
	for i := range sh.tabs {
		name, count, hot := sh.tabText(i)
		style, mark := t.dim, " "
		if i == sh.tab {
			style, mark = t.accentBold.Underline(true), " "
		}
		b.WriteString(mark + style.Render(name))
		if count != "" {
			c := t.dim
			if hot {
				c = t.warn.Bold(true)
			}
			b.WriteString(c.Render(count))
		}
		b.WriteString(spaces(gap - 1))
		used += ansi.StringWidth(name+count) + gap
	}
	right := sh.identity(sh.w - used - 2)
	return b.String() + spaces(sh.w-used-1-lipgloss.Width(right)) + right + " "
}

// identity is the right part of the tab line: who, on what, by which route,
// and how the connection is. Where there is no room for all of it, the route
// and the connection stay, and the status line tells the rest (atRest).
func (sh *shell) identity(room int) string {
	t := sh.theme
	route := sh.Mail
	if route == "" {
		route = sh.Route
	}
	link, linkStyle := sh.line.draw(t)
	short := "●"
	if sh.line.lost {
		short = "✗ lost"
	}
	join := func(state string, parts ...string) string {
		return t.dim.Render(strings.Join(parts, " · ")) + "  " + linkStyle.Render(state)
	}
	options := []string{
		join(link, "signed in as "+sh.role(), clean(sh.Store), "mail: "+clean(route)),
		join(link, sh.role(), clean(sh.Store), clean(route)),
		join(short, sh.role(), clean(sh.Store), clean(route)),
		join(link, sh.Route),
		join(short, sh.Route),
		linkStyle.Render(short),
	}
	sh.rested = ""
	for i, o := range options {
		if i == 3 {
			sh.rested = "signed in as " + sh.role() + " · " + clean(sh.Store)
		}
		if lipgloss.Width(o) <= room {
			return o
		}
	}
	return ""
}

// role is who is signed in as what.
func (sh *shell) role() string { return clean(sh.Actor.Name) + ", " + string(sh.Actor.Role) }

// statusLine holds the message on show, or the work under way, and at its end
// where one is in the screen.
func (sh *shell) statusLine() string {
	t := sh.theme
	place := sh.screen().place()
	room := sh.w - 3 - ansi.StringWidth(place)
	left := ""
	switch n := &sh.notes; {
	case n.shown:
		last := n.all[len(n.all)-1]
		if room < ansi.StringWidth(last.text)+2 {
			place, room = "", sh.w-2 // the message needs the whole line
		}
		symbol, style := last.mood.draw(t)
		left = style.Render(symbol) + t.text.Render(fit(last.text, room-2))
	case sh.work != nil:
		left = sh.work.draw(sh, room)
	case sh.line.lost:
		left = t.bad.Render("✗ ") + t.dim.Render(fit("the store does not answer; trying again "+ago(sh.line.until, sh.now())+" (^r: now)", room-2))
	case sh.rested != "":
		left = t.dim.Render(fit(sh.rested, min(room, lenCells(sh.rested))))
	}
	return " " + left + spaces(sh.w-2-lipgloss.Width(left)-ansi.StringWidth(place)) + place + " "
}

// helpLine is what the keys do here and now. What is off stands in brackets;
// pressing it, or the page of all keys, tells why. Where room is short, what
// can be done goes before what can't.
func (sh *shell) helpLine() string {
	line, _ := sh.helpWords()
	return line
}

// helpWords is the help line, and what a click on each word does.
func (sh *shell) helpWords() (string, []spot) {
	var end, here []action
	room := sh.w
	for _, a := range sh.everywhere() {
		if !a.Quiet {
			end = append(end, a)
			room -= sh.helpWidth(a)
		}
	}
	table := sh.screen().actions()
	fits := make([]bool, len(table))
	used := 0
	for _, off := range []bool{false, true} {
		for i, a := range table {
			if n := sh.helpWidth(a); !a.Quiet && (a.why() != "") == off && used+n <= room {
				fits[i] = true
				used += n
			}
		}
	}
	for i, a := range table {
		if fits[i] {
			here = append(here, a)
		}
	}
	var line strings.Builder
	var spots []spot
	x := 0
	for _, part := range [][]action{here, end} {
		for _, a := range part {
			n := sh.helpWidth(a)
			line.WriteString(" " + sh.helpWord(a) + " ")
			spots = append(spots, spot{x, x + n, 0, func() tea.Cmd { return sh.perform(a) }})
			x += n
		}
		if len(spots) == len(here) {
			line.WriteString(spaces(room - used))
			x += room - used
		}
	}
	return line.String(), spots
}

// helpWidth is the cells of a word of the help line, with one on either side.
func (sh *shell) helpWidth(a action) int {
	n := ansi.StringWidth(a.keys(false)) + 1 + ansi.StringWidth(a.Label) + 2
	if a.why() != "" {
		n += 2
	}
	return n
}

func (sh *shell) helpWord(a action) string {
	t := sh.theme
	if a.why() != "" {
		return t.off.Render("(" + a.keys(false) + " " + a.Label + ")")
	}
	return t.accent.Render(a.keys(false)) + " " + t.dim.Render(a.Label)
}

// faded is the frame behind an overlay: all in one quiet colour.
func (sh *shell) faded(content string) string {
	lines := strings.Split(ansi.Strip(content), "\n")
	for i, l := range lines {
		lines[i] = sh.theme.faint.Render(l)
	}
	return strings.Join(lines, "\n")
}

func (sh *shell) tooSmall() string {
	text := "Kartotek needs 60×15 characters.\nPlease make the window larger."
	return lipgloss.Place(sh.w, sh.h, lipgloss.Center, lipgloss.Center, lipgloss.NewStyle().MaxWidth(sh.w).Render(text))
}
