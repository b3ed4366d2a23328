package tui

import (
	"context"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// askFreeze freezes a card, or lifts that.
func (sh *shell) askFreeze(c flows.Card) tea.Cmd {
	title, note, verb, said := "Freeze", "Until it is unfrozen the card refuses every act but exporting and erasing, and the person gets no mail; letters that wait are held, and so is the person's own withdrawal, until then (GDPR article 18).", sh.Desk.Freeze, " is frozen"
	if c.Frozen {
		title, note, verb, said = "Unfreeze", "The card can be changed and used again. It leaves the lists that the person withdrew from meanwhile, and letters that it held go out; those that staff hold stay.", sh.Desk.Unfreeze, " is not frozen any more"
	}
	f := &form{title: title, labels: []string{"No", title}, fields: []field{typed("Reason", "why, for the evidence and the audit", 500)}, body: func(w int) []string {
		return append([]string{fit(who(c), w), ""}, sh.dimmed(note, w)...)
	}}
	f.submit = func() tea.Cmd {
		cause := f.value(0)
		if cause == "" {
			f.fault = "give a reason: the audit keeps it"
			f.refocus(0)
			return nil
		}
		return f.wait(act(sh, "freeze", func(ctx context.Context) (flows.Card, error) {
			return verb(ctx, sh.Actor, c.SubscriberID, cause)
		}, func(now flows.Card, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, strings.ToLower(title), err)
			}
			return tea.Batch(sh.patch(now), sh.ping(), sh.say(done, "SubscriberID "+strconv.FormatInt(c.SubscriberID, 10)+said))
		}))
	}
	return sh.openForm(f)
}

// askCorrect changes one field of the card that is open.
func (sh *shell) askCorrect(d flows.Details) tea.Cmd {
	names := append([]string{}, flows.Corrigible...)
	words := make([]string, 0, len(names)+len(d.Own))
	for _, n := range names {
		words = append(words, strings.ReplaceAll(n, "_", " "))
	}
	for _, own := range d.Own {
		names, words = append(names, flows.OwnPrefix+own.Name), append(words, own.Name)
	}
	f := &form{title: "Correct", labels: []string{"No", "Correct"}, fields: []field{
		choice("Field", 0, words...), typed("Value", "what is right; empty takes it out", 10_000),
	}, body: func(w int) []string {
		return append([]string{fit(who(d.Card), w), ""}, sh.dimmed("The evidence tells which field was corrected, not what stood in it (GDPR article 16). An address can't be corrected, since consent belongs to it: erase it, and let the person sign up with the right one.", w)...)
	}}
	f.submit = func() tea.Cmd {
		name, value := names[f.fields[0].picked], f.value(1)
		return f.wait(act(sh, "correct", func(ctx context.Context) (flows.Card, error) {
			return sh.Desk.Correct(ctx, sh.Actor, d.SubscriberID, name, value)
		}, func(now flows.Card, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "correct", err)
			}
			return tea.Batch(sh.patch(now), sh.say(done, words[f.fields[0].picked]+" is corrected"))
		}))
	}
	return sh.openForm(f)
}
