package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"

	"kartotek/flows"
)

// terminal is an emulated terminal that a whole program runs on.
type terminal struct {
	mu    sync.Mutex
	emu   *vt.Emulator
	wrote chan struct{}
}

// Write draws what the program writes. On what is no terminal of this system it
// counts on a line's end becoming a return as well, as an SSH session does it.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := t.emu.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")))
	select {
	case t.wrote <- struct{}{}:
	default:
	}
	return len(p), err
}

// until waits until the terminal shows a text.
func (t *terminal) until(tb testing.TB, text string) {
	tb.Helper()
	limit := time.After(5 * time.Minute)
	for {
		t.mu.Lock()
		shown := t.emu.String()
		t.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		select {
		case <-t.wrote:
		case <-limit:
			tb.Fatalf("the terminal never showed %q:\n%s", text, shown)
		}
	}
}

// TestRun runs the whole program on a terminal: it quits at a key and when its
// context ends, and no call to the desk outlives it.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(keys io.Writer, cancel func())
	}{
		{"by a key", func(keys io.Writer, _ func()) { io.WriteString(keys, "q") }},
		{"by its context", func(_ io.Writer, cancel func()) { cancel() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			term := &terminal{emu: vt.NewEmulator(80, 24), wrote: make(chan struct{}, 1)}
			in, keys := io.Pipe()
			var drain sync.WaitGroup
			drain.Go(func() { io.Copy(keys, term.emu) }) // the terminal's answers are input
			m := New(ctx, Options{Desk: few(), Actor: flows.Actor{Name: "anna", Role: flows.Owner}, Store: "SQLite kartotek.db", Route: "capture"})
			ended := make(chan error, 1)
			go func() { ended <- m.run(ctx, cancel, in, term, tea.WithWindowSize(80, 24)) }()
			term.until(t, "1 of 39")
			c.end(keys, cancel)
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
			if m.sh.calls.begin() {
				t.Error("calls can still begin")
			}
			if p, ok := term.emu.InputPipe().(io.Closer); ok {
				p.Close()
			}
			in.Close()
			drain.Wait()
		})
	}
}
