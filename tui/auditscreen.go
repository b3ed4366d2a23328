package tui

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// auditPage is how many rows are fetched at once.
const auditPage = 100

// auditScreen is who did what, as it comes in, and whether the log that keeps
// it is whole (auditacts.go has what can be done).
type auditScreen struct {
	base
	rows   []flows.AuditEntry
	loaded bool
	all    bool   // no older rows are left
	closed string // why they may not be seen
	filter flows.AuditFilter
	last   *flows.Verification
	list   cursor
	grid   *grid[flows.AuditEntry]
	head   int // lines above the grid's first row
}

func newAudit(sh *shell) screen { return &auditScreen{base: newBase(sh), grid: newAuditGrid(sh)} }

func (s *auditScreen) name() string { return "Audit" }

func (s *auditScreen) badge() (int64, bool) {
	if s.last == nil {
		return 0, false
	}
	return int64(s.last.Problems), true
}

func (s *auditScreen) place() string {
	if len(s.rows) == 0 {
		return ""
	}
	more := ""
	if !s.all {
		more = "+"
	}
	return number(int64(s.list.cur+1)) + " of " + number(int64(len(s.rows))) + more
}

func (s *auditScreen) enter() tea.Cmd { return s.refresh() }

// refresh fetches the newest rows. The cursor stays on its row, unless it
// rests on the newest.
func (s *auditScreen) refresh() tea.Cmd {
	if s.sh.screen() != screen(s) {
		return nil
	}
	return tea.Batch(s.fetchLast(), s.fetch(0, func(rows []flows.AuditEntry) {
		if now, ok := s.row(); ok && s.list.cur > 0 {
			if at := slices.IndexFunc(rows, func(x flows.AuditEntry) bool { return x.ID == now.ID }); at >= 0 {
				s.list.cur = at
			}
		}
		s.rows = rows
		s.list.show(len(rows), s.list.rows)
	}))
}

func (s *auditScreen) fetch(before int64, then func([]flows.AuditEntry)) tea.Cmd {
	filter := s.filter
	return read(s.sh, s.box, "page", func(ctx context.Context) ([]flows.AuditEntry, error) {
		return s.sh.Desk.Audit(ctx, s.sh.Actor, filter, before, auditPage)
	}, func(rows []flows.AuditEntry, err error) tea.Cmd {
		switch {
		case err == nil:
			s.loaded, s.closed, s.all = true, "", len(rows) < auditPage
			s.grid.forget()
			then(rows)
		case !fault(err):
			s.closed = reason(err)
		}
		return nil
	})
}

func (s *auditScreen) fetchLast() tea.Cmd {
	return read(s.sh, s.box, "last", func(ctx context.Context) (*flows.Verification, error) {
		return s.sh.Desk.LastVerification(ctx, s.sh.Actor)
	}, func(v *flows.Verification, err error) tea.Cmd {
		if err == nil {
			s.last = v
		}
		return nil
	})
}

// poll looks for new rows as long as the newest are on show.
func (s *auditScreen) poll(shown bool) tea.Cmd {
	if !shown || s.box.busy("page") || s.list.top > 0 || len(s.rows) > auditPage {
		return nil
	}
	return s.refresh()
}

// row is the one under the cursor.
func (s *auditScreen) row() (flows.AuditEntry, bool) {
	if s.list.cur >= len(s.rows) {
		return flows.AuditEntry{}, false
	}
	return s.rows[s.list.cur], true
}

// step moves the cursor, and asks for older rows before the end is reached.
func (s *auditScreen) step(n int) tea.Cmd {
	s.list.step(n)
	if s.all || !s.loaded || s.box.busy("page") || len(s.rows)-s.list.cur > 2*max(10, s.list.rows) {
		return nil
	}
	return s.fetch(s.rows[len(s.rows)-1].ID, func(rows []flows.AuditEntry) {
		s.rows = append(s.rows, rows...)
		s.list.show(len(s.rows), s.list.rows)
	})
}

func (s *auditScreen) wheel(n int) tea.Cmd { return s.step(n) }

func (s *auditScreen) click(_, y int) tea.Cmd {
	if s.list.click(y, s.head) {
		return s.details()
	}
	return nil
}

func newAuditGrid(sh *shell) *grid[flows.AuditEntry] {
	plain := func(value func(*flows.AuditEntry) string) func(ink, *flows.AuditEntry) (string, lipgloss.Style) {
		return func(k ink, r *flows.AuditEntry) (string, lipgloss.Style) { return clean(value(r)), k.text }
	}
	return newGrid(sh, "No", func(r *flows.AuditEntry) int64 { return r.ID }, []column[flows.AuditEntry]{
		{title: "At", rank: 0, min: 12, want: 12, cell: func(k ink, r *flows.AuditEntry) (string, lipgloss.Style) {
			return r.At.In(k.zone).Format("2 Jan 15:04"), k.dim
		}},
		{title: "Who", rank: 0, min: 9, want: 9, most: 20, cell: plain(func(r *flows.AuditEntry) string { return r.Actor })},
		{title: "What", rank: 0, min: 15, want: 15, most: 20, cell: func(k ink, r *flows.AuditEntry) (string, lipgloss.Style) {
			if r.Act == "refused" {
				return clean(r.Act), k.warn
			}
			return clean(r.Act), k.accent
		}},
		{title: "Card", rank: 1, min: 7, want: 8, right: true, cell: plain(func(r *flows.AuditEntry) string { return cardNumber(*r) })},
		{title: "From", rank: 3, min: 12, want: 14, cell: func(k ink, r *flows.AuditEntry) (string, lipgloss.Style) { return clean(r.From), k.dim }},
		{title: "Why", rank: 2, min: 16, want: 40, rest: true, cell: func(k ink, r *flows.AuditEntry) (string, lipgloss.Style) { return clean(r.Why), k.dim }},
	})
}

func cardNumber(r flows.AuditEntry) string {
	if r.SubscriberID == nil {
		return ""
	}
	return strconv.FormatInt(*r.SubscriberID, 10)
}

func (s *auditScreen) draw(w, h int) []string {
	if s.closed != "" {
		return append([]string{""}, view{sh: s.sh, w: w}.indent(s.sh.dimmed(s.closed, w-4))...)
	}
	above := []string{s.lastLine(w)}
	if chips := s.chips(); chips != "" {
		t := s.sh.theme
		above = append(above, t.dim.Render("  Only ")+t.row(t.accent).Render(" "+fit(chips, min(lenCells(chips), w-22))+" ")+t.dim.Render("  F clears"))
	}
	s.head = len(above) + 1
	h -= len(above)
	s.list.show(len(s.rows), h-1)
	out := s.grid.draw(w, h, s.list.top, s.list.cur, func(i int) (*flows.AuditEntry, bool) {
		if i < 0 || i >= len(s.rows) {
			return nil, false
		}
		return &s.rows[i], true
	})
	if len(s.rows) == 0 {
		out[min(2, len(out)-1)] = s.sh.theme.dim.Render("  " + s.nothing())
	}
	return append(above, out...)
}

func (s *auditScreen) nothing() string {
	switch {
	case s.loaded && s.filter != flows.AuditFilter{}:
		return "Nothing was done that fits the filter. F shows all."
	case s.loaded:
		return "Nobody has done anything yet."
	case s.sh.line.lost:
		return "The store does not answer."
	}
	return "Fetching the audit …"
}

// lastLine is the state of the last verification.
func (s *auditScreen) lastLine(w int) string {
	t, v := s.sh.theme, s.last
	switch {
	case v == nil && !s.loaded:
		return ""
	case v == nil:
		return t.dim.Render(fit("  ○ The log was not verified yet: v walks through it now.", w-1))
	case v.Whole() && len(v.Setbacks) > 0:
		b := v.Setbacks[len(v.Setbacks)-1]
		return t.warn.Render("  ● whole but for a restore") + t.dim.Render(fit("  "+number(b.Lost-b.Kept)+" entries lost by "+clean(b.By)+" on "+exact(b.At, s.sh.zone)+"; verified "+ago(v.At, s.sh.now()), w-28))
	case v.Whole():
		return t.good.Render("  ● whole") + t.dim.Render(fit("  "+number(v.Entries)+" entries, verified "+exact(v.At, s.sh.zone)+" ("+ago(v.At, s.sh.now())+")", w-11))
	}
	return t.bad.Render("  ✗ tampered with") + t.text.Render(fit("  "+clean(v.First.Row)+": "+clean(v.First.What), w-19))
}

// chips are the filters that are set.
func (s *auditScreen) chips() string {
	var out []string
	f := s.filter
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+" "+clean(value))
		}
	}
	add("who", f.Who)
	add("what", f.What)
	if f.SubscriberID != 0 {
		add("card", strconv.FormatInt(f.SubscriberID, 10))
	}
	add("since", dayOf(f.Since))
	add("until", lastDay(f.Until))
	return strings.Join(out, " · ")
}

func dayOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// lastDay is the day before a filter's end, which is the last that it takes.
func lastDay(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return dayOf(t.AddDate(0, 0, -1))
}
