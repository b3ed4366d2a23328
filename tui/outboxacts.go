package tui

import (
	"context"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// letterActs are the acts on a letter, the same in the list and in its details.
func (o *outbox) letterActs(letter func() (flows.Letter, bool)) []action {
	sh := o.sh
	row := func(key, label, act string, do func(flows.Letter) tea.Cmd) action {
		return action{Key: key, Label: label, Why: func() string {
			l, ok := letter()
			if !ok {
				return "no letter is under the cursor"
			}
			if act == "" {
				return ""
			}
			return sh.Desk.WhyLetter(sh.Actor, act, l)
		}, Do: func() tea.Cmd {
			l, _ := letter()
			return do(l)
		}}
	}
	move := func(act, said string, call func(context.Context, flows.Actor, int64) (flows.Letter, error)) func(flows.Letter) tea.Cmd {
		return func(l flows.Letter) tea.Cmd { return o.move(l.ID, act, said, call) }
	}
	hold := row("h", "hold", flows.ActHold, move("hold", " is held until it is released", sh.Desk.Hold))
	if l, ok := letter(); ok && l.State == "held" {
		hold = row("h", "release", flows.ActRelease, move("release", " is released", sh.Desk.Release))
	}
	return []action{
		row("t", "retry now", flows.ActRetry, move("retry", " is due now", sh.Desk.Retry)),
		hold,
		row("x", "drop", flows.ActDrop, o.askDrop),
		row("o", "card", "", func(l flows.Letter) tea.Cmd {
			sh.close(o.details) // if it was pressed there
			return sh.push(newCard(sh, flows.Card{SubscriberID: l.SubscriberID}, nil))
		}),
	}
}

// move does what needs no asking, since it can be undone or would come anyway.
func (o *outbox) move(id int64, what, said string, call func(context.Context, flows.Actor, int64) (flows.Letter, error)) tea.Cmd {
	return act(o.sh, what, func(ctx context.Context) (flows.Letter, error) {
		return call(ctx, o.sh.Actor, id)
	}, func(l flows.Letter, err error) tea.Cmd {
		if err != nil {
			return tea.Batch(o.sh.say(failed, what+": "+reason(err)), o.refresh())
		}
		o.put(l)
		return tea.Batch(o.sh.ping(), o.count(), o.sh.say(done, letterName(l)+said))
	})
}

// letterName is how a message names a letter.
func letterName(l flows.Letter) string { return "letter " + strconv.FormatInt(l.ID, 10) }

// put takes in what has become of a letter.
func (o *outbox) put(now flows.Letter) {
	for i := range o.letters {
		if o.letters[i].ID == now.ID {
			o.letters[i] = now
		}
	}
	if o.open.ID == now.ID {
		o.open = now
	}
	o.grid.forget()
}

// askDrop removes a letter that was not delivered.
func (o *outbox) askDrop(l flows.Letter) tea.Cmd {
	sh := o.sh
	f := &form{title: "Drop", danger: true, labels: []string{"No", "Drop"}, fields: []field{typed("Reason", "why, for the audit", 500)}, body: func(w int) []string {
		name := letterName(l) + " to " + clean(l.ToMasked)
		return append([]string{fit(name, w), ""}, sh.dimmed("The letter and its text go for good, and nobody gets it. The card stays as it is. What the letter asks the person to confirm is forgotten when its time is over.", w)...)
	}}
	f.submit = func() tea.Cmd {
		cause := f.value(0)
		if cause == "" {
			f.fault = "give a reason: the audit keeps it"
			f.refocus(0)
			return nil
		}
		return f.wait(act(sh, "drop", func(ctx context.Context) (struct{}, error) {
			return struct{}{}, sh.Desk.Drop(ctx, sh.Actor, l.ID, cause)
		}, func(_ struct{}, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "drop", err)
			}
			o.letters = slices.DeleteFunc(o.letters, func(x flows.Letter) bool { return x.ID == l.ID })
			o.list.show(len(o.letters), o.list.rows)
			if o.details != nil && o.open.ID == l.ID {
				sh.close(o.details)
			}
			return tea.Batch(sh.ping(), o.count(), sh.say(done, letterName(l)+" is dropped"))
		}))
	}
	return sh.openForm(f)
}

// show opens the details of a letter; what becomes of it shows in them.
func (o *outbox) show(l flows.Letter) tea.Cmd {
	o.open = l
	o.details = &pager{sh: o.sh, title: "Letter " + strconv.FormatInt(l.ID, 10), plain: true, lines: o.detailLines, keys: func() []action {
		return o.letterActs(func() (flows.Letter, bool) { return o.open, true })
	}}
	return tea.Batch(o.sh.open(o.details), o.tell(l.ID))
}

// tell fetches what was tried with a letter, for its details.
func (o *outbox) tell(id int64) tea.Cmd {
	return read(o.sh, o.box, "story", func(ctx context.Context) (flows.LetterStory, error) {
		return o.sh.Desk.Story(ctx, o.sh.Actor, id)
	}, func(s flows.LetterStory, err error) tea.Cmd {
		if err == nil {
			o.story = s
		}
		return nil // the list's own question tells the fault
	})
}

func (o *outbox) detailLines(w int) []string {
	t, l, v := o.sh.theme, o.open, view{sh: o.sh, now: o.sh.now()}
	state, style := letterState(t, l.State)
	facts := []pair{
		{"to", clean(l.ToMasked)},
		{"kind", clean(l.Kind)},
		{"card", "SubscriberID " + strconv.FormatInt(l.SubscriberID, 10)},
		{"written", v.moment(l.Created)},
		{"attempts", strconv.Itoa(l.Attempts)},
	}
	if l.Due != nil && l.State != "delivered" && l.State != "refused" && l.State != "held" {
		next := "now"
		if l.Due.After(v.now) {
			next = v.moment(*l.Due)
		}
		facts = append(facts, pair{"next try", next})
	}
	if l.Delivered != nil {
		facts = append(facts, pair{"delivered", v.moment(*l.Delivered)})
	}
	out := append([]string{style.Render(state), ""}, pairs(t, w, facts)...)
	if o.story.ID == l.ID && len(o.story.Tries) > 0 {
		return append(out, o.triesLines(v, w)...)
	}
	out = append(out, "", t.accentBold.Render("Server's last words"))
	words := flows.Answer(l.Enhanced, l.Reply)
	if words == "" {
		return append(out, t.dim.Render("none: no server has answered yet"))
	}
	if l.Host != "" {
		out = append(out, t.dim.Render(fit(clean(l.Host), w)))
	}
	return append(out, wrap(words, w)...)
}

// triesLines tell what was tried with the letter, the last first, and what was
// said.
func (o *outbox) triesLines(v view, w int) (out []string) {
	t := o.sh.theme
	for i := len(o.story.Tries) - 1; i >= 0; i-- {
		try := o.story.Tries[i]
		state, style := letterState(t, try.State)
		how := "in clear"
		if try.TLS != "" {
			how = clean(try.TLS)
		}
		out = append(out, "", t.accentBold.Render("Attempt "+strconv.Itoa(try.Number)+"  ")+style.Render(state), t.dim.Render(fit(v.moment(try.At), w)))
		if try.Host != "" {
			out = append(out, t.dim.Render(fit(clean(try.Host)+", "+how, w)))
		}
		out = append(out, wrap(flows.Answer(try.Enhanced, try.Reply), w)...)
		for _, line := range try.Talk {
			out = append(out, t.dim.Render(fit("  "+clean(line), w)))
		}
	}
	return out
}

// moment is a time to the minute, and how far it is from now.
func (v view) moment(at time.Time) string {
	return exact(at, v.sh.zone) + " (" + ago(at, v.now) + ")"
}
