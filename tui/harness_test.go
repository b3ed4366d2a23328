package tui

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"kartotek/flows"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// console drives a Model in process: keys go in, commands run at once (or are
// held back), and the screen is what an emulated terminal makes of it.
type console struct {
	t    *testing.T
	m    *Model
	desk *fakeDesk
	w, h int
	held []tea.Cmd // commands not run yet, when hold is set
	hold bool
	wait []tea.Msg // messages that timers will send
	quit bool
}

func start(t *testing.T, d *fakeDesk, w, h int) *console {
	t.Helper()
	return startWith(t, Options{Desk: d, Actor: flows.Actor{Name: "anna", Role: flows.Owner, From: "console"}, Store: "SQLite kartotek.db", Route: "capture", WebURL: "http://127.0.0.1:8425", Config: "/home/anna/.config/kartotek/config.toml", Settings: []Setting{{"web", "127.0.0.1:8425"}, {"public-url", ""}}}, d, w, h)
}

func startWith(t *testing.T, o Options, d *fakeDesk, w, h int) *console {
	t.Helper()
	c := &console{t: t, m: New(context.Background(), o), desk: d, w: w, h: h}
	c.m.sh.now = func() time.Time { return today }
	c.m.sh.zone = time.UTC
	c.m.sh.rest = 0 // the clock stands still
	c.m.sh.after = func(_ time.Duration, m tea.Msg) tea.Cmd {
		c.wait = append(c.wait, m)
		return nil
	}
	c.send(tea.WindowSizeMsg{Width: w, Height: h})
	c.run(c.m.Init())
	return c
}

func (c *console) send(msg tea.Msg) {
	c.t.Helper()
	_, cmd := c.m.Update(msg)
	c.run(cmd)
	c.m.View()
}

// run runs a command and all that follows from it, unless they are held.
func (c *console) run(cmd tea.Cmd) {
	c.t.Helper()
	if cmd == nil {
		return
	}
	if c.hold {
		c.held = append(c.held, cmd)
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, next := range msg {
			c.run(next)
		}
	case tea.QuitMsg:
		c.quit = true
	default:
		c.send(msg)
	}
}

// release runs what was held.
func (c *console) release() {
	c.t.Helper()
	c.hold = false
	held := c.held
	c.held = nil
	for _, cmd := range held {
		c.run(cmd)
	}
}

// later lets every timer fire that is set now.
func (c *console) later() {
	c.t.Helper()
	wait := c.wait
	c.wait = nil
	for _, m := range wait {
		c.send(m)
	}
}

var specialKeys = map[string]rune{
	"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft,
	"right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace,
}

// keys presses keys by name; anything else is typed letter by letter.
func (c *console) keys(names ...string) *console {
	c.t.Helper()
	for _, name := range names {
		if code, ok := specialKeys[name]; ok {
			c.send(tea.KeyPressMsg{Code: code})
			continue
		}
		if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
			c.send(tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl})
			continue
		}
		for _, r := range name {
			c.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
	return c
}

// screen is the text that an emulated terminal shows.
func (c *console) screen() string {
	c.t.Helper()
	term := vt.NewEmulator(c.w, c.h)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buf := make([]byte, 256)
		for {
			if _, err := term.Read(buf); err != nil {
				return
			}
		}
	}()
	content := c.m.View().Content
	if n := strings.Count(content, "\n") + 1; n > c.h {
		c.t.Errorf("the view has %d lines on a screen of %d", n, c.h)
	}
	for i, l := range strings.Split(content, "\n") {
		if n := lipgloss.Width(l); n > c.w {
			c.t.Errorf("line %d is %d cells wide on a screen of %d: %q", i, n, c.w, ansi.Strip(l))
		}
	}
	if _, err := term.WriteString(strings.ReplaceAll(content, "\n", "\r\n")); err != nil {
		c.t.Fatal(err)
	}
	text := term.String()
	if p, ok := term.InputPipe().(interface{ Close() error }); ok {
		p.Close()
	}
	<-drained
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

func (c *console) wants(texts ...string) *console {
	c.t.Helper()
	got := c.screen()
	for _, want := range texts {
		if !strings.Contains(got, want) {
			c.t.Fatalf("the screen does not show %q:\n%s", want, got)
		}
	}
	return c
}

func (c *console) lacks(texts ...string) *console {
	c.t.Helper()
	got := c.screen()
	for _, bad := range texts {
		if strings.Contains(got, bad) {
			c.t.Fatalf("the screen shows %q:\n%s", bad, got)
		}
	}
	return c
}
