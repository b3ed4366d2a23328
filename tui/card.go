package tui

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// card is the screen of one contact: its three parts, lists and evidence.
// It opens what is sealed, for this one contact only.
type card struct {
	base
	card   flows.Card
	given  *flows.Given // the address it was found by; gone with the screen
	more   *flows.Details
	closed string // why the card can't be opened
	seen   flows.Counts

	top, rows int
	lines     []string // as drawn last, for width, theme and minute
	width     int
	theme     *theme
	at        time.Time
}

func newCard(sh *shell, c flows.Card, given *flows.Given) screen {
	return &card{base: newBase(sh), card: c, given: given}
}

func (c *card) name() string { return "Card" }

func (c *card) enter() tea.Cmd {
	if c.more != nil {
		return nil
	}
	return c.refresh()
}

func (c *card) leave() {
	c.base.leave()
	c.given, c.more, c.lines = nil, nil, nil
}

func (c *card) refresh() tea.Cmd {
	id, given := c.card.SubscriberID, c.given
	return read(c.sh, c.box, "open", func(ctx context.Context) (flows.Details, error) {
		return c.sh.Desk.Open(ctx, c.sh.Actor, id, given)
	}, func(d flows.Details, err error) tea.Cmd {
		if err != nil {
			if !fault(err) {
				c.closed, c.lines = reason(err), nil
			}
			return nil
		}
		c.card, c.more, c.closed, c.lines = d.Card, &d, "", nil
		c.seen = c.sh.counts
		return nil
	})
}

// poll looks again while the card waits for a click, when the counters say
// that something has changed.
func (c *card) poll(shown bool) tea.Cmd {
	if !shown || c.card.WaitingUntil == nil || c.box.busy("open") || c.sh.counts.Undelivered == c.seen.Undelivered && maps.Equal(c.seen.ByPermission, c.sh.counts.ByPermission) {
		return nil
	}
	return c.refresh()
}

func (c *card) patch(now flows.Card) tea.Cmd {
	if now.SubscriberID != c.card.SubscriberID {
		return nil
	}
	c.card, c.lines = now, nil
	return c.refresh()
}

func (c *card) place() string {
	if len(c.lines) <= c.rows {
		return ""
	}
	return strconv.Itoa(min(100, (c.top+c.rows)*100/max(1, len(c.lines)))) + " %"
}

// sensitive are the own fields of the card that are hidden.
func (c *card) sensitive() []string {
	var names []string
	if c.more != nil {
		for _, f := range c.more.Own {
			if f.Sensitive {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

func (c *card) actions() []action {
	here, given := func() (flows.Card, bool) { return c.card, true }, func() *flows.Given { return c.given }
	table := append([]action{{Key: "esc", Label: "back", Do: c.sh.back}}, c.sh.cardActs(here, given)...)
	table = append(table, c.sh.proveAct(here, given), c.sh.revealAct(here, c.sensitive))
	table = append(table,
		action{Key: "[", Label: "predecessor", Quiet: c.card.Predecessor == nil, Why: func() string {
			if c.card.Predecessor == nil {
				return "this card has none"
			}
			return ""
		}, Do: func() tea.Cmd { return c.follow(*c.card.Predecessor) }},
		action{Key: "]", Label: "successor", Quiet: c.card.Successor == nil, Why: func() string {
			if c.card.Successor == nil {
				return "this card has none"
			}
			return ""
		}, Do: func() tea.Cmd { return c.follow(*c.card.Successor) }},
		action{Key: "c", Label: "correct", Why: func() string {
			if c.more == nil {
				return "the card is not open"
			}
			return c.sh.Desk.Why(c.sh.Actor, "correct", c.card)
		}, Do: func() tea.Cmd { return c.sh.askCorrect(*c.more) }},
		c.sh.copyAct(here),
	)
	return append(table, moves(c.scroll, func() int { return max(1, c.rows-1) },
		func() tea.Cmd { c.top = 0; return nil },
		func() tea.Cmd { return c.scroll(len(c.lines)) })...)
}

// follow turns to the card before or after this one. Both are of one address,
// so what it was found by opens the other too.
func (c *card) follow(id int64) tea.Cmd {
	return c.sh.swap(newCard(c.sh, flows.Card{SubscriberID: id}, c.given))
}

func (c *card) scroll(n int) tea.Cmd {
	c.top = max(0, min(c.top+n, len(c.lines)-c.rows))
	return nil
}

func (c *card) wheel(n int) tea.Cmd { return c.scroll(n) }

func (c *card) draw(w, h int) []string {
	now := c.sh.now()
	if c.more == nil { // what it says meanwhile depends on the connection
		c.lines = nil
	}
	if c.lines == nil || c.width != w || c.theme != c.sh.theme || now.Sub(c.at) >= time.Minute {
		c.width, c.theme, c.at = w, c.sh.theme, now
		c.lines = c.build(w)
	}
	c.rows = h
	c.scroll(0)
	return c.lines[c.top:min(len(c.lines), c.top+h)]
}

// build writes the whole card, however high it gets.
func (c *card) build(w int) []string {
	t := c.sh.theme
	v := view{sh: c.sh, w: w, now: c.at}
	lines := append([]string{""}, v.head(c.card)...)
	switch {
	case c.closed != "":
		return append(lines, "", t.bad.Render("  ✗ ")+fit(c.closed, w-6))
	case c.more == nil && c.sh.line.lost:
		return append(lines, "", t.dim.Render("  The store does not answer. The card opens as soon as it does."))
	case c.more == nil:
		return append(lines, "", t.dim.Render("  Opening the card …"))
	}
	d := *c.more
	lines = append(lines, "")
	if d.Permission == flows.Deleted {
		lines = append(lines, v.tombstone(d)...)
	} else {
		lines = append(lines, v.parts(d)...)
		if rated := v.rated(d); rated != nil {
			lines = append(append(lines, ""), rated...)
		}
		lines = append(append(lines, ""), v.lists(d.Card)...)
	}
	lines = append(append(lines, ""), v.timeline(d)...)
	return append(lines, "")
}

// view writes the pieces of a card.
type view struct {
	sh  *shell
	w   int
	now time.Time
}

// head says who this is and how things stand.
func (v view) head(c flows.Card) []string {
	t := v.sh.theme
	word, style := t.permission(c.Permission)
	name := text(c.EmailMasked)
	switch c.Permission {
	case flows.Deleted:
		name = "Tombstone"
	case flows.Unknown: // only its number is known until it is opened
		return []string{"  " + t.bold.Render("SubscriberID "+strconv.FormatInt(c.SubscriberID, 10))}
	}
	id := "SubscriberID " + strconv.FormatInt(c.SubscriberID, 10)
	lines := []string{"  " + t.bold.Render(fit(name, min(lenCells(name), v.w-lenCells(word)-len(id)-10))) + "   " + style.Render(word) + "   " + t.dim.Render(id)}
	if c.Frozen {
		lines = append(lines, t.warn.Render("  ■ frozen: no change but erasing, and no mail, until it is unfrozen"))
	}
	lines = append(lines, v.waiting(c)...)
	var kin []string
	if c.Predecessor != nil {
		kin = append(kin, "[ predecessor "+strconv.FormatInt(*c.Predecessor, 10))
	}
	if c.Successor != nil {
		kin = append(kin, "] successor "+strconv.FormatInt(*c.Successor, 10))
	}
	if len(kin) > 0 {
		lines = append(lines, t.accent.Render("  "+strings.Join(kin, "   ")))
	}
	return lines
}

// waiting tells of a confirmation that is waited for, and why in vain.
func (v view) waiting(c flows.Card) (lines []string) {
	warn := func(words string) { lines = append(lines, v.sh.theme.warn.Render(fit("  "+words, v.w-2))) }
	day := func(at *time.Time) string { return exact(*at, v.sh.zone) + " (" + ago(*at, v.now) + ")" }
	switch {
	case c.Undelivered != nil:
		warn("✗ the confirmation mail was not delivered: " + clean(c.Undelivered.Words()))
		warn("◐ without the person's click it is forgotten " + day(c.WaitingUntil))
	case c.WaitingUntil != nil:
		warn("◐ waits for the person's click until " + day(c.WaitingUntil))
	}
	if c.NoMailUntil != nil {
		warn("■ gets no mail until " + day(c.NoMailUntil) + ": the address took none")
	}
	return lines
}
