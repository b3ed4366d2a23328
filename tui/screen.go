package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// registry is the console's screens in the order of their tabs. Adding one
// takes a file and a line here.
var registry = []struct {
	make func(*shell) screen
	act  string             // that a role must allow for it to show
	when func(Options) bool // nil means always
}{
	{make: newContacts, act: "browse"},
	{make: newOutbox, act: "outbox"},
	{make: newRequests, act: "requests"},
	{make: newAudit, act: "audit"},
	{make: newOverview, act: "browse"},
	{make: newMailbox, act: "mailbox", when: func(o Options) bool { return o.Route == "capture" }},
}

// screen is one page of the console. All methods run in the loop: none blocks.
type screen interface {
	name() string               // the word on its tab
	actions() []action          // what its keys do
	draw(w, h int) []string     // h lines of w cells, as cheaply as it can
	place() string              // where one is in it, for the status line's end
	badge() (n int64, hot bool) // the count on its tab, and whether it wants attention
	enter() tea.Cmd             // it comes on show
	leave()                     // it is gone for good
	refresh() tea.Cmd           // fetch anew what it shows
	poll(shown bool) tea.Cmd    // every few seconds
	patch(flows.Card) tea.Cmd   // a card has changed
	wheel(rows int) tea.Cmd     // the mouse wheel
	click(x, y int) tea.Cmd     // a click, counted from its corner
}

// base is a screen that does nothing yet: others embed it.
type base struct {
	sh  *shell
	box *box
}

func newBase(sh *shell) base { return base{sh, newBox()} }

func (b *base) badge() (int64, bool)     { return 0, false }
func (b *base) enter() tea.Cmd           { return nil }
func (b *base) leave()                   { b.box.shut() }
func (b *base) refresh() tea.Cmd         { return nil }
func (b *base) poll(bool) tea.Cmd        { return nil }
func (b *base) patch(flows.Card) tea.Cmd { return nil }
func (b *base) click(_, _ int) tea.Cmd   { return nil }

// tab is a screen with what was opened above it.
type tab struct{ stack []screen }

func (t tab) top() screen { return t.stack[len(t.stack)-1] }

// action is one row of a screen's table. The table feeds dispatch, the help
// line, the page of all keys, the palette, and the reason why a key is off.
type action struct {
	Key   string        // as Bubble Tea names it; more than one with spaces between
	Label string        // what it does, in a word or a few
	Why   func() string // why it can't be done now, "" when it can; nil means that it always can
	Do    func() tea.Cmd
	Quiet bool // not on the help line
}

// quiet keeps an action off the help line.
func (a action) quiet() action {
	a.Quiet = true
	return a
}

func (a action) why() string {
	if a.Why == nil {
		return ""
	}
	return a.Why()
}

func (a action) has(key string) bool {
	for k := range strings.FieldsSeq(a.Key) {
		if k == key {
			return true
		}
	}
	return false
}

// keyNames are keys as the screen writes them.
var keyNames = strings.NewReplacer(
	"ctrl+", "^", "shift+tab", "⇧tab", "pgdown", "PgDn", "pgup", "PgUp", "home", "Home", "end", "End",
	"up", "↑", "down", "↓", "left", "←", "right", "→", "enter", "⏎",
)

// keys writes the keys of an action, the first one only or all.
func (a action) keys(all bool) string {
	first, rest, more := strings.Cut(a.Key, " ")
	if !all || !more {
		return keyNames.Replace(first)
	}
	return keyNames.Replace(first + " " + rest)
}

// dispatch finds the row for a key in the tables, in order, and does it, or
// says why not.
func (sh *shell) dispatch(key string, tables ...[]action) tea.Cmd {
	for _, table := range tables {
		for _, a := range table {
			if a.has(key) {
				return sh.perform(a)
			}
		}
	}
	return nil
}

// perform does an action, or says why not.
func (sh *shell) perform(a action) tea.Cmd {
	if why := a.why(); why != "" {
		return sh.say(warning, a.keys(false)+" "+a.Label+": "+why)
	}
	return a.Do()
}

// moves are the keys that walk through a screen, for its table.
func moves(rows func(int) tea.Cmd, page func() int, first, last func() tea.Cmd) []action {
	by := func(n func() int) func() tea.Cmd { return func() tea.Cmd { return rows(n()) } }
	return []action{
		{Key: "up k", Label: "one up", Quiet: true, Do: by(func() int { return -1 })},
		{Key: "down j", Label: "one down", Quiet: true, Do: by(func() int { return 1 })},
		{Key: "pgup ctrl+b", Label: "a page up", Quiet: true, Do: by(func() int { return -page() })},
		{Key: "pgdown ctrl+f", Label: "a page down", Quiet: true, Do: by(page)},
		{Key: "home g", Label: "to the first", Quiet: true, Do: first},
		{Key: "end G", Label: "to the last", Quiet: true, Do: last},
	}
}
