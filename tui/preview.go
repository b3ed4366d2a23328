package tui

import (
	"strconv"
	"time"

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
}

func (p *preview) forget() { p.lines = nil }

func (p *preview) draw(c flows.Card, ok bool, w, h int) []string {
	t := p.sh.theme
	if !ok {
		return nil
	}
	now := p.sh.now()
	if p.lines == nil || p.id != c.SubscriberID || p.w != w || p.theme != t || now.Sub(p.at) >= time.Minute {
		p.id, p.w, p.theme, p.at = c.SubscriberID, w, t, now
		p.lines = p.build(c, view{sh: p.sh, w: w + 4, now: now})
	}
	return p.lines[:min(h, len(p.lines))]
}

func (p *preview) build(c flows.Card, v view) []string {
	t, w := p.sh.theme, p.w
	word, style := t.permission(c.Permission)
	name := text(c.EmailMasked)
	if c.Permission == flows.Deleted {
		name = "Tombstone"
	}
	out := []string{t.dim.Render("SubscriberID " + strconv.FormatInt(c.SubscriberID, 10)), ""}
	for _, l := range fold(name, w)[:min(3, len(fold(name, w)))] {
		out = append(out, t.bold.Render(l))
	}
	out = append(out, style.Render(word))
	if c.Frozen {
		out = append(out, t.warn.Render("■ frozen"))
	}
	if c.WaitingUntil != nil {
		out = append(out, t.warn.Render("◐ waits for a click until"), t.warn.Render("  "+exact(*c.WaitingUntil, p.sh.zone)))
	}
	out = append(append(out, ""), v.section("Card", w, p.facts(c, v))...)
	if len(c.Lists) == 0 {
		return out
	}
	out = append(out, "", v.title("Lists", w))
	for _, l := range c.Lists {
		mark, style := t.membership(l.Status)
		out = append(out, style.Render(mark)+fit(clean(l.List), w-13)+" "+t.dim.Render(fitRight(ago(l.Since, v.now), 10)))
	}
	return out
}

// facts are what browsing knows of a card, leaving out what is not kept.
func (p *preview) facts(c flows.Card, v view) []pair {
	var pairs []pair
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, pair{name, value})
		}
	}
	add("mobile", text(c.MobileMasked))
	add("rating", text(c.Rating))
	add("source", text(c.Source))
	for _, a := range []struct {
		name string
		act  *flows.Stamp
	}{{"signed up", c.SignedUp}, {"confirmed", c.Confirmed}, {"erased", c.Deleted}} {
		if a.act != nil {
			add(a.name, v.when(&a.act.At))
		}
	}
	add("last seen", v.when(c.LastActivity))
	if c.Predecessor != nil {
		add("predecessor", strconv.FormatInt(*c.Predecessor, 10))
	}
	if c.Successor != nil {
		add("successor", strconv.FormatInt(*c.Successor, 10))
	}
	return pairs
}
