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

// tabWord is a tab as it is written: its word, and its count, which gives way
// where the line has no room for all.
type tabWord struct {
	name, count string
	hot, shown  bool
}

func (w tabWord) cells() int { return lenCells(w.name) + lenCells(w.count) }

func (sh *shell) tabWords() []tabWord {
	words, all := make([]tabWord, len(sh.tabs)), 1
	for i, t := range sh.tabs {
		n, hot := t.stack[0].badge()
		words[i] = tabWord{name: t.stack[0].name(), hot: hot, shown: i == sh.tab}
		all += len(words[i].name) + len(number(n)) + 4
		if n > 0 {
			words[i].count = " " + number(n)
		}
	}
	if all >= sh.w {
		for i := range words {
			words[i].count = ""
		}
	}
	return words
}

// roomForState is what the tabs leave for the route and the connection, where
// they can.
const roomForState = 22

// tabGap is how far apart the tabs stand: closer where room is short.
func (sh *shell) tabGap(words []tabWord) int {
	all := roomForState
	for _, w := range words {
		all += w.cells() + 3
	}
	if all > sh.w {
		return 2
	}
	return 3
}

func (sh *shell) tabSpans() []extent {
	words := sh.tabWords()
	spans := make([]extent, len(words))
	x, gap := 1, sh.tabGap(words)
	for i, w := range words {
		spans[i] = extent{x - 1, x + w.cells() + 1}
		x += w.cells() + gap
	}
	return spans
}

func (sh *shell) tabLine() string {
	var b strings.Builder
	words := sh.tabWords()
	used, gap := 0, sh.tabGap(words)
	for _, w := range words {
		b.WriteString(" " + sh.theme.inked.get(w, func() string { return sh.theme.tab(w) }) + spaces(gap-1))
		used += w.cells() + gap
	}
	right := sh.identity(sh.w - used - 2)
	return b.String() + spaces(sh.w-used-1-lipgloss.Width(right)) + right + " "
}

func (t *theme) tab(w tabWord) string {
	style, count := t.dim, t.dim
	if w.shown {
		style = t.accentBold.Underline(true)
	}
	if w.hot {
		count = t.warn.Bold(true)
	}
	if w.count == "" {
		return style.Render(w.name)
	}
	return style.Render(w.name) + count.Render(w.count)
}

// identity is the right part of the tab line: who, on what, by which route,
// and how the connection is. Where there is no room for all of it, the route
// and the connection stay, and the status line tells the rest.
func (sh *shell) identity(room int) string {
	t := sh.theme
	route := sh.Mail
	if route == "" {
		route = sh.Route
	}
	link, linkStyle := sh.line.draw(t)
	short := "●"
	switch {
	case sh.line.lost:
		short = "✗ lost"
	case sh.line.slow:
		short = "◔ slow"
	}
	sh.rested = ""
	for i, o := range [][]string{ // the last of each is the connection
		{"signed in as " + sh.role(), clean(sh.Store), "mail: " + clean(route), link},
		{sh.role(), clean(sh.Store), clean(route), link},
		{sh.role(), clean(sh.Store), clean(route), short},
		{sh.Route, link},
		{sh.Route, short},
	} {
		if i == 3 {
			sh.rested = "signed in as " + sh.role() + " · " + clean(sh.Store)
		}
		words, state := strings.Join(o[:len(o)-1], " · "), o[len(o)-1]
		if lenCells(words)+2+lenCells(state) <= room {
			return t.dim.Render(words) + "  " + linkStyle.Render(state)
		}
	}
	sh.rested = sh.role() + " · mail: " + clean(route) + " · " + clean(sh.Store)
	if symbol, _, _ := strings.Cut(short, " "); lenCells(short) > room {
		short = fit(symbol, max(0, min(1, room)))
	}
	return linkStyle.Render(short)
}

// role is who is signed in as what.
func (sh *shell) role() string { return clean(sh.Actor.Name) + ", " + string(sh.Actor.Role) }

// roomForWork is what a line on work under way takes: its name, a bar, the
// rate and the time left.
const roomForWork = 72

// statusLine holds the message on show, or the work under way, and at its end
// where one is in the screen.
func (sh *shell) statusLine() string {
	t := sh.theme
	place := sh.screen().place()
	room := sh.w - 3 - lenCells(place)
	left := ""
	switch n := &sh.notes; {
	case n.shown:
		last := n.all[len(n.all)-1]
		if room < lenCells(last.text)+2 {
			place, room = "", sh.w-2 // the message needs the whole line
		}
		symbol, style := last.mood.draw(t)
		left = style.Render(symbol) + t.text.Render(fit(last.text, room-2))
	case sh.work != nil:
		if room < roomForWork {
			place, room = "", sh.w-2
		}
		left = sh.work.draw(sh, room)
	case sh.line.lost:
		left = t.bad.Render("✗ ") + t.dim.Render(fit("the store does not answer; trying again "+ago(sh.line.until, sh.now())+" (^r: now)", room-2))
	case sh.rested != "":
		left = t.dim.Render(fit(sh.rested, min(room, lenCells(sh.rested))))
	}
	return " " + left + spaces(sh.w-2-lipgloss.Width(left)-lenCells(place)) + place + " "
}

// helpLine is what the keys do here and now. What is off stands in brackets;
// pressing it, or the page of all keys, tells why. Where room is short, what
// can be done goes before what can't.
func (sh *shell) helpLine() string {
	line, _ := sh.helpWords()
	return line
}

// helpWord is a word of the help line.
type helpWord struct {
	keys, label string
	off         bool
}

// cells are those of the word, with one on either side.
func (h helpWord) cells() int {
	n := lenCells(h.keys) + 1 + lenCells(h.label) + 2
	if h.off {
		n += 2
	}
	return n
}

func (t *theme) help(h helpWord) string {
	if h.off {
		return t.off.Render("(" + h.keys + " " + h.label + ")")
	}
	return t.accent.Render(h.keys) + " " + t.dim.Render(h.label)
}

// helpWords is the help line, and what a click on each word does.
func (sh *shell) helpWords() (string, []spot) {
	here, hereWords := shownActions(sh.screen().actions())
	end, endWords := shownActions(sh.everywhere())
	room := sh.w
	for _, h := range endWords {
		room -= h.cells()
	}
	fits := make([]bool, len(here))
	used := 0
	for _, off := range []bool{false, true} {
		for i, h := range hereWords {
			if n := h.cells(); h.off == off && used+n <= room {
				fits[i] = true
				used += n
			}
		}
	}
	var line strings.Builder
	var spots []spot
	x := 0
	add := func(a action, h helpWord) {
		line.WriteString(" " + sh.theme.inked.get(h, func() string { return sh.theme.help(h) }) + " ")
		spots = append(spots, spot{x, x + h.cells(), 0, func() tea.Cmd { return sh.perform(a) }})
		x += h.cells()
	}
	for i, a := range here {
		if fits[i] {
			add(a, hereWords[i])
		}
	}
	line.WriteString(spaces(room - used))
	x += room - used
	for i, a := range end {
		add(a, endWords[i])
	}
	return line.String(), spots
}

// shownActions are those of a table that the help line shows, and as what.
func shownActions(table []action) (shown []action, words []helpWord) {
	for _, a := range table {
		if !a.Quiet {
			shown, words = append(shown, a), append(words, helpWord{a.keys(false), a.Label, a.why() != ""})
		}
	}
	return shown, words
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
