package tui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// field is one line of a form: a text to type, or a choice among options.
type field struct {
	label   string
	input   *textinput.Model // nil for a choice
	options []string
	picked  int
}

// form is an overlay that asks: a text, fields, and buttons. The first button
// leaves without doing anything; the others submit.
type form struct {
	sh     *shell
	title  string
	body   func(w int) []string // above the fields; nil for none
	fields []field
	labels []string // of the buttons
	button int      // the one that is picked
	focus  int      // a field, or len(fields) for the buttons
	danger bool     // what it asks can't be undone
	direct bool     // Enter submits from any field, and there are no buttons
	quits  bool     // it asks whether to quit
	busy   bool     // submitted, the reply is on its way
	fault  string   // why the last try failed; what was typed stays
	spots  []spot   // what can be clicked, as it was drawn last
	submit func() tea.Cmd
}

// typed makes a field for a text.
func typed(label, placeholder string, limit int) field {
	in := textinput.New()
	in.Prompt = ""
	in.Placeholder = placeholder
	in.CharLimit = limit
	in.SetVirtualCursor(false)
	in.KeyMap.Paste.SetEnabled(false) // it would read the clipboard of the machine that Kartotek runs on
	return field{label: label, input: &in}
}

// dress gives an input the theme's styles: its own would not follow the
// terminal's background.
func (t *theme) dress(in *textinput.Model) {
	styles := in.Styles()
	styles.Focused.Placeholder, styles.Blurred.Placeholder = t.off, t.off
	styles.Focused.Text, styles.Blurred.Text = t.text, t.text
	in.SetStyles(styles)
}

// choice makes a field for one of several options.
func choice(label string, picked int, options ...string) field {
	return field{label: label, options: options, picked: picked}
}

func (f *form) value(i int) string { return strings.TrimSpace(f.fields[i].input.Value()) }

// openForm shows a form with the first field (or the buttons) ready.
func (sh *shell) openForm(f *form) tea.Cmd {
	f.sh = sh
	f.refocus(0)
	return sh.open(f)
}

func (f *form) refocus(to int) {
	n := len(f.fields) + 1
	if f.direct && n > 1 {
		n-- // no buttons to stop at
	}
	f.focus = (to + n) % n
	for i := range f.fields {
		if in := f.fields[i].input; in != nil {
			if i == f.focus {
				in.Focus() // the command it returns is for a drawn cursor; ours is the terminal's
			} else {
				in.Blur()
			}
		}
	}
}

func (f *form) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		return f.key(msg)
	case tea.PasteMsg:
		return f.feed(msg)
	}
	return nil
}

// feed gives a message to the field that is typed into.
func (f *form) feed(msg tea.Msg) tea.Cmd {
	if f.busy || f.focus >= len(f.fields) || f.fields[f.focus].input == nil {
		return nil
	}
	in, cmd := f.fields[f.focus].input.Update(msg)
	*f.fields[f.focus].input = in
	return cmd
}

func (f *form) key(msg tea.KeyPressMsg) tea.Cmd {
	onButtons := f.focus == len(f.fields)
	switch key := msg.String(); key {
	case "esc":
		f.sh.close(f)
		return nil
	case "tab", "down":
		f.refocus(f.focus + 1)
		return nil
	case "shift+tab", "up":
		f.refocus(f.focus - 1)
		return nil
	case "enter":
		return f.enter(onButtons)
	case "left", "right", "h", "l", "space":
		step := 1
		if key == "left" || key == "h" {
			step = -1
		}
		if onButtons {
			f.button = (f.button + step + len(f.labels)) % len(f.labels)
			return nil
		}
		if c := &f.fields[f.focus]; c.input == nil && (key != "h" && key != "l" || !c.jump(key)) {
			c.picked = (c.picked + step + len(c.options)) % len(c.options)
			return nil
		}
	default:
		if !onButtons && f.fields[f.focus].input == nil {
			f.fields[f.focus].jump(key)
			return nil
		}
	}
	return f.feed(msg)
}

// jump goes to the next option that begins with a letter, if there is one.
func (fd *field) jump(letter string) bool {
	for i := range fd.options {
		j := (fd.picked + 1 + i) % len(fd.options)
		if strings.HasPrefix(strings.ToLower(fd.options[j]), letter) {
			fd.picked = j
			return true
		}
	}
	return false
}

func (f *form) enter(onButtons bool) tea.Cmd {
	switch {
	case f.busy:
		return nil
	case onButtons && f.button == 0:
		f.sh.close(f)
		return nil
	case !onButtons && !f.direct:
		f.refocus(f.focus + 1)
		return nil
	}
	f.fault = ""
	return f.submit()
}

// wait marks the form as submitted, with the command that does it.
func (f *form) wait(cmd tea.Cmd) tea.Cmd {
	f.busy, f.fault = true, ""
	return cmd
}

// end takes the reply: on an error the form stays, with all that was typed.
func (f *form) end(err error) bool {
	f.busy = false
	if err != nil {
		f.fault = reason(err)
		return false
	}
	f.sh.close(f)
	return true
}

func (f *form) draw(w, h int) drawn {
	t := f.sh.theme
	f.spots = f.spots[:0]
	inner := min(w-8, 70)
	edge := t.accent
	if f.danger {
		edge = t.bad
	}
	lines := []string{""}
	if f.body != nil {
		lines = append(append(lines, f.body(inner)...), "")
		lines = squeeze(lines, h-2-len(f.fields)-5) // 5: a fault's two lines, the buttons, and room about them
	}
	var cursor *tea.Position
	label := 0
	for _, fd := range f.fields {
		label = max(label, ansi.StringWidth(fd.label))
	}
	for i, fd := range f.fields {
		if i == f.focus && fd.input != nil && !f.busy {
			fd.input.SetWidth(inner - label - 3)
			if c := fd.input.Cursor(); c != nil {
				cursor = &tea.Position{X: 3 + label + 2 + c.X, Y: 1 + len(lines)}
			}
		}
		lines = append(lines, f.drawField(i, label, inner, boxTop+len(lines)))
	}
	if f.fault != "" {
		lines = append(lines, "")
		for i, l := range wrap(f.fault, inner-2) {
			mark := "  "
			if i == 0 {
				mark = "✗ "
			}
			lines = append(lines, t.bad.Render(mark+l))
		}
	}
	if lines[len(lines)-1] != "" {
		lines = append(lines, "")
	}
	lines = append(lines, f.foot(inner, boxTop+len(lines)))
	d := boxed(t, edge, f.title, lines, inner, w, h)
	d.cursor, d.spots = cursor, f.spots
	return d
}

// squeeze makes lines fit in n: blank ones go first, then those at the end.
func squeeze(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	return lines[:max(0, min(len(lines), n))]
}

// spot makes n cells of a line clickable, from the x-th of the box's text on.
func (f *form) spot(x, n, y int, do func() tea.Cmd) {
	f.spots = append(f.spots, spot{boxLeft + x, boxLeft + x + n, y, func() tea.Cmd {
		if f.busy {
			return nil
		}
		return do()
	}})
}

// pick chooses an option of a field.
func (f *form) pick(i, option int) tea.Cmd {
	f.refocus(i)
	f.fields[i].picked = option
	return nil
}

func (f *form) drawField(i, label, w, y int) string {
	t, fd := f.sh.theme, f.fields[i]
	name := t.dim
	if i == f.focus {
		name = t.accentBold
	}
	head := name.Render(fit(fd.label, label)) + "  "
	room := w - label - 2
	if fd.input != nil {
		fd.input.SetWidth(room - 1)
		t.dress(fd.input)
		f.spot(0, w, y, func() tea.Cmd { f.refocus(i); return nil })
		return head + fd.input.View()
	}
	var all []string
	for j, o := range fd.options {
		switch {
		case j == fd.picked && i == f.focus:
			all = append(all, t.accentBold.Render("● "+clean(o)))
		case j == fd.picked:
			all = append(all, t.text.Render("● "+clean(o)))
		default:
			all = append(all, t.dim.Render("○ "+clean(o)))
		}
	}
	if line := strings.Join(all, "  "); lipgloss.Width(line) <= room {
		x := label + 2
		for j := range all {
			n := lipgloss.Width(all[j])
			f.spot(x, n, y, func() tea.Cmd { return f.pick(i, j) })
			x += n + 2
		}
		return head + line
	}
	n := len(fd.options)
	f.spot(label+2, 2, y, func() tea.Cmd { return f.pick(i, (fd.picked+n-1)%n) })
	f.spot(label+4, w-label-4, y, func() tea.Cmd { return f.pick(i, (fd.picked+1)%n) })
	count := " " + number(int64(fd.picked+1)) + " of " + number(int64(len(fd.options)))
	style := t.text
	if i == f.focus {
		style = t.accentBold
	}
	option := clean(fd.options[fd.picked])
	return head + t.dim.Render("‹ ") + style.Render(fit(option, min(ansi.StringWidth(option), room-4-len(count)))) + t.dim.Render(" ›"+count)
}

// foot is the row of buttons, or what to press where there are none.
func (f *form) foot(w, y int) string {
	t := f.sh.theme
	switch {
	case f.busy && (f.sh.line.lost || f.sh.line.slow):
		return t.warn.Render("◔ ") + t.dim.Render(fit("The store does not answer yet. esc leaves; ! tells how it ended.", w-2))
	case f.busy:
		return t.dim.Render("One moment …")
	}
	leave := func() tea.Cmd { f.sh.close(f); return nil }
	if f.direct {
		word := "⏎ " + f.labels[len(f.labels)-1]
		f.spot(0, lipgloss.Width(word), y, func() tea.Cmd { f.fault = ""; return f.submit() })
		f.spot(lipgloss.Width(word)+3, len("esc back"), y, leave)
		return t.dim.Render(word + "   esc back")
	}
	var row []string
	for i, l := range f.labels {
		style, mark := t.button, "  "
		if i == f.button {
			mark = "▸ "
			switch {
			case f.focus < len(f.fields):
				style = t.button.Bold(true)
			case f.danger && i > 0:
				style = t.danger
			default:
				style = t.picked
			}
		}
		l = mark + l
		row = append(row, style.Render(l))
	}
	line := strings.Join(row, " ")
	hint := "⏎ next   esc back"
	switch {
	case f.focus == len(f.fields):
		hint = "← → choose   ⏎ do it   esc back"
	case f.fields[f.focus].input == nil && len(f.fields[f.focus].options) > 1:
		hint = "← → change   " + hint
	}
	if lenCells(hint)+2 > w-lipgloss.Width(line) {
		hint = ""
	}
	x := w - lipgloss.Width(line)
	for i := range row {
		n := lipgloss.Width(row[i])
		f.spot(x, n, y, func() tea.Cmd {
			f.button = i
			f.refocus(len(f.fields))
			return f.enter(true)
		})
		x += n + 1
	}
	return t.dim.Render(hint) + spaces(w-lenCells(hint)-lipgloss.Width(line)) + line
}
