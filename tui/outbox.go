package tui

import (
	"context"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// letterPage is how many letters are fetched at once.
const letterPage = 100

// outbox is the screen of the letters that leave: which are due, which were
// put off and why, which were refused, which are there; and what can be done
// with one (outboxacts.go).
type outbox struct {
	base
	letters []flows.Letter
	loaded  bool
	all     bool // no older letters are left
	state   string
	engine  engine
	list    cursor
	grid    *grid[flows.Letter]
	head    int // lines above the grid's first row

	open    flows.Letter // the one in the details
	story   flows.LetterStory
	details *pager

	hosts  []flows.Destination // nil as long as they are not known
	byHost *pager
}

// states are those that the outbox can be narrowed to; "" is all.
var states = []string{"", "due", "sending", "deferred", "held", "refused", "delivered"}

func newOutbox(sh *shell) screen { return &outbox{base: newBase(sh), grid: newLetterGrid(sh)} }

func (o *outbox) name() string { return "Outbox" }

func (o *outbox) badge() (int64, bool) { return o.sh.counts.Due, true }

func (o *outbox) place() string {
	if len(o.letters) == 0 {
		return ""
	}
	more := ""
	if !o.all {
		more = "+"
	}
	return number(int64(o.list.cur+1)) + " of " + number(int64(len(o.letters))) + more
}

func (o *outbox) actions() []action {
	here := func() string {
		if len(o.letters) == 0 {
			return "no letter is under the cursor"
		}
		return ""
	}
	table := []action{
		{Key: "enter", Label: "details", Why: here, Do: func() tea.Cmd { return o.show(o.letters[o.list.cur]) }},
		{Key: "f", Label: "filter", Do: o.askFilter},
	}
	table = append(table, o.letterActs(o.letter)...)
	table = append(table, action{Key: "b", Label: "by destination", Do: o.askDestinations})
	if len(o.engine.Alarms) > 0 {
		table = append(table, action{Key: "A", Label: "alarms seen", Do: o.clearAlarms})
	}
	table = append(table, action{Key: "F", Label: "clear the filter", Quiet: o.state == "", Why: func() string {
		if o.state == "" {
			return "no filter is set"
		}
		return ""
	}, Do: func() tea.Cmd { return o.only("") }})
	return append(table, moves(o.step, func() int { return max(1, o.list.rows-1) },
		func() tea.Cmd { return o.step(-o.list.len) },
		func() tea.Cmd { return o.step(o.list.len) })...)
}

// letter is the one under the cursor.
func (o *outbox) letter() (flows.Letter, bool) {
	if o.list.cur >= len(o.letters) {
		return flows.Letter{}, false
	}
	return o.letters[o.list.cur], true
}

func (o *outbox) enter() tea.Cmd { return tea.Batch(o.refresh(), o.count()) }

func (o *outbox) poll(shown bool) tea.Cmd {
	var cmds []tea.Cmd
	if (shown || o.sh.counts.Due > 0) && !o.box.busy("engine") { // the throughput goes on behind other screens
		cmds = append(cmds, o.count())
	}
	if !shown {
		return tea.Batch(cmds...)
	}
	if o.sh.overlay() == overlay(o.byHost) && o.byHost != nil && !o.box.busy("destinations") {
		cmds = append(cmds, o.fetchDestinations())
	}
	if !o.box.busy("page") && o.list.top == 0 && len(o.letters) <= letterPage {
		cmds = append(cmds, o.refresh())
	}
	return tea.Batch(cmds...)
}

func (o *outbox) fetch(after int64, then func([]flows.Letter) tea.Cmd) tea.Cmd {
	state := o.state
	return read(o.sh, o.box, "page", func(ctx context.Context) ([]flows.Letter, error) {
		return o.sh.Desk.Outbox(ctx, o.sh.Actor, state, after, letterPage)
	}, func(l []flows.Letter, err error) tea.Cmd {
		if err != nil {
			if fault(err) {
				return nil
			}
			return o.sh.fail(err)
		}
		o.loaded, o.all = true, len(l) < letterPage
		o.grid.forget()
		return then(l)
	})
}

// refresh fetches the newest letters. The cursor stays on its letter, unless
// it rests on the newest: what is acted on is what is read.
func (o *outbox) refresh() tea.Cmd {
	return o.fetch(0, func(l []flows.Letter) (cmd tea.Cmd) {
		at := -1
		if now, ok := o.letter(); ok && o.list.cur > 0 {
			at = slices.IndexFunc(l, func(x flows.Letter) bool { return x.ID == now.ID })
		}
		if at >= 0 {
			o.list.cur = at
		}
		if at := slices.IndexFunc(l, func(x flows.Letter) bool { return x.ID == o.open.ID }); at >= 0 {
			if o.open.Attempts != l[at].Attempts || o.open.State != l[at].State {
				cmd = o.tell(l[at].ID)
			}
			o.open = l[at]
		}
		o.letters = l
		o.list.show(len(l), o.list.rows)
		return cmd
	})
}

// step moves the cursor, and asks for older letters before the end is reached.
func (o *outbox) step(n int) tea.Cmd {
	o.list.step(n)
	if o.all || !o.loaded || o.box.busy("page") || len(o.letters)-o.list.cur > 2*max(10, o.list.rows) {
		return nil
	}
	return o.fetch(o.letters[len(o.letters)-1].ID, func(l []flows.Letter) tea.Cmd {
		o.letters = append(o.letters, l...)
		return nil
	})
}

func (o *outbox) wheel(n int) tea.Cmd { return o.step(n) }

func (o *outbox) click(_, y int) tea.Cmd {
	if o.list.click(y, o.head) {
		return o.show(o.letters[o.list.cur])
	}
	return nil
}

// letterState is a letter's state as a symbol and a word.
func letterState(t *theme, state string) (string, lipgloss.Style) {
	switch state {
	case "due":
		return "◔ due", t.warn
	case "sending":
		return "▸ sending", t.accent
	case "deferred":
		return "◑ deferred", t.warn
	case "held":
		return "■ held", t.warn
	case "waiting":
		return "◔ waiting", t.warn
	case "refused":
		return "✕ refused", t.bad
	case "delivered":
		return "● delivered", t.good
	default:
		return "? " + clean(state), t.dim
	}
}

func newLetterGrid(sh *shell) *grid[flows.Letter] {
	return newGrid(sh, "No", func(l *flows.Letter) int64 { return l.ID }, []column[flows.Letter]{
		{title: "State", rank: 0, min: 11, want: 11, cell: func(k ink, l *flows.Letter) (string, lipgloss.Style) { return letterState(k.theme, l.State) }},
		{title: "To", rank: 0, min: 16, want: 30, cell: func(k ink, l *flows.Letter) (string, lipgloss.Style) { return clean(l.ToMasked), k.text }},
		{title: "Kind", rank: 2, min: 12, want: 14, cell: func(k ink, l *flows.Letter) (string, lipgloss.Style) { return clean(l.Kind), k.text }},
		{title: "Attempts", rank: 3, min: 8, want: 8, right: true, cell: func(k ink, l *flows.Letter) (string, lipgloss.Style) { return strconv.Itoa(l.Attempts), k.dim }},
		{title: "Next try", rank: 1, min: 9, want: 9, right: true, cell: cellNextTry},
		{title: "Server's last words", rank: 5, min: 20, want: 40, rest: true, cell: func(k ink, l *flows.Letter) (string, lipgloss.Style) {
			return clean(flows.Answer(l.Enhanced, l.Reply)), k.dim
		}},
	})
}

func cellNextTry(k ink, l *flows.Letter) (string, lipgloss.Style) {
	switch {
	case l.Due == nil || l.State == "delivered" || l.State == "refused" || l.State == "held":
		return "", k.dim
	case !l.Due.After(k.now):
		return "now", k.dim
	default:
		return ago(*l.Due, k.now), k.dim
	}
}

// roomForPace is the height from which the throughput shows over the letters.
const roomForPace = 16

func (o *outbox) draw(w, h int) []string {
	above := o.engine.lines(o.sh, w)
	if h < roomForPace {
		above = above[:1]
	}
	above = append(above, o.engine.alarmLines(o.sh, w)...)
	if o.state != "" {
		above = append(above, o.onlyChip())
	}
	o.head = len(above) + 1
	h -= len(above)
	o.list.show(len(o.letters), h-3)
	out := o.grid.draw(w, h-2, o.list.top, o.list.cur, func(i int) (*flows.Letter, bool) {
		if i < 0 || i >= len(o.letters) {
			return nil, false
		}
		return &o.letters[i], true
	})
	if len(o.letters) == 0 {
		out[min(2, len(out)-1)] = o.nothing()
		return append(above, out...)
	}
	out = append(out, o.sh.theme.faint.Render("  "+strings.Repeat("─", w-4)), o.foot(w))
	return append(above, out...)
}

// foot tells all of the letter under the cursor.
func (o *outbox) foot(w int) string {
	l := o.letters[o.list.cur]
	words := clean(flows.Answer(l.Enhanced, l.Reply))
	switch {
	case words == "" && l.Delivered != nil:
		words = "delivered " + exact(*l.Delivered, o.sh.zone)
	case words == "":
		words = "no server has answered yet; written " + exact(l.Created, o.sh.zone)
	case l.Host != "":
		words = clean(l.Host) + ": " + words
	}
	return "  " + o.sh.theme.dim.Render(fit(words, w-3))
}

func (o *outbox) nothing() string {
	t := o.sh.theme
	switch {
	case o.loaded && o.state != "":
		return t.dim.Render("  No letter is " + o.state + ". F shows all.")
	case o.loaded:
		return t.dim.Render("  No letter has been written yet. Confirmation mails show here on their way out.")
	case o.sh.line.lost:
		return t.dim.Render("  The store does not answer.")
	default:
		return t.dim.Render("  Fetching the letters …")
	}
}
