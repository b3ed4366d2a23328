package tui

import (
	"context"
	"errors"
	"io"
	"strconv"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// Model is the console's root: the only tea.Model. It hands messages to the
// overlay on top, or to the screen on show, and draws the frame around them.
type Model struct{ sh *shell }

// New makes the console. Nothing is asked of the desk before Init.
func New(ctx context.Context, o Options) *Model { return &Model{sh: newShell(ctx, o)} }

// Run shows the console on a terminal until the user quits or ctx ends, and
// returns when no call to the desk is left.
func Run(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	return New(ctx, o).run(ctx, cancel, in, out)
}

// framesPerSecond is how often what has changed is drawn: at the usual 60 a key
// press might wait 17 ms for its frame.
const framesPerSecond = 120

func (m *Model) run(ctx context.Context, cancel context.CancelFunc, in io.Reader, out io.Writer, more ...tea.ProgramOption) error {
	if len(m.sh.tabs) == 0 {
		return m.sh.screenless()
	}
	options := append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithFPS(framesPerSecond)}, more...)
	_, err := tea.NewProgram(m, options...).Run()
	cancel()
	m.sh.calls.close()
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Init asks for the terminal's background and for what the first screen shows.
func (m *Model) Init() tea.Cmd {
	sh := m.sh
	if sh.Word != "" { // the history keeps it for later
		sh.say(warning, sh.Word)
		sh.notes.shown = false
	}
	return tea.Batch(tea.RequestBackgroundColor, sh.screen().enter(), sh.ping(), sh.fetchLists(), sh.after(pollEvery, pollMsg{}))
}

// Update hands a message on. It never waits for anything.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	sh := m.sh
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		sh.w, sh.h = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		sh.dark = msg.IsDark()
		sh.dress()
	case tea.ColorProfileMsg:
		sh.profile = msg.Profile
		sh.dress()
	case reply:
		return m, sh.receive(msg)
	case pollMsg:
		return m, sh.poll()
	case retryMsg:
		return m, sh.line.retry(sh, msg)
	case hideMsg:
		sh.close(msg.p)
	case slowMsg:
		sh.late(msg)
	case fadeMsg:
		sh.notes.fade(msg.n)
	case slipMsg:
		if sh.slip.until.Equal(msg.until) {
			sh.slip = slip{}
		}
	case restMsg:
		msg.p.rested(msg)
	case tickMsg:
		return m, sh.tick(msg)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tea.PasteMsg:
		if o := sh.overlay(); o != nil && sh.w >= leastCols && sh.h >= leastRows {
			return m, o.update(msg)
		}
	case tea.MouseWheelMsg:
		return m, m.wheel(msg)
	case tea.MouseClickMsg:
		return m, m.click(msg)
	}
	return m, nil
}

// key goes to the overlay on top; else to the screen's table, then to the
// table that holds everywhere.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	sh := m.sh
	sh.touched = sh.now()
	key := msg.String()
	if key == "ctrl+c" {
		return sh.quit()
	}
	if sh.w < leastCols || sh.h < leastRows { // what can't be seen must not be done
		if key == "q" && sh.overlay() == nil {
			return sh.quit()
		}
		return nil
	}
	if o := sh.overlay(); o != nil {
		return o.update(msg)
	}
	return sh.dispatch(key, sh.screen().actions(), sh.everywhere())
}

// everywhere is the table of the keys that every screen has.
func (sh *shell) everywhere() []action {
	table := []action{
		{Key: "U", Label: "undo unsubscribe", Quiet: sh.whyUndo() != "", Why: sh.whyUndo, Do: sh.undo},
		{Key: "/", Label: "search", Why: func() string { return sh.Desk.Why(sh.Actor, "find", flows.Card{}) }, Do: sh.search},
		{Key: ": ctrl+p", Label: "palette", Quiet: true, Do: sh.palette},
		{Key: "tab", Label: "next screen", Quiet: true, Do: func() tea.Cmd { return sh.show((sh.tab + 1) % len(sh.tabs)) }},
		{Key: "shift+tab", Label: "screen before", Quiet: true, Do: func() tea.Cmd { return sh.show((sh.tab + len(sh.tabs) - 1) % len(sh.tabs)) }},
		{Key: "1", Label: "first screen, 2 the second …", Quiet: true, Do: func() tea.Cmd { return sh.show(0) }},
		{Key: "ctrl+r", Label: "fetch anew", Quiet: true, Do: sh.refresh},
		{Key: "!", Label: "messages so far", Quiet: true, Do: sh.history},
		{Key: "esc", Label: "back", Quiet: true, Do: sh.escape},
		{Key: "?", Label: "keys", Do: sh.help},
		{Key: "q", Label: "quit", Do: sh.quit},
	}
	for i := range sh.tabs[1:] {
		table = append(table, action{Key: strconv.Itoa(i + 2), Quiet: true, Do: func() tea.Cmd { return sh.show(i + 1) }})
	}
	return table
}

// escape goes back, in the end to the first screen; where there is nothing to
// go back to, it asks whether to stop what is under way.
func (sh *shell) escape() tea.Cmd {
	if len(sh.tabs[sh.tab].stack) > 1 {
		return sh.back()
	}
	if sh.work != nil {
		return sh.askStop()
	}
	sh.notes.shown = false
	return sh.show(0)
}

// quit ends the console; while something is under way it asks first, and a
// second ctrl+c there is an answer.
func (sh *shell) quit() tea.Cmd {
	if sh.work == nil {
		return tea.Quit
	}
	if f, ok := sh.overlay().(*form); ok && f.quits {
		return tea.Quit
	}
	return sh.askQuit()
}

func (m *Model) wheel(msg tea.MouseWheelMsg) tea.Cmd {
	m.sh.touched = m.sh.now()
	rows := 3
	switch msg.Button {
	case tea.MouseWheelUp:
		rows = -3
	case tea.MouseWheelDown:
	default:
		return nil
	}
	if o := m.sh.overlay(); o != nil {
		return o.update(wheelMsg(rows))
	}
	return m.sh.screen().wheel(rows)
}

func (m *Model) click(msg tea.MouseClickMsg) tea.Cmd {
	sh := m.sh
	sh.touched = sh.now()
	if msg.Button != tea.MouseLeft || sh.w < leastCols || sh.h < leastRows {
		return nil
	}
	if o := sh.overlay(); o != nil {
		d := o.draw(sh.w, sh.h)
		if _, typing := o.(*form); !typing && d.outside(msg.X, msg.Y) {
			sh.close(o)
			return nil
		}
		return d.click(msg.X, msg.Y)
	}
	if msg.Y == sh.h-1 {
		_, spots := sh.helpWords()
		return drawn{spots: spots}.click(msg.X, 0)
	}
	if msg.Y == 0 {
		for i, span := range sh.tabSpans() {
			if msg.X >= span.from && msg.X < span.to {
				return sh.show(i)
			}
		}
		return nil
	}
	if y := msg.Y - headRows; y >= 0 && y < sh.bodyRows() {
		return sh.screen().click(msg.X, y)
	}
	return nil
}

// View draws the frame, the screen in it, and the overlay over both.
func (m *Model) View() tea.View {
	sh := m.sh
	v := tea.NewView("")
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = "Kartotek"
	switch {
	case sh.w <= 0 || sh.h <= 0:
		return v // no size yet: over SSH that happens
	case sh.w < leastCols || sh.h < leastRows:
		v.Content = sh.tooSmall()
		return v
	}
	if sh.work != nil {
		v.ProgressBar = tea.NewProgressBar(tea.ProgressBarDefault, int(100*sh.work.part()))
	}
	content := sh.frame()
	if o := sh.overlay(); o != nil {
		d := o.draw(sh.w, sh.h)
		if d.unhand {
			v.MouseMode = tea.MouseModeNone
		}
		content = lipgloss.NewCompositor(
			lipgloss.NewLayer(sh.faded(content)),
			lipgloss.NewLayer(d.text).X(d.x).Y(d.y).Z(1),
		).Render()
		if d.cursor != nil {
			v.Cursor = tea.NewCursor(d.x+d.cursor.X, d.y+d.cursor.Y)
		}
	}
	v.Content = content
	return v
}
