package tui

import (
	"context"
	"errors"
	"io"
	"sync"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
)

// Size is that of a terminal, in characters.
type Size struct{ Cols, Rows int }

// Terminal is one at the far end of a connection. Nothing is asked of the
// machine that the program runs on.
type Terminal struct {
	In      io.Reader
	Out     io.Writer
	Environ []string // TERM and what else tells how it shows colours
	Size    Size
	Sizes   <-chan Size // what it changes to
	Active  func()      // called for everything that the user does
}

// most bounds a terminal: a client may claim any size, and a screen is memory.
var most = Size{Cols: 500, Rows: 200}

func (s Size) bounded() Size {
	return Size{Cols: max(0, min(s.Cols, most.Cols)), Rows: max(0, min(s.Rows, most.Rows))}
}

// feed reads what the user does, until the terminal's input ends. The program
// itself is given an input on which nothing comes: its own reader would wait
// for ever to hand over what comes in the moment that the program ends.
func (t Terminal) feed(ctx context.Context, p *tea.Program) {
	events := make(chan uv.Event)
	go func() {
		defer close(events)
		// An input that fails has ended, which the session sees as well.
		_ = uv.NewTerminalReader(t.In, uv.Environ(t.Environ).Getenv("TERM")).StreamEvents(ctx, events)
	}()
	go func() {
		for e := range events {
			p.Send(e) // returns at once when the program has ended
		}
	}()
}

// RunOn is Run on a terminal at the far end of a connection.
func RunOn(ctx context.Context, o Options, t Terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := New(ctx, o)
	if len(m.sh.tabs) == 0 {
		return m.sh.screenless()
	}
	size := t.Size.bounded()
	quiet, done := io.Pipe()
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(quiet), tea.WithOutput(t.Out), tea.WithEnvironment(t.Environ),
		tea.WithColorProfile(colorprofile.Env(t.Environ)), tea.WithWindowSize(size.Cols, size.Rows), tea.WithoutSignalHandler(),
		tea.WithFilter(func(_ tea.Model, msg tea.Msg) tea.Msg {
			switch msg.(type) {
			case tea.KeyPressMsg, tea.PasteMsg, tea.MouseMsg:
				t.Active()
			case tea.SuspendMsg:
				return tea.ResumeMsg{} // there is no shell to fall back to
			}
			return msg
		}))
	var sizes sync.WaitGroup
	sizes.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-t.Sizes:
				s = s.bounded()
				p.Send(tea.WindowSizeMsg{Width: s.Cols, Height: s.Rows})
			}
		}
	})
	t.feed(ctx, p)
	_, err := p.Run()
	_ = done.Close() // a pipe's end never fails to close
	cancel()
	sizes.Wait()
	m.sh.calls.close()
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
