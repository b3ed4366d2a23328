package tui

import (
	"context"
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

func (r *requests) actions() []action {
	sh := r.sh
	row := func(key, label string, why func(flows.Request) string, do func() tea.Cmd) action {
		return action{Key: key, Label: label, Do: do, Why: func() string {
			now, ok := r.here()
			if !ok {
				return "no request is under the cursor"
			}
			return why(now)
		}}
	}
	always := func(flows.Request) string { return "" }
	table := []action{
		row("enter", "details", always, r.show),
		row("x", "close", whyClose, r.askClose),
		row("y", "approve", r.whyApprove, r.askApprove),
		row("b", "reject", r.whyReject, r.askReject),
		row("o", "card", func(now flows.Request) string {
			if now.SubscriberID == nil {
				return "it is about several contacts"
			}
			return ""
		}, func() tea.Cmd {
			now, _ := r.here()
			return sh.push(newCard(sh, flows.Card{SubscriberID: *now.SubscriberID}, nil))
		}),
		{Key: "n", Label: "new", Do: r.askAdd},
		{Key: "f", Label: "filter", Do: r.askFilter},
		{Key: "F", Label: "only what is open", Quiet: true, Do: func() tea.Cmd { return r.only("open") }},
	}
	return append(table, r.list.moves()...)
}

func whyClose(now flows.Request) string {
	switch {
	case now.Kind == flows.KindExport:
		return "a bulk export is approved or rejected"
	case now.State != "open":
		return "it is " + now.State + " already"
	}
	return ""
}

func (r *requests) whyApprove(now flows.Request) string {
	if why := r.sh.Desk.Why(r.sh.Actor, "approve", flows.Card{}); why != "" {
		return why
	}
	switch {
	case now.Kind != flows.KindExport:
		return "only a bulk export is approved"
	case now.State != "open" && now.State != "approved":
		return "it is " + now.State + " already"
	case now.By == r.sh.Actor.Name:
		return "a second person approves, not who asked for it"
	}
	return r.sh.idle()
}

func (r *requests) whyReject(now flows.Request) string {
	why := r.sh.Desk.Why(r.sh.Actor, "approve", flows.Card{})
	switch {
	case now.Kind != flows.KindExport:
		return "only a bulk export is rejected: close it with the answer"
	case now.State != "open":
		return "it is " + now.State + " already"
	case why != "" && now.By != r.sh.Actor.Name:
		return why
	}
	return ""
}

// only narrows the list to a state.
func (r *requests) only(state string) tea.Cmd {
	r.state, r.list.cur, r.all, r.loaded = state, 0, nil, false
	return r.refresh()
}

func (r *requests) askFilter() tea.Cmd {
	words := slices.Clone(requestStates)
	words[len(words)-1] = "all"
	f := &form{title: "Filter", direct: true, labels: []string{"back", "show"}, fields: []field{choice("State", slices.Index(requestStates, r.state), words...)}}
	f.submit = func() tea.Cmd {
		r.sh.close(f)
		return r.only(requestStates[f.fields[0].picked])
	}
	return r.sh.openForm(f)
}

// done tells what became of a request, and fetches the list anew.
func (r *requests) done(f *form, what string) func(flows.Request, error) tea.Cmd {
	return func(now flows.Request, err error) tea.Cmd {
		if !f.end(err) {
			return r.sh.failUnder(f, what, err)
		}
		return tea.Batch(r.sh.ping(), r.refresh(), r.sh.say(done, "request "+number(now.ID)+" is "+now.State))
	}
}

// askAdd writes down what a person asked for.
func (r *requests) askAdd() tea.Cmd {
	sh := r.sh
	f := &form{title: "New request", labels: []string{"No", "Write down"}, button: 1, fields: []field{
		typed("SubscriberID", "search the address first: the card tells it", 20),
		choice("Kind", 0, flows.RequestKinds...),
		typed("Note", "how it came; no name, no address", 500),
	}, body: func(w int) []string {
		return sh.dimmed("It is due one calendar month from now (GDPR article 12(3)). One that came earlier is written down by the command requests add --received DATE.", w)
	}}
	f.submit = func() tea.Cmd {
		id, err := strconv.ParseInt(f.value(0), 10, 64)
		if err != nil || id <= 0 {
			f.fault = "give the SubscriberID, a number"
			f.refocus(0)
			return nil
		}
		n := flows.NewRequest{Kind: flows.RequestKinds[f.fields[1].picked], SubscriberID: id, Note: f.value(2)}
		return f.wait(act(sh, "request", func(ctx context.Context) (flows.Request, error) {
			return sh.Desk.AddRequest(ctx, sh.Actor, n)
		}, r.done(f, "request")))
	}
	return sh.openForm(f)
}

// title names a request in an overlay.
func (r *requests) title(now flows.Request, w int) []string {
	return []string{fit("Request "+number(now.ID)+": "+clean(now.Kind)+", "+about(now), w), ""}
}

func (r *requests) askClose() tea.Cmd {
	sh := r.sh
	now, _ := r.here()
	f := &form{title: "Close", labels: []string{"No", "Close"}, fields: []field{
		choice("As", 0, "done", "refused"), typed("Answer", "what was done, or why it is refused", 500),
	}, body: func(w int) []string {
		return append(r.title(now, w), sh.dimmed("Closing does nothing to the card: export, erase, correct or freeze it first. Who is refused must be told why (GDPR article 12(4)).", w)...)
	}}
	f.submit = func() tea.Cmd {
		refused, answer := f.fields[0].picked == 1, f.value(1)
		return f.wait(act(sh, "close", func(ctx context.Context) (flows.Request, error) {
			return sh.Desk.CloseRequest(ctx, sh.Actor, now.ID, refused, answer)
		}, r.done(f, "close")))
	}
	return sh.openForm(f)
}

func (r *requests) askReject() tea.Cmd {
	sh := r.sh
	now, _ := r.here()
	f := &form{title: "Reject", labels: []string{"No", "Reject"}, fields: []field{typed("Reason", "why, for the audit", 500)}, body: func(w int) []string {
		return append(r.title(now, w), sh.dimmed("The export is not made. Whoever asked can ask again.", w)...)
	}}
	f.submit = func() tea.Cmd {
		cause := f.value(0)
		return f.wait(act(sh, "reject", func(ctx context.Context) (flows.Request, error) {
			return sh.Desk.Reject(ctx, sh.Actor, now.ID, cause)
		}, r.done(f, "reject")))
	}
	return sh.openForm(f)
}

// askApprove lets a bulk export be made, and makes it.
func (r *requests) askApprove() tea.Cmd {
	sh := r.sh
	now, _ := r.here()
	f := &form{title: "Approve a bulk export", danger: true, labels: []string{"No", "Approve"}, body: func(w int) []string {
		out := append(r.title(now, w), sh.dimmed(clean(now.By)+" asks for "+about(now)+": "+clean(now.Note), w)...)
		return append(append(out, ""), sh.dimmed("Their addresses leave in a file that only "+clean(now.By)+"'s SSH key opens. It goes after 7 days, and as soon as anybody in it is erased.", w)...)
	}}
	f.submit = func() tea.Cmd {
		sh.close(f)
		w := &work{what: "Making the export of " + about(now), noun: "export", unit: "contacts", rest: "It stays approved: approve it again to make it anew."}
		return begin(sh, w, func(ctx context.Context, tell func(flows.ImportProgress)) (flows.Request, error) {
			return sh.Desk.Approve(ctx, sh.Actor, now.ID, tell)
		}, func(made flows.Request, err error) tea.Cmd {
			if err != nil {
				return sh.say(failed, "approve: "+reason(err))
			}
			return sh.say(done, number(made.Export.Contacts)+" contacts are in "+clean(made.Export.File)+"; "+clean(made.By)+" fetches it with requests fetch "+strconv.FormatInt(made.ID, 10))
		})
	}
	return sh.openForm(f)
}

// show tells all of the request under the cursor.
func (r *requests) show() tea.Cmd {
	now, ok := r.here()
	if !ok {
		return nil
	}
	return r.sh.open(&pager{sh: r.sh, title: "Request " + strconv.FormatInt(now.ID, 10), plain: true, lines: func(w int) []string {
		return r.facts(now, w)
	}})
}

func (r *requests) facts(now flows.Request, w int) []string {
	t, v := r.sh.theme, view{sh: r.sh, now: r.sh.now()}
	word, style := requestState(ink{theme: t, now: v.now, zone: r.sh.zone}, &now)
	facts := []pair{{"kind", clean(now.Kind)}, {"about", about(now)}, {"received", v.moment(now.Received)}, {"due", v.moment(now.Due)}, {"by", clean(now.By)}}
	if now.Closed != nil {
		facts = append(facts, pair{"closed", v.moment(*now.Closed) + " by " + clean(now.ClosedBy)})
	}
	if e := now.Export; e != nil && e.Expires != nil {
		file := clean(e.File) + " on " + clean(e.Machine) + ", " + plural(e.Contacts, "contact", "contacts") + ", until " + exact(*e.Expires, r.sh.zone)
		if e.Gone {
			file = "gone: its time was over, or somebody in it was erased"
		}
		facts = append(facts, pair{"file", file})
	}
	out := []string{"", style.Render(word), ""}
	for _, f := range facts {
		for i, l := range wrap(f.value, w-12) {
			name := f.name
			if i > 0 {
				name = ""
			}
			out = append(out, t.dim.Render(fit(name, 12))+l)
		}
	}
	for _, part := range []pair{{"Note", now.Note}, {"Answer", now.Answer}} {
		if part.value != "" {
			out = append(append(out, "", t.bold.Render(part.name)), wrap(clean(part.value), w)...)
		}
	}
	return out
}
