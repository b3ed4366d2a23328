package tui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// mailsKept is how many captured mails the screen shows.
const mailsKept = 200

// mailbox is the screen of the captured mails, for a machine that sends none.
type mailbox struct {
	base
	mails  []flows.Mail
	loaded bool
	polled bool
	newest int64 // the newest mail's number
	seen   int64 // what it was when the screen was last on show
	list   cursor
	grid   *grid[flows.Mail]
}

func newMailbox(sh *shell) screen { return &mailbox{base: newBase(sh), grid: newMailGrid(sh)} }

func (m *mailbox) name() string { return "Mailbox" }

// badge counts the mails that have come since the screen was last on show.
func (m *mailbox) badge() (int64, bool) { return m.newest - m.seen, true }

func (m *mailbox) place() string {
	if len(m.mails) == 0 {
		return ""
	}
	return number(int64(m.list.cur+1)) + " of " + number(int64(len(m.mails)))
}

func (m *mailbox) actions() []action {
	here := func() string {
		if len(m.mails) == 0 {
			return "no mail has been captured yet"
		}
		return ""
	}
	link := func() string {
		if why := here(); why != "" {
			return why
		}
		if confirmLink(m.mails[m.list.cur]) == "" {
			return "this mail holds no link"
		}
		return ""
	}
	table := []action{
		{Key: "enter", Label: "read", Why: here, Do: m.read},
		{Key: "o", Label: "open the link", Why: link, Do: func() tea.Cmd { return m.sh.follow(confirmLink(m.mails[m.list.cur])) }},
		{Key: "y", Label: "copy the link", Why: link, Do: func() tea.Cmd { return m.sh.copyLink(confirmLink(m.mails[m.list.cur])) }},
		{Key: "l", Label: "link in full", Why: link, Do: func() tea.Cmd { return m.sh.showLink(confirmLink(m.mails[m.list.cur])) }},
	}
	return append(table, m.list.moves()...)
}

func (m *mailbox) enter() tea.Cmd { return m.refresh() }

// poll looks at the newest mail only: opening them all takes decrypting each.
func (m *mailbox) poll(shown bool) tea.Cmd {
	if m.box.busy("mails") {
		return nil
	}
	return m.fetch(1, func(mails []flows.Mail) tea.Cmd {
		if len(mails) == 0 || mails[0].Number == m.newest {
			return nil
		}
		first := !m.polled
		m.newest, m.polled = mails[0].Number, true
		switch {
		case shown:
			return m.refresh()
		case first && !m.loaded:
			m.seen = m.newest // those that were there before the console was
		}
		return nil
	})
}

func (m *mailbox) refresh() tea.Cmd {
	if m.sh.screen() != screen(m) {
		return nil
	}
	return m.fetch(mailsKept, func(mails []flows.Mail) tea.Cmd {
		m.keep(mails)
		return nil
	})
}

func (m *mailbox) fetch(n int, then func([]flows.Mail) tea.Cmd) tea.Cmd {
	return read(m.sh, m.box, "mails", func(ctx context.Context) ([]flows.Mail, error) {
		return m.sh.Desk.Mailbox(ctx, m.sh.Actor, n)
	}, func(mails []flows.Mail, err error) tea.Cmd {
		switch {
		case err == nil:
			return then(mails)
		case fault(err) || m.sh.screen() != screen(m):
			return nil
		default:
			return m.sh.fail(err)
		}
	})
}

// keep takes in new mails; the cursor stays on its mail, unless it rests on
// the newest.
func (m *mailbox) keep(mails []flows.Mail) {
	if m.list.cur > 0 && m.list.cur < len(m.mails) {
		for i, mail := range mails {
			if mail.Number == m.mails[m.list.cur].Number {
				m.list.cur = i
			}
		}
	}
	m.grid.forget()
	m.mails, m.loaded, m.polled = mails, true, true
	if len(mails) > 0 {
		m.newest = max(m.newest, mails[0].Number)
	}
	m.seen = m.newest
}

func (m *mailbox) read() tea.Cmd { return m.sh.push(newLetter(m.sh, m.mails[m.list.cur])) }

func (m *mailbox) wheel(n int) tea.Cmd { return m.list.step(n) }

func (m *mailbox) click(_, y int) tea.Cmd {
	if m.list.click(y, 1) {
		return m.read()
	}
	return nil
}

func newMailGrid(sh *shell) *grid[flows.Mail] {
	return newGrid(sh, "No", func(m *flows.Mail) int64 { return m.Number }, []column[flows.Mail]{
		{title: "To", rank: 0, min: 16, want: 30, most: 48, cell: func(k ink, m *flows.Mail) (string, lipgloss.Style) { return clean(m.ToMasked), k.text }},
		{title: "Subject", rank: 1, min: 16, want: 36, rest: true, cell: func(k ink, m *flows.Mail) (string, lipgloss.Style) { return clean(m.Subject), k.text }},
		{title: "When", rank: 0, min: 10, want: 10, right: true, cell: func(k ink, m *flows.Mail) (string, lipgloss.Style) { return ago(m.At, k.now), k.dim }},
	})
}

func (m *mailbox) draw(w, h int) []string {
	t := m.sh.theme
	m.list.show(len(m.mails), h-2)
	out := m.grid.draw(w, h-1, m.list.top, m.list.cur, func(i int) (*flows.Mail, bool) {
		if i < 0 || i >= len(m.mails) {
			return nil, false
		}
		return &m.mails[i], true
	})
	if len(m.mails) == 0 {
		word := "Fetching the mails …"
		switch {
		case m.loaded:
			word = "No mail has been captured yet. What Kartotek sends lands here instead of leaving this machine."
		case m.sh.line.lost:
			word = "The store does not answer."
		}
		for i, l := range m.sh.dimmed(word, w-4) {
			out[min(2+i, len(out)-1)] = "  " + l
		}
	}
	return append(out, "  "+t.dim.Render(fit(m.sh.webWords(), w-3)))
}

// webWords tells where the links of the mails lead.
func (sh *shell) webWords() string {
	var words []string
	if sh.WebURL != "" {
		words = append(words, "links open pages at "+clean(sh.WebURL))
	} else {
		words = append(words, "no web pages are served here, so links lead nowhere")
	}
	if sh.WebNote != "" {
		words = append(words, clean(sh.WebNote))
	}
	return strings.Join(words, " · ")
}
