package tui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// letter is the screen of one captured mail.
type letter struct {
	base
	mail      flows.Mail
	read      bool
	top, rows int
	all       int
}

func newLetter(sh *shell, m flows.Mail) screen { return &letter{base: newBase(sh), mail: m} }

func (l *letter) name() string { return "Mail" }

func (l *letter) enter() tea.Cmd { return l.refresh() }

func (l *letter) refresh() tea.Cmd {
	return read(l.sh, l.box, "mail", func(ctx context.Context) (flows.Mail, error) {
		return l.sh.Desk.Mail(ctx, l.sh.Actor, l.mail.Number)
	}, func(m flows.Mail, err error) tea.Cmd {
		if err != nil {
			if fault(err) {
				return nil
			}
			return l.sh.fail(err)
		}
		l.mail, l.read = m, true
		return nil
	})
}

func (l *letter) place() string { return "mail " + number(l.mail.Number) }

func (l *letter) actions() []action {
	link := func() string {
		if confirmLink(l.mail) == "" {
			return "this mail holds no link"
		}
		return ""
	}
	return append([]action{
		{Key: "esc", Label: "back", Do: l.sh.back},
		{Key: "o", Label: "open the link", Why: link, Do: func() tea.Cmd { return l.sh.follow(confirmLink(l.mail)) }},
		{Key: "y", Label: "copy the link", Why: link, Do: func() tea.Cmd { return l.sh.copyLink(confirmLink(l.mail)) }},
		{Key: "l", Label: "link in full", Why: link, Do: func() tea.Cmd { return l.sh.showLink(confirmLink(l.mail)) }},
	}, moves(l.scroll, func() int { return max(1, l.rows-1) },
		func() tea.Cmd { l.top = 0; return nil }, func() tea.Cmd { return l.scroll(l.all) })...)
}

func (l *letter) scroll(n int) tea.Cmd {
	l.top = max(0, min(l.top+n, l.all-l.rows))
	return nil
}

func (l *letter) wheel(n int) tea.Cmd { return l.scroll(n) }

func (l *letter) draw(w, h int) []string {
	t := l.sh.theme
	row := func(name, value string) string {
		return "  " + t.dim.Render(fit(name, 9)) + fit(value, w-12)
	}
	head := []string{
		row("From", clean(l.mail.From)), row("To", clean(l.mail.ToMasked)),
		row("Subject", clean(l.mail.Subject)), row("When", exact(l.mail.At, l.sh.zone)+" ("+ago(l.mail.At, l.sh.now())+")"),
		t.faint.Render("  " + strings.Repeat("─", w-4)),
	}
	var body []string
	switch {
	case l.read:
		for _, line := range wrap(l.mail.Text, min(w-4, 92)) {
			if strings.Contains(line, "http://") || strings.Contains(line, "https://") {
				line = t.accent.Render(line)
			}
			body = append(body, "  "+line)
		}
	case l.sh.line.lost:
		body = []string{t.dim.Render("  The store does not answer.")}
	default:
		body = []string{t.dim.Render("  Opening the mail …")}
	}
	l.all, l.rows = len(body), max(1, h-len(head))
	l.scroll(0)
	return append(head, body[l.top:min(len(body), l.top+l.rows)]...)
}

// confirmLink is the link that a mail is about: the one that confirms, or else
// its first.
func confirmLink(m flows.Mail) string {
	for _, l := range m.Links {
		if strings.Contains(l, "/confirm/") {
			return clean(l)
		}
	}
	if len(m.Links) > 0 {
		return clean(m.Links[0])
	}
	return ""
}

// follow opens a link in the browser; where there is none it shows it in full.
func (sh *shell) follow(link string) tea.Cmd {
	if sh.OpenURL == nil {
		return sh.showLink(link)
	}
	return act(sh, "link", func(context.Context) (struct{}, error) { return struct{}{}, sh.OpenURL(link) }, func(_ struct{}, err error) tea.Cmd {
		if err != nil {
			return tea.Batch(sh.say(warning, "no browser opened: "+reason(err)), sh.showLink(link))
		}
		return sh.say(done, "the link was handed to the browser; l shows it in full")
	})
}

func (sh *shell) copyLink(link string) tea.Cmd {
	return tea.Batch(tea.SetClipboard(link), sh.say(done, "the link is copied, if the terminal allows it"))
}

// showLink shows a link on lines of its own, from edge to edge with nothing
// beside it, and leaves the mouse to the terminal: it can be selected whole.
func (sh *shell) showLink(link string) tea.Cmd { return sh.open(&linkView{sh: sh, link: link}) }

type linkView struct {
	sh   *shell
	link string
}

func (v *linkView) update(msg tea.Msg) tea.Cmd {
	key, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return nil
	}
	switch key.String() {
	case "esc", "enter", "q":
		v.sh.close(v)
	case "y":
		return v.sh.copyLink(v.link)
	case "o":
		if v.sh.OpenURL != nil {
			v.sh.close(v)
			return v.sh.follow(v.link)
		}
	}
	return nil
}

func (v *linkView) draw(w, h int) drawn {
	t := v.sh.theme
	rule := t.accent.Render(strings.Repeat("─", w))
	out := []string{rule, t.bold.Render(fit("The link in full: select it with the mouse, or press y to copy it.", w)), spaces(w)}
	for rest := v.link; rest != ""; {
		line := cut(rest, w)
		rest = rest[len(line):]
		out = append(out, t.accentBold.Hyperlink(v.link).Render(line)+spaces(w-lipgloss.Width(line)))
	}
	out = append(out, spaces(w), t.dim.Render(fit(v.sh.webWords(), w)), t.dim.Render(fit("y copy   esc back", w)), rule)
	return drawn{text: strings.Join(out, "\n"), y: max(0, (h-len(out))/2), unhand: true}
}
