package tui

import (
	"context"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

func (s *auditScreen) actions() []action {
	here := func() string {
		if len(s.rows) == 0 {
			return "no row is under the cursor"
		}
		return ""
	}
	table := []action{
		{Key: "enter", Label: "details", Why: here, Do: s.details},
		{Key: "f", Label: "filter", Do: s.askFilter},
		{Key: "v", Label: "verify now", Why: s.sh.idle, Do: s.verify},
		{Key: "p", Label: "prove", Why: func() string { return s.sh.Desk.Why(s.sh.Actor, "prove", flows.Card{}) }, Do: s.sh.askProve},
		{Key: "o", Label: "card", Why: s.mayOpen, Do: func() tea.Cmd {
			r, _ := s.row()
			return s.sh.push(newCard(s.sh, flows.Card{SubscriberID: *r.SubscriberID}, nil))
		}},
		{Key: "F", Label: "clear the filter", Quiet: s.filter == flows.AuditFilter{}, Why: func() string {
			if (s.filter == flows.AuditFilter{}) {
				return "no filter is set"
			}
			return ""
		}, Do: func() tea.Cmd { return s.only(flows.AuditFilter{}) }},
	}
	return append(table, moves(s.step, func() int { return max(1, s.list.rows-1) },
		func() tea.Cmd { return s.step(-s.list.len) },
		func() tea.Cmd { return s.step(s.list.len) })...)
}

func (s *auditScreen) mayOpen() string {
	r, ok := s.row()
	switch {
	case !ok:
		return "no row is under the cursor"
	case r.SubscriberID == nil:
		return "the row is about nobody"
	}
	return s.sh.Desk.Why(s.sh.Actor, "find", flows.Card{})
}

// details tells all of the row under the cursor.
func (s *auditScreen) details() tea.Cmd {
	r, _ := s.row()
	return s.sh.open(&pager{sh: s.sh, title: "Audit row " + strconv.FormatInt(r.ID, 10), plain: true, lines: func(w int) []string {
		return pairs(s.sh.theme, w, []pair{
			{"at", r.At.In(s.sh.zone).Format("2 Jan 2006 15:04:05 MST")},
			{"who", clean(r.Actor)},
			{"role", clean(r.Role)},
			{"from", clean(r.From)},
			{"what", clean(r.Act)},
			{"card", cardNumber(r)},
			{"why", clean(r.Why)},
		})
	}})
}

// only narrows the audit.
func (s *auditScreen) only(f flows.AuditFilter) tea.Cmd {
	s.filter, s.rows, s.loaded, s.list = f, nil, false, cursor{}
	return s.refresh()
}

// askFilter narrows the audit by who, what, whom and when.
func (s *auditScreen) askFilter() tea.Cmd {
	f := &form{title: "Filter", direct: true, labels: []string{"back", "show"}, fields: []field{
		typed("Who", "a staff name, contact or clock", 64), typed("What", "erase, search, export …", 64), typed("Card", "a SubscriberID", 20),
		typed("Since", "a day: 2026-01-31, or 30d for 30 days ago", 12), typed("Until", "likewise; that day is included", 12),
	}, body: func(w int) []string {
		return s.sh.dimmed("What is left empty does not narrow. Days are in UTC. The filter stays on until F clears it.", w)
	}}
	for i, value := range []string{s.filter.Who, s.filter.What, "", dayOf(s.filter.Since), lastDay(s.filter.Until)} {
		f.fields[i].input.SetValue(value)
	}
	if s.filter.SubscriberID != 0 {
		f.fields[2].input.SetValue(strconv.FormatInt(s.filter.SubscriberID, 10))
	}
	f.submit = func() tea.Cmd {
		now := flows.AuditFilter{Who: f.value(0), What: f.value(1)}
		wrong := func(i int, why string) tea.Cmd {
			f.fault = why
			f.refocus(i)
			return nil
		}
		var err error
		if v := strings.TrimPrefix(f.value(2), "#"); v != "" {
			if now.SubscriberID, err = strconv.ParseInt(v, 10, 64); err != nil || now.SubscriberID < 1 {
				return wrong(2, "a SubscriberID is a number")
			}
		}
		for i, into := range []*time.Time{&now.Since, &now.Until} {
			if v := f.value(3 + i); v != "" {
				day, err := flows.ParseDay(v, s.sh.now(), time.UTC)
				if err != nil {
					return wrong(3+i, reason(err))
				}
				*into = day.AddDate(0, 0, i) // the last day is included
			}
		}
		s.sh.close(f)
		return s.only(now)
	}
	return s.sh.openForm(f)
}

// verify walks through the whole log; what it finds is told at its end.
func (s *auditScreen) verify() tea.Cmd {
	w := &work{what: "Verifying the log", noun: "verification", unit: "rows", rest: "Nothing is changed by it."}
	return begin(s.sh, w, func(ctx context.Context, tell func(flows.ImportProgress)) (flows.Verification, error) {
		return s.sh.Desk.VerifyAudit(ctx, s.sh.Actor, tell)
	}, func(v flows.Verification, err error) tea.Cmd {
		switch {
		case w.stopping:
			return s.sh.say(warning, "the verification was stopped")
		case err != nil:
			return s.sh.fail(err)
		case v.Whole() && len(v.Setbacks) > 0:
			b := v.Setbacks[len(v.Setbacks)-1]
			return tea.Batch(s.sh.say(warning, "the log is whole but for what was lost by a restore"), s.sh.tell("Accepted break", "Of the log, "+clean(b.Words())+". Restores in all: "+number(int64(len(v.Setbacks)))+". Nothing else was tampered with: "+number(v.Entries)+" entries are as they were signed.", "kartotek audit verify"))
		case v.Whole():
			return s.sh.say(done, "the log is whole: "+number(v.Entries)+" entries, as they were signed")
		}
		return tea.Batch(s.sh.say(failed, "the log was tampered with: "+v.First.Row), s.sh.tell("Tampered with",
			v.First.Row+", entry "+strconv.FormatInt(v.First.Entry, 10)+" of the log: "+v.First.What+". Problems in all: "+number(int64(v.Problems))+".", "kartotek audit verify"))
	})
}
