package tui

import (
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// preview is the card beside the grid. It shows what browsing knows already:
// nothing is opened, and nothing decrypted, for it.
type preview struct {
	sh    *shell
	id    int64
	w     int
	theme *theme
	at    time.Time
	lines []string

	steps  int       // counts steps of the cursor
	last   time.Time // when the last one was
	moving bool      // steps follow fast: it rests until they end
}

// restAfter is how long the cursor rests before the preview follows it.
const restAfter = 150 * time.Millisecond

// restMsg ends the rest of the preview, unless there was a step since.
type restMsg struct {
	p     *preview
	steps int
}

// moved is told of every step. The first one after a while shows at once; those
// that follow fast, as when a key is held down, show when they have ended: the
// eye follows the rows then, and the preview would be most of what is drawn.
func (p *preview) moved() tea.Cmd {
	now := p.sh.now()
	p.moving = now.Sub(p.last) < p.sh.rest
	p.last = now
	p.steps++
	if !p.moving {
		return nil
	}
	return p.sh.after(p.sh.rest, restMsg{p, p.steps})
}

func (p *preview) rested(m restMsg) {
	if p.steps == m.steps {
		p.moving = false
	}
}

func (p *preview) forget() { p.lines = nil }

func (p *preview) draw(c flows.Card, ok bool, w, h int) []string {
	t := p.sh.theme
	if !ok {
		return nil
	}
	now := p.sh.now()
	if p.moving && p.lines != nil && p.w == w && p.theme == t {
		return p.lines[:min(h, len(p.lines))]
	}
	if p.lines == nil || p.id != c.SubscriberID || p.w != w || p.theme != t || now.Sub(p.at) >= time.Minute {
		p.id, p.w, p.theme, p.at = c.SubscriberID, w, t, now
		p.lines = p.build(c, view{sh: p.sh, w: w + 4, now: now})
	}
	return p.lines[:min(h, len(p.lines))]
}

// build writes every fact on a line of its own that never moves, whatever is
// known, so that the eye finds it again and little is drawn anew per step.
func (p *preview) build(c flows.Card, v view) []string {
	t, w := p.sh.theme, p.w
	word, style := t.permission(c.Permission)
	name, state := text(c.EmailMasked), ""
	if c.Permission == flows.Deleted {
		name = "Tombstone"
	}
	if c.WaitingUntil != nil {
		state = "◐ waits for a click until " + c.WaitingUntil.In(p.sh.zone).Format("2 Jan 15:04")
	}
	if c.Undelivered != nil {
		state = "✗ the confirmation mail was not delivered"
	}
	if c.Frozen {
		word += "  ■ frozen"
	}
	out := []string{
		t.dim.Render("SubscriberID " + strconv.FormatInt(c.SubscriberID, 10)), "",
		t.bold.Render(fit(name, w)), style.Render(word), t.warn.Render(state), "",
	}
	out = append(append(out, pairs(t, w, p.facts(c, v))...), "", t.accentBold.Render("Lists"))
	for _, l := range c.Lists {
		mark, style := t.membership(l.Status)
		out = append(out, style.Render(mark)+fit(clean(l.List), w-13)+" "+t.dim.Render(fitRight(ago(l.Since, v.now), 10)))
	}
	if len(c.Lists) == 0 {
		out = append(out, t.dim.Render("on no list"))
	}
	return out
}

// facts are what browsing knows of a card.
func (p *preview) facts(c flows.Card, v view) []pair {
	facts := []pair{
		{"mobile", text(c.MobileMasked)},
		{"rating", text(c.Rating)},
		{"source", text(c.Source)},
		{"signed up", v.stamp(c.SignedUp)},
		{"confirmed", v.stamp(c.Confirmed)},
		{"last seen", v.when(c.LastActivity)},
	}
	if c.Permission == flows.Deleted {
		facts[5] = pair{"erased", v.stamp(c.Deleted)}
	}
	switch {
	case c.Successor != nil:
		facts = append(facts, pair{"successor", strconv.FormatInt(*c.Successor, 10)})
	case c.Predecessor != nil:
		facts = append(facts, pair{"predecessor", strconv.FormatInt(*c.Predecessor, 10)})
	}
	return facts
}
