package tui

import (
	"context"
	"errors"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// mood is how a message is meant: it picks the symbol and the colour.
type mood int

const (
	info mood = iota
	done
	warning
	failed
)

func (m mood) draw(t *theme) (string, lipgloss.Style) {
	switch m {
	case done:
		return "✓ ", t.good
	case warning:
		return "! ", t.warn
	case failed:
		return "✗ ", t.bad
	default:
		return "· ", t.dim
	}
}

// note is a message of the status line.
type note struct {
	at   time.Time
	mood mood
	text string
}

// keptNotes is how many messages the history holds.
const keptNotes = 200

// notes is the status line's message on show, and those before it.
type notes struct {
	all   []note
	shown bool
	n     int // counts messages, so that a late fade does not end a newer one
}

// say puts a message on the status line for as long as it takes to read it
// twice: texts come from outside at times, so they are cleaned.
func (sh *shell) say(m mood, text string) tea.Cmd {
	text = clean(strings.TrimSpace(text))
	n := &sh.notes
	n.all = append(n.all, note{sh.now(), m, text})
	if len(n.all) > keptNotes {
		n.all = n.all[len(n.all)-keptNotes:]
	}
	n.shown = true
	n.n++
	stay := 4*time.Second + time.Duration(len(text))*80*time.Millisecond
	if m == failed {
		stay *= 2
	}
	return sh.after(min(stay, 30*time.Second), fadeMsg{n.n})
}

// fail says an error.
func (sh *shell) fail(err error) tea.Cmd { return sh.say(failed, reason(err)) }

// reason is an error in one line for the screen.
func reason(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "the store did not answer in time"
	case errors.Is(err, context.Canceled):
		return "stopped"
	default:
		return clean(err.Error())
	}
}

func (n *notes) fade(id int) {
	if n.n == id {
		n.shown = false
	}
}

// line is the state of the connection to the store.
type line struct {
	lost  bool
	slow  bool // the last question for the counters waits for long
	tries int
	until time.Time // of the next try
	n     int       // counts tries over all, so that an old retry is dropped
}

// gone notes that the store does not answer, and tries again after a pause
// that grows from one second to half a minute. What is on show stays.
func (l *line) gone(sh *shell, err error) tea.Cmd {
	l.slow = false
	if l.lost && sh.now().Before(l.until) {
		return nil // another question of the same round
	}
	var told tea.Cmd
	if !l.lost {
		l.lost, l.tries = true, 0
		told = sh.say(failed, "store lost, trying again: "+reason(err))
	}
	pause := min(time.Second<<min(l.tries, 5), 30*time.Second)
	l.tries++
	l.n++
	l.until = sh.now().Add(pause)
	return tea.Batch(told, sh.after(pause, retryMsg{l.n}))
}

// retry asks again, when its time has come and no later try was set.
func (l *line) retry(sh *shell, m retryMsg) tea.Cmd {
	if !l.lost || m.n != l.n {
		return nil
	}
	l.until = time.Time{}
	return sh.ping()
}

// back notes an answer; after a loss every screen fetches what it missed.
func (l *line) back(sh *shell) tea.Cmd {
	l.slow = false
	if !l.lost {
		return nil
	}
	*l = line{n: l.n + 1}
	return tea.Batch(sh.say(done, "the store answers again"), sh.refresh())
}

// draw is the connection for the frame.
func (l *line) draw(t *theme) (string, lipgloss.Style) {
	if l.lost {
		return "✗ store lost, trying again", t.bad
	}
	if l.slow {
		return "◔ waiting for the store", t.warn
	}
	return "● connected", t.good
}
