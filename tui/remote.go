package tui

import (
	"context"
	"errors"
	"io"
	"sync"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
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

// RunOn is Run on a terminal at the far end of a connection.
func RunOn(ctx context.Context, o Options, t Terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := New(ctx, o)
	if len(m.sh.tabs) == 0 {
		return m.sh.screenless()
	}
	size := t.Size.bounded()
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(t.In), tea.WithOutput(t.Out), tea.WithEnvironment(t.Environ),
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
	_, err := p.Run()
	cancel()
	sizes.Wait()
	m.sh.calls.close()
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
