package tui

import (
	"context"
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"kartotek/flows"
)

// How often the counters, and the screens that want it, look for what other
// consoles and the web pages have changed: seldom where nobody has done anything
// for a while, because a team leaves many consoles open.
const (
	pollEvery = 3 * time.Second
	pollRest  = 15 * time.Second
	restsFrom = time.Minute
)

// slowAfter is how long a question for the counters may wait before the frame
// says so.
const slowAfter = 1500 * time.Millisecond

// shell is what all screens share: the way to the desk, the theme, the status
// line, the overlays, and what the frame shows.
type shell struct {
	Options
	ctx   context.Context
	calls *calls
	theme *theme
	notes notes
	line  line
	work  *work // what is under way, or nil
	acts  *box
	own   *box
	nacts int
	slip  slip // what can be taken back

	dark    bool  // the terminal's background is
	chosen  *bool // the user's word on that, which outweighs it
	profile colorprofile.Profile

	counts  flows.Counts
	counted bool
	lists   []flows.List

	overlays []overlay
	tabs     []tab
	tab      int

	rested string // what the tab line had no room for: the status line tells it when it rests

	w, h    int
	touched time.Time     // when a key was pressed last
	rest    time.Duration // before the preview follows a cursor that moves fast
	now     func() time.Time
	zone    *time.Location
	after   func(time.Duration, tea.Msg) tea.Cmd // a message later on
}

// The messages that the shell sends to itself.
type (
	pollMsg  struct{}
	retryMsg struct{ n int }
	fadeMsg  struct{ n int }
	slowMsg  struct{ seq uint64 }
	tickMsg  struct{ w *work }
)

func newShell(ctx context.Context, o Options) *shell {
	sh := &shell{
		Options: o, ctx: ctx, calls: &calls{}, acts: newBox(), own: newBox(),
		dark: true, profile: colorprofile.TrueColor, now: time.Now, zone: time.Local, rest: restAfter,
	}
	sh.after = func(d time.Duration, m tea.Msg) tea.Cmd {
		return func() tea.Msg {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return m
			case <-ctx.Done(): // nothing is left behind by a console that ends
				return nil
			}
		}
	}
	sh.touched = sh.now()
	sh.theme = newTheme(sh.dark, sh.profile)
	for _, r := range registry {
		if (r.when == nil || r.when(o)) && o.Desk.Why(o.Actor, r.act, flows.Card{}) == "" {
			sh.tabs = append(sh.tabs, tab{stack: []screen{r.make(sh)}})
		}
	}
	return sh
}

// screenless is why a console can't open: none of its screens is for the role.
func (sh *shell) screenless() error {
	return fmt.Errorf("the console has no screen for the role %s: use the commands", sh.Actor.Role)
}

// actSlot makes a slot of its own for each act, so that none goes stale.
func (sh *shell) actSlot(name string) string {
	sh.nacts++
	return name + " " + strconv.Itoa(sh.nacts)
}

// ping asks for the counters: they fill the frame, and the answer tells how
// the connection is.
func (sh *shell) ping() tea.Cmd {
	ask := read(sh, sh.own, "counts", func(ctx context.Context) (flows.Counts, error) { return sh.Desk.Counts(ctx, sh.Actor) }, func(c flows.Counts, err error) tea.Cmd {
		if err != nil {
			return nil
		}
		sh.counts, sh.counted = c, true
		return nil
	})
	return tea.Batch(ask, sh.after(slowAfter, slowMsg{sh.own.seq["counts"]}))
}

// late notes that the store lets a question for the counters wait. It may
// answer yet: until the question's time is over nothing is lost.
func (sh *shell) late(m slowMsg) {
	if sh.own.busy("counts") && sh.own.seq["counts"] == m.seq && !sh.line.lost {
		sh.line.slow = true
	}
}

// contacts is how many contacts can be browsed: tombstones can't.
func (sh *shell) contacts() int64 {
	return sh.counts.Contacts() - sh.counts.ByPermission[flows.Deleted]
}

// fetchLists keeps the lists at hand for filters and overlays.
func (sh *shell) fetchLists() tea.Cmd {
	if sh.Desk.Why(sh.Actor, "browse", flows.Card{}) != "" {
		return nil
	}
	return read(sh, sh.own, "lists", func(ctx context.Context) ([]flows.List, error) { return sh.Desk.Lists(ctx, sh.Actor) }, func(l []flows.List, err error) tea.Cmd {
		if err == nil {
			sh.lists = l
		}
		return nil
	})
}

// poll looks for news, unless the store is lost: then only the line retries.
func (sh *shell) poll() tea.Cmd {
	pause := pollEvery
	if sh.now().Sub(sh.touched) > restsFrom {
		pause = pollRest
	}
	again := sh.after(pause, pollMsg{})
	if sh.line.lost {
		return again
	}
	cmds := []tea.Cmd{again}
	if !sh.own.busy("counts") {
		cmds = append(cmds, sh.ping())
	}
	for i, t := range sh.tabs {
		cmds = append(cmds, t.top().poll(i == sh.tab))
	}
	return tea.Batch(cmds...)
}

// refresh fetches anew what the screens show.
func (sh *shell) refresh() tea.Cmd {
	cmds := []tea.Cmd{sh.ping(), sh.fetchLists()}
	for _, t := range sh.tabs {
		for _, s := range t.stack {
			cmds = append(cmds, s.refresh())
		}
	}
	return tea.Batch(cmds...)
}

// screen is the one on show.
func (sh *shell) screen() screen { return sh.tabs[sh.tab].top() }

// push shows a screen above the one on show.
func (sh *shell) push(s screen) tea.Cmd {
	t := &sh.tabs[sh.tab]
	t.stack = append(t.stack, s)
	return s.enter()
}

// back leaves the screen on show for the one under it.
func (sh *shell) back() tea.Cmd {
	t := &sh.tabs[sh.tab]
	if len(t.stack) == 1 {
		return nil
	}
	t.top().leave()
	t.stack = t.stack[:len(t.stack)-1]
	return t.top().enter()
}

// swap puts another screen in the place of the one on show.
func (sh *shell) swap(s screen) tea.Cmd {
	t := &sh.tabs[sh.tab]
	t.top().leave()
	t.stack[len(t.stack)-1] = s
	return s.enter()
}

// show turns to a tab.
func (sh *shell) show(i int) tea.Cmd {
	if i < 0 || i >= len(sh.tabs) || i == sh.tab {
		return nil
	}
	sh.tab = i
	return sh.screen().enter()
}

// patch tells every screen what has become of a card.
func (sh *shell) patch(c flows.Card) tea.Cmd {
	var cmds []tea.Cmd
	for _, t := range sh.tabs {
		for _, s := range t.stack {
			cmds = append(cmds, s.patch(c))
		}
	}
	return tea.Batch(cmds...)
}

// open and close put an overlay on top, and take it off.
func (sh *shell) open(o overlay) tea.Cmd {
	sh.overlays = append(sh.overlays, o)
	return nil
}

func (sh *shell) close(o overlay) {
	for i, x := range sh.overlays {
		if x == o {
			sh.overlays = append(sh.overlays[:i:i], sh.overlays[i+1:]...)
			return
		}
	}
}

func (sh *shell) overlay() overlay {
	if len(sh.overlays) == 0 {
		return nil
	}
	return sh.overlays[len(sh.overlays)-1]
}
