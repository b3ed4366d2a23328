package tui

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// mark marks the card under the cursor, or takes its mark away, and goes on.
func (c *contacts) mark() tea.Cmd {
	card, _ := c.card()
	if _, ok := c.marks[card.SubscriberID]; ok {
		delete(c.marks, card.SubscriberID)
	} else {
		c.marks[card.SubscriberID] = card
	}
	c.grid.touch(card.SubscriberID)
	return c.step(1)
}

// unmark takes all marks away.
func (c *contacts) unmark() tea.Cmd {
	if len(c.marks) == 0 {
		return nil
	}
	n := int64(len(c.marks))
	clear(c.marks)
	c.grid.forget()
	return c.sh.say(info, plural(n, "mark", "marks")+" cleared")
}

// several is an act on all that are marked.
type several struct {
	act   string // as Desk.Why knows it
	verb  string // on the button
	doing string // while it is under way
	noun  string
	said  string // when it is done
	// one does it to one card, and gives back what has become of it and what
	// must be told besides.
	one func(ctx context.Context, c flows.Card, cause string) (now flows.Card, remnant string, err error)
	// undo is until when it can be taken back of one card; nil for never.
	undo func(id int64) time.Time
}

// markedActs take the place of the same acts on one card.
func (c *contacts) markedActs() []action {
	n := number(int64(len(c.marks)))
	return []action{
		{Key: "esc", Label: "clear", Do: c.unmark},
		{Key: "e", Label: "export " + n, Why: c.whyExport, Do: c.askExportMarked},
		{Key: "u", Label: "unsubscribe " + n, Why: func() string { return c.whyMarked("unsubscribe") }, Do: c.askUnsubscribeMarked},
		{Key: "d", Label: "erase " + n, Why: func() string { return c.whyMarked("erase") }, Do: c.askEraseMarked},
	}
}

// whyMarked is why an act is possible on none of the marked, or "".
func (c *contacts) whyMarked(act string) string {
	why := c.sh.idle()
	if why != "" {
		return why
	}
	for _, card := range c.marks {
		if why = c.sh.Desk.Why(c.sh.Actor, act, card); why == "" {
			return ""
		}
	}
	return why
}

// whyExport is why data can't be asked for, or "".
func (c *contacts) whyExport() string { return c.sh.Desk.Why(c.sh.Actor, "export", flows.Card{}) }

// askExportMarked asks for the data of all that are marked. Nothing leaves
// before a second person approves.
func (c *contacts) askExportMarked() tea.Cmd {
	sh := c.sh
	ids := slices.Sorted(maps.Keys(c.marks))
	n := plural(int64(len(ids)), "contact", "contacts")
	f := &form{title: "Export", labels: []string{"No", "Ask for " + number(int64(len(ids)))}, fields: []field{typed("Reason", "what it is for; the second person reads it", 500)}}
	f.body = func(w int) []string {
		return append([]string{sh.theme.bold.Render("Export " + n), ""},
			sh.dimmed("A second person has to approve: the request waits under Requests. The file is then encrypted to your SSH key, kept for a week, and gone as soon as one of them is erased.", w)...)
	}
	f.submit = func() tea.Cmd {
		cause := f.value(0)
		if cause == "" {
			f.fault = "give a reason: the second person decides by it"
			f.refocus(0)
			return nil
		}
		return f.wait(act(sh, "export", func(ctx context.Context) (flows.Request, error) {
			return sh.Desk.AskExport(ctx, sh.Actor, flows.BulkWish{IDs: ids, Reason: cause})
		}, func(r flows.Request, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "export", err)
			}
			clear(c.marks)
			c.grid.forget()
			return tea.Batch(sh.ping(), sh.say(done, "request "+strconv.FormatInt(r.ID, 10)+": the export of "+n+" waits for a second person"))
		}))
	}
	return sh.openForm(f)
}

// sorted splits the marked into those that an act is possible on, by
// SubscriberID, and the others by the reason.
func (c *contacts) sorted(act string) (able []flows.Card, not map[string][]int64) {
	not = map[string][]int64{}
	for _, id := range slices.Sorted(maps.Keys(c.marks)) {
		if why := c.sh.Desk.Why(c.sh.Actor, act, c.marks[id]); why != "" {
			not[why] = append(not[why], id)
		} else {
			able = append(able, c.marks[id])
		}
	}
	return able, not
}

func (c *contacts) askUnsubscribeMarked() tea.Cmd {
	sh := c.sh
	f := &form{title: "Unsubscribe"}
	return c.askMarked(f, several{
		act: "unsubscribe", verb: "Unsubscribe", doing: "Unsubscribing", noun: "unsubscribing", said: "unsubscribed from all lists",
		one: func(ctx context.Context, card flows.Card, _ string) (flows.Card, string, error) {
			now, err := sh.Desk.Unsubscribe(ctx, sh.Actor, card.SubscriberID, "")
			return now, "", err
		},
		undo: func(id int64) time.Time { return sh.Desk.UndoUntil(sh.Actor, id) },
	}, func(w int) []string {
		return sh.dimmed("They leave all their lists, and sending stops. Cards and evidence stay. U undoes a slip for 10 seconds, but for sign-ups that wait for their click; after that only each person's own click does.", w)
	})
}

func (c *contacts) askEraseMarked() tea.Cmd {
	sh := c.sh
	f := &form{title: "Erase", danger: true, fields: []field{typed("Reason", "one for all of them, for the audit", 500)}}
	return c.askMarked(f, several{
		act: "erase", verb: "Erase", doing: "Erasing", noun: "erasing", said: "erased, tombstones are left",
		one: func(ctx context.Context, card flows.Card, cause string) (flows.Card, string, error) {
			e, err := sh.Desk.Erase(ctx, sh.Actor, strconv.FormatInt(card.SubscriberID, 10), cause)
			return flows.Card{SubscriberID: card.SubscriberID, Permission: flows.Deleted}, e.Remnant, err
		},
	}, func(w int) []string {
		out := sh.dimmed("Address, mobile, name, own fields, lists, rating and behaviour go for good, with letters, captured mail and export files. Of each a tombstone stays: the SubscriberID, three times, and sealed evidence.", w)
		return append(out, "", sh.theme.bad.Render("This can't be undone."))
	})
}

// askMarked asks once for all, and says how many it is possible on.
func (c *contacts) askMarked(f *form, s several, note func(w int) []string) tea.Cmd {
	able, not := c.sorted(s.act)
	n := plural(int64(len(able)), "contact", "contacts")
	f.labels = []string{"No", s.verb + " " + number(int64(len(able)))}
	f.body = func(w int) []string {
		t := c.sh.theme
		all := t.bold.Render(s.verb + " " + n)
		if len(not) > 0 {
			all += t.dim.Render(" of " + number(int64(len(c.marks))) + " marked")
		}
		out := []string{all}
		for _, why := range slices.Sorted(maps.Keys(not)) {
			out = append(out, t.warn.Render("! ")+t.dim.Render(fit(number(int64(len(not[why])))+" can't be: "+clean(why), w-2)))
		}
		return append(append(out, ""), note(w)...)
	}
	f.submit = func() tea.Cmd {
		cause := ""
		if len(f.fields) > 0 {
			cause = f.value(0)
		}
		switch {
		case len(f.fields) > 0 && cause == "":
			f.fault = "give a reason: the audit keeps it"
			f.refocus(0)
			return nil
		case c.sh.work != nil:
			f.fault = c.sh.idle()
			return nil
		}
		c.sh.close(f)
		clear(c.marks)
		c.grid.forget()
		return c.doSeveral(s, cause, able, not)
	}
	return c.sh.openForm(f)
}

// outcome is what became of the marked.
type outcome struct {
	done []flows.Card       // as they are now
	not  map[string][]int64 // those refused, by the reason
	left []flows.Card       // not reached

	slip slip // what can be taken back

	remnant string // what could not be wiped at once, the latest of them
}

// doSeveral acts on one contact after the other, each in a transaction of its
// own. It can be stopped between two, not in the middle of one.
func (c *contacts) doSeveral(s several, cause string, cards []flows.Card, not map[string][]int64) tea.Cmd {
	sh, total := c.sh, int64(len(cards))
	w := &work{what: s.doing + " " + plural(total, "contact", "contacts"), noun: s.noun, unit: "contacts", rest: "Those not reached stay as they are, and are marked again."}
	return begin(sh, w, func(stop context.Context, tell func(flows.ImportProgress)) (outcome, error) {
		out := outcome{not: not}
		for i, card := range cards {
			tell(flows.ImportProgress{Done: int64(i), Total: total, Read: int64(i)})
			if stop.Err() != nil {
				out.left = cards[i:]
				return out, stop.Err()
			}
			ctx, cancel := context.WithTimeout(sh.ctx, actTime)
			now, remnant, err := s.one(ctx, card, cause)
			cancel()
			switch {
			case err == nil:
				out.done = append(out.done, now)
				out.remnant = cmp.Or(remnant, out.remnant)
				out.slip.add(s, card.SubscriberID)
			case fault(err):
				out.left = cards[i:]
				return out, err
			default:
				out.not[reason(err)] = append(out.not[reason(err)], card.SubscriberID)
			}
		}
		return out, nil
	}, func(out outcome, err error) tea.Cmd { return c.didSeveral(s, w, out, err) })
}

// didSeveral shows what became of them, and tells of those that it was not
// done to. Those not reached are marked again, so that one can go on.
func (c *contacts) didSeveral(s several, w *work, out outcome, err error) tea.Cmd {
	sh := c.sh
	var cmds []tea.Cmd
	for _, card := range out.done {
		cmds = append(cmds, sh.patch(card))
	}
	for _, card := range out.left {
		c.marks[card.SubscriberID] = card
	}
	c.grid.forget()
	said, mood := plural(int64(len(out.done)), "contact is ", "contacts are ")+s.said, done
	if n := len(out.left); n > 0 {
		mood = warning
		said = "stopped: " + said + "; " + number(int64(n)) + " not reached, and marked again"
		if !w.stopping && err != nil {
			mood = failed
			said += ": " + reason(err)
		}
	}
	cmds = append(cmds, sh.undoable(out.slip))
	cmds = append(cmds, sh.say(mood, said+sh.undoHint()))
	if out.remnant != "" {
		cmds = append(cmds, sh.say(warning, out.remnant))
	}
	if len(out.not)+len(out.left) > 0 {
		cmds = append(cmds, sh.open(&pager{sh: sh, title: s.verb, plain: true, lines: func(w int) []string { return c.summary(s, out, w) }}))
	}
	return tea.Batch(cmds...)
}

// summary counts what was done, and names by number whom it was not done to.
func (c *contacts) summary(s several, out outcome, w int) []string {
	t := c.sh.theme
	refused := 0
	for _, ids := range out.not {
		refused += len(ids)
	}
	lines := []string{""}
	for _, row := range []struct {
		name string
		n    int
		note string
	}{{"done", len(out.done), s.said}, {"refused", refused, ""}, {"not reached", len(out.left), "they are marked again"}} {
		note := row.note
		if row.n == 0 {
			note = ""
		}
		lines = append(lines, t.dim.Render(fit(row.name, 12))+t.bold.Render(fitRight(number(int64(row.n)), 9))+"  "+t.dim.Render(note))
	}
	for _, why := range slices.Sorted(maps.Keys(out.not)) {
		ids := make([]string, len(out.not[why]))
		for i, id := range out.not[why] {
			ids[i] = strconv.FormatInt(id, 10)
		}
		lines = append(lines, "")
		for _, l := range wrap(why, w-2) {
			lines = append(lines, t.warn.Render("! ")+l)
		}
		lines = append(lines, c.sh.indent("SubscriberID "+strings.Join(ids, ", "), w)...)
	}
	return lines
}
