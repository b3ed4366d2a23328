package tui

import (
	"context"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/dustin/go-humanize"

	"kartotek/flows"
)

// cardActs are the acts on a card, the same wherever a card is under the
// cursor. given is the address that it was found by, or nil.
func (sh *shell) cardActs(card func() (flows.Card, bool), given func() *flows.Given) []action {
	row := func(key, label, act string, ask func(flows.Card) tea.Cmd) action {
		return action{Key: key, Label: label, Why: func() string {
			c, ok := card()
			if !ok {
				return "no card is under the cursor"
			}
			if act == "export" && sh.Remote {
				return "over SSH a file comes by the command: ssh HOST export " + strconv.FormatInt(c.SubscriberID, 10) + " --format json > FILE"
			}
			return sh.Desk.Why(sh.Actor, act, c)
		}, Do: func() tea.Cmd {
			c, _ := card()
			return ask(c)
		}}
	}
	freeze := "freeze"
	if c, ok := card(); ok && c.Frozen {
		freeze = "unfreeze"
	}
	return []action{
		row("e", "export", "export", func(c flows.Card) tea.Cmd { return sh.askExport(c, given()) }),
		row("u", "unsubscribe", "unsubscribe", sh.askUnsubscribe),
		row("d", "erase", "erase", sh.askErase),
		row("r", "resubscribe", "resubscribe", sh.askResubscribe),
		row("z", freeze, "freeze", sh.askFreeze),
	}
}

// copyAct copies what is masked, and the number of a card: nothing that staff
// may not see.
func (sh *shell) copyAct(card func() (flows.Card, bool)) action {
	return action{Key: "y", Label: "copy", Quiet: true, Why: func() string {
		if _, ok := card(); !ok {
			return "no card is under the cursor"
		}
		return ""
	}, Do: func() tea.Cmd {
		c, _ := card()
		return sh.askCopy(c)
	}}
}

// askCopy asks which value of a card goes to the terminal's clipboard.
func (sh *shell) askCopy(c flows.Card) tea.Cmd {
	words, values := []string{"SubscriberID"}, []string{strconv.FormatInt(c.SubscriberID, 10)}
	if c.EmailMasked != nil {
		words, values = append(words, "masked address"), append(values, text(c.EmailMasked))
	}
	if c.MobileMasked != nil {
		words, values = append(words, "masked mobile"), append(values, text(c.MobileMasked))
	}
	f := &form{title: "Copy", direct: true, labels: []string{"back", "copy"}, fields: []field{choice("What", 0, words...)}}
	f.body = func(w int) []string { return []string{fit(values[f.fields[0].picked], w)} }
	f.submit = func() tea.Cmd {
		i := f.fields[0].picked
		sh.close(f)
		return tea.Batch(tea.SetClipboard(values[i]), sh.say(done, "the "+words[i]+" is copied, if the terminal allows it"))
	}
	return sh.openForm(f)
}

// who names a card without telling more than its masked address.
func who(c flows.Card) string {
	s := "SubscriberID " + strconv.FormatInt(c.SubscriberID, 10)
	if c.EmailMasked != nil {
		s += ", " + text(c.EmailMasked)
	}
	return s
}

// renew fetches a card that an act has changed, and shows it wherever it is.
func (sh *shell) renew(id int64) tea.Cmd {
	return tea.Batch(sh.ping(), act(sh, "renew", func(ctx context.Context) (flows.Details, error) {
		return sh.Desk.Open(ctx, sh.Actor, id, nil)
	}, func(d flows.Details, err error) tea.Cmd {
		if err == nil {
			return sh.patch(d.Card)
		}
		return nil
	}))
}

// formats are those that flows exports, with the words for them.
var formats = []struct{ word, format string }{{"JSON", "json"}, {"Excel", "xlsx"}, {"CSV", "csv"}}

func (sh *shell) askExport(c flows.Card, given *flows.Given) tea.Cmd {
	f := &form{title: "Export", direct: true, labels: []string{"back", "export"}, fields: []field{
		choice("Format", 0, formats[0].word, formats[1].word, formats[2].word),
	}, body: func(w int) []string {
		return append([]string{fit(who(c), w), ""}, sh.dimmed("Everything that is registered about this person goes to a file that only you may read.", w)...)
	}}
	f.submit = func() tea.Cmd {
		format := formats[f.fields[0].picked].format
		return f.wait(act(sh, "export", func(ctx context.Context) (flows.Exported, error) {
			return sh.Desk.Export(ctx, sh.Actor, strconv.FormatInt(c.SubscriberID, 10), given, format, "")
		}, func(e flows.Exported, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "export", err)
			}
			size := humanize.Bytes(uint64(max(0, e.Bytes)))
			return tea.Batch(sh.say(done, "exported to "+e.Path+" (mode 0600, "+size+")"),
				sh.tell("Exported", "SubscriberID "+strconv.FormatInt(e.SubscriberID, 10)+" as "+formats[f.fields[0].picked].word+", "+size+". Only you may read the file (mode 0600):", e.Path))
		}))
	}
	return sh.openForm(f)
}

// failUnder says an error on the status line when its form has been closed.
func (sh *shell) failUnder(f *form, what string, err error) tea.Cmd {
	if sh.holds(f) {
		return nil
	}
	return sh.say(failed, what+": "+reason(err))
}

// holds tells whether a form is still open.
func (sh *shell) holds(f *form) bool { return slices.Contains(sh.overlays, overlay(f)) }

func (sh *shell) askUnsubscribe(c flows.Card) tea.Cmd {
	names := []string{}
	for _, l := range c.Lists {
		if l.Status != "unsubscribed" {
			names = append(names, l.List)
		}
	}
	options := append([]string{"all lists"}, names...)
	if len(names) == 1 {
		options = options[1:]
	}
	f := &form{
		title: "Unsubscribe", labels: []string{"No", "Unsubscribe"}, fields: []field{choice("From", 0, options...)},
		body: func(w int) []string {
			return append([]string{fit(who(c), w), ""}, sh.dimmed("Sending stops. The card, its evidence and the other lists stay as they are; leaving the last list makes the permission unsubscribed. "+slipWords(c), w)...)
		},
	}
	f.submit = func() tea.Cmd {
		list := options[f.fields[0].picked]
		from := clean(list)
		if len(names) != 1 && f.fields[0].picked == 0 {
			list = ""
		}
		var until time.Time
		return f.wait(act(sh, "unsubscribe", func(ctx context.Context) (flows.Card, error) {
			now, err := sh.Desk.Unsubscribe(ctx, sh.Actor, c.SubscriberID, list)
			until = sh.Desk.UndoUntil(sh.Actor, c.SubscriberID)
			return now, err
		}, func(now flows.Card, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "unsubscribe", err)
			}
			return tea.Batch(sh.patch(now), sh.ping(), sh.undoable(slipOf(c.SubscriberID, until)),
				sh.say(done, "SubscriberID "+strconv.FormatInt(c.SubscriberID, 10)+" is unsubscribed from "+from+sh.undoHint()))
		}))
	}
	return sh.openForm(f)
}

func (sh *shell) askErase(c flows.Card) tea.Cmd {
	f := &form{title: "Erase", danger: true, labels: []string{"No", "Erase"}, fields: []field{typed("Reason", "why, for the audit", 500)}}
	f.body = func(w int) []string {
		t := sh.theme
		out := []string{fit(who(c), w), ""}
		out = append(out, t.bad.Render("✕ ")+t.bold.Render("Goes for good"))
		out = append(out, sh.indent("address, mobile, name and own fields; lists; source, rating and behaviour; letters, captured mail and export files", w)...)
		out = append(out, "", t.good.Render("✓ ")+t.bold.Render("Stays, as a tombstone"))
		out = append(out, sh.indent("the SubscriberID; when the person signed up, confirmed and was erased; from which IP addresses, sealed: they open only to someone who types the full address", w)...)
		return append(out, "", t.bad.Render("This can't be undone."))
	}
	f.submit = func() tea.Cmd {
		cause := f.value(0)
		if cause == "" {
			f.fault = "give a reason: the audit keeps it"
			f.refocus(0)
			return nil
		}
		return f.wait(act(sh, "erase", func(ctx context.Context) (flows.Erased, error) {
			return sh.Desk.Erase(ctx, sh.Actor, strconv.FormatInt(c.SubscriberID, 10), cause)
		}, func(e flows.Erased, err error) tea.Cmd {
			watched := sh.holds(f)
			if !f.end(err) {
				return sh.failUnder(f, "erase", err)
			}
			said := "SubscriberID " + strconv.FormatInt(e.SubscriberID, 10) + " is erased: a tombstone is left"
			if e.Files > 0 {
				said += "; " + plural(int64(e.Files), "export file", "export files") + " removed"
			}
			cmds := []tea.Cmd{sh.say(done, said), sh.renew(c.SubscriberID)}
			if e.Remnant != "" {
				cmds = append(cmds, sh.say(warning, e.Remnant))
			}
			if _, isCard := sh.screen().(*card); watched && !isCard {
				// Browsing does not show tombstones, so show now what is left.
				cmds = append(cmds, sh.push(newCard(sh, flows.Card{SubscriberID: c.SubscriberID}, nil)))
			}
			return tea.Batch(cmds...)
		}))
	}
	return sh.openForm(f)
}

func (sh *shell) indent(s string, w int) []string {
	lines := sh.dimmed(s, w-2)
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

func (sh *shell) askResubscribe(c flows.Card) tea.Cmd {
	lists := make([]string, 0, len(sh.lists))
	for _, l := range sh.lists {
		lists = append(lists, l.Name)
	}
	if len(lists) == 0 {
		return tea.Batch(sh.fetchLists(), sh.say(warning, "no list is there to sign up to: import or add one first"))
	}
	picked := 0
	if len(c.Lists) > 0 {
		picked = at(lists, c.Lists[0].List)
	}
	f := &form{title: "Resubscribe", labels: []string{"No", "Send the mail"}, fields: []field{
		typed("Address", "in full: name@example.com", 320),
		choice("List", picked, lists...),
		typed("Asked", "how and when the person asked", 500),
	}}
	f.body = func(w int) []string {
		note := "A confirmed sign-up is required: a mail goes to the person, and only their own click in it completes this. Nobody is put on a list until then."
		if c.Permission == flows.Deleted {
			note += " A tombstone does not know its address, so type it in full; the new card gets a new SubscriberID."
		}
		return append([]string{fit(who(c), w), ""}, sh.dimmed(note, w)...)
	}
	f.submit = func() tea.Cmd {
		r := flows.Resubscription{Address: f.value(0), ID: c.SubscriberID, List: lists[f.fields[1].picked], Asked: f.value(2)}
		switch {
		case r.Address == "":
			f.fault = "type the full address"
			f.refocus(0)
			return nil
		case r.Asked == "":
			f.fault = "say how and when the person asked: that is evidence"
			f.refocus(2)
			return nil
		}
		return f.wait(act(sh, "resubscribe", func(ctx context.Context) (flows.Waiting, error) {
			return sh.Desk.Resubscribe(ctx, sh.Actor, r)
		}, func(w flows.Waiting, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "resubscribe", err)
			}
			return tea.Batch(sh.renew(c.SubscriberID), sh.say(done, "the confirmation mail is out; it waits for the person's click until "+w.Until.In(sh.zone).Format("2 Jan")))
		}))
	}
	return sh.openForm(f)
}

// tell shows a text, and a value in full under it that can be copied.
func (sh *shell) tell(title, words, value string) tea.Cmd {
	value = clean(value)
	p := &pager{sh: sh, title: title, plain: true, lines: func(w int) []string {
		out := append([]string{""}, sh.dimmed(words, w)...)
		out = append(out, "")
		for rest := value; rest != ""; {
			line := cut(rest, w)
			out, rest = append(out, sh.theme.bold.Render(line)), rest[len(line):]
		}
		return out
	}}
	copied := action{Key: "y", Label: "copy", Do: func() tea.Cmd {
		return tea.Batch(tea.SetClipboard(value), sh.say(done, "copied, if the terminal allows it"))
	}}
	p.keys = func() []action { return []action{copied} }
	return sh.open(p)
}
