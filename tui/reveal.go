package tui

import (
	"context"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// revealedFor is how long something that was uncovered shows.
const revealedFor = 30 * time.Second

// hideMsg takes what was uncovered off the screen.
type hideMsg struct{ p *pager }

// revealAct is the act of uncovering something of a card; sensitive are the
// names of its sensitive own fields.
func (sh *shell) revealAct(card func() (flows.Card, bool), sensitive func() []string) action {
	return action{Key: "v", Label: "reveal", Why: func() string {
		c, ok := card()
		if !ok {
			return "no card is under the cursor"
		}
		return sh.Desk.Why(sh.Actor, "reveal", c)
	}, Do: func() tea.Cmd {
		c, _ := card()
		return sh.askReveal(c, sensitive())
	}}
}

func (sh *shell) askReveal(c flows.Card, sensitive []string) tea.Cmd {
	names, words := []string{flows.RevealEmail}, []string{"address"}
	if c.MobileMasked != nil {
		names, words = append(names, flows.RevealMobile), append(words, "mobile")
	}
	for _, name := range sensitive {
		names, words = append(names, flows.OwnPrefix+name), append(words, name)
	}
	f := &form{title: "Reveal", labels: []string{"No", "Reveal"}, fields: []field{
		choice("What", 0, words...), typed("Reason", "why, in ten characters or more", 500),
	}, body: func(w int) []string {
		return append([]string{fit(who(c), w), ""}, sh.dimmed("It shows for 30 seconds. Your name, the time and the reason go into the audit.", w)...)
	}}
	f.submit = func() tea.Cmd {
		what, cause := f.fields[0].picked, f.value(1)
		return f.wait(act(sh, "reveal", func(ctx context.Context) (flows.Revealed, error) {
			return sh.Desk.Reveal(ctx, sh.Actor, c.SubscriberID, names[what], cause)
		}, func(r flows.Revealed, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "reveal", err)
			}
			return sh.uncover(r, words[what])
		}))
	}
	return sh.openForm(f)
}

// uncover shows a value until it is closed, or its time is over.
func (sh *shell) uncover(r flows.Revealed, word string) tea.Cmd {
	value := clean(r.Value)
	p := &pager{sh: sh, title: "SubscriberID " + strconv.FormatInt(r.SubscriberID, 10) + ": " + word, plain: true, lines: func(w int) []string {
		return append(append([]string{""}, wrap(value, w)...), "", sh.theme.dim.Render("It goes from the screen after 30 seconds."))
	}}
	return tea.Batch(sh.open(p), sh.after(revealedFor, hideMsg{p}))
}
