package tui

import (
	"context"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// requestPage is how many requests are fetched at once.
const requestPage = 200

// requests is the screen of what people have asked for, and of the bulk exports
// that wait for a second person. It begins with what is open, the most urgent
// first.
type requests struct {
	base
	all    []flows.Request
	loaded bool
	state  string // that the list is narrowed to; "" is all
	list   cursor
	grid   *grid[flows.Request]
}

// requestStates are those that the list can be narrowed to.
var requestStates = []string{"open", "approved", "done", "refused", ""}

func newRequests(sh *shell) screen {
	return &requests{base: newBase(sh), state: "open", grid: newRequestGrid(sh)}
}

func (r *requests) name() string { return "Requests" }

func (r *requests) badge() (int64, bool) { return r.sh.counts.Requests, true }

func (r *requests) place() string {
	if len(r.all) == 0 {
		return ""
	}
	return number(int64(r.list.cur+1)) + " of " + number(int64(len(r.all))) + " " + r.state
}

func (r *requests) enter() tea.Cmd { return r.refresh() }

func (r *requests) poll(shown bool) tea.Cmd {
	if !shown || r.box.busy("page") {
		return nil
	}
	return r.refresh()
}

// refresh fetches the list. The cursor stays on its request.
func (r *requests) refresh() tea.Cmd {
	state := r.state
	return read(r.sh, r.box, "page", func(ctx context.Context) ([]flows.Request, error) {
		return r.sh.Desk.Requests(ctx, r.sh.Actor, state, 0, requestPage)
	}, func(all []flows.Request, err error) tea.Cmd {
		if err != nil {
			if fault(err) {
				return nil
			}
			return r.sh.fail(err)
		}
		if now, ok := r.here(); ok {
			if at := slices.IndexFunc(all, func(x flows.Request) bool { return x.ID == now.ID }); at >= 0 {
				r.list.cur = at
			}
		}
		r.all, r.loaded = all, true
		r.grid.forget()
		r.list.show(len(all), r.list.rows)
		return nil
	})
}

// here is the request under the cursor.
func (r *requests) here() (flows.Request, bool) {
	if r.list.cur >= len(r.all) {
		return flows.Request{}, false
	}
	return r.all[r.list.cur], true
}

func (r *requests) wheel(n int) tea.Cmd { return r.list.step(n) }

func (r *requests) click(_, y int) tea.Cmd {
	if r.list.click(y, 1) {
		return r.show()
	}
	return nil
}

// requestState is a state as a symbol and a word; what is late stands out.
func requestState(k ink, r *flows.Request) (string, lipgloss.Style) {
	switch r.State {
	case "open":
		if r.Due.Before(k.now) {
			return "▲ late", k.bad
		}
		return "◔ open", k.warn
	case "approved":
		return "▸ approved", k.accent
	case "done":
		return "● done", k.good
	case "refused":
		return "✕ refused", k.dim
	}
	return "? " + clean(r.State), k.dim
}

func newRequestGrid(sh *shell) *grid[flows.Request] {
	return newGrid(sh, "No", func(r *flows.Request) int64 { return r.ID }, []column[flows.Request]{
		{title: "State", rank: 0, min: 10, want: 10, cell: requestState},
		{title: "Kind", rank: 0, min: 11, want: 11, cell: func(k ink, r *flows.Request) (string, lipgloss.Style) { return clean(r.Kind), k.text }},
		{title: "Due", rank: 0, min: 10, want: 10, right: true, cell: cellDue},
		{title: "About", rank: 1, min: 14, want: 26, cell: func(k ink, r *flows.Request) (string, lipgloss.Style) { return about(*r), k.text }},
		{title: "By", rank: 2, min: 8, want: 12, cell: func(k ink, r *flows.Request) (string, lipgloss.Style) { return clean(r.By), k.dim }},
		{title: "Received", rank: 4, min: 10, want: 10, right: true, cell: func(k ink, r *flows.Request) (string, lipgloss.Style) { return ago(r.Received, k.now), k.dim }},
		{title: "Note", rank: 3, min: 12, want: 30, rest: true, cell: func(k ink, r *flows.Request) (string, lipgloss.Style) { return clean(r.Note), k.dim }},
	})
}

func cellDue(k ink, r *flows.Request) (string, lipgloss.Style) {
	switch {
	case r.Closed != nil:
		return "", k.dim
	case r.Due.Before(k.now):
		return ago(r.Due, k.now), k.bad
	case r.Due.Sub(k.now) < 7*24*time.Hour:
		return ago(r.Due, k.now), k.warn
	}
	return ago(r.Due, k.now), k.dim
}

// about is whom or what a request is about.
func about(r flows.Request) string {
	switch {
	case r.Export != nil:
		return clean(r.Export.What)
	case r.SubscriberID != nil:
		return "#" + strconv.FormatInt(*r.SubscriberID, 10)
	}
	return ""
}

func (r *requests) draw(w, h int) []string {
	r.list.show(len(r.all), h-1)
	out := r.grid.draw(w, h, r.list.top, r.list.cur, func(i int) (*flows.Request, bool) {
		if i < 0 || i >= len(r.all) {
			return nil, false
		}
		return &r.all[i], true
	})
	if len(r.all) == 0 {
		for i, line := range r.sh.dimmed(r.nothing(), w-4) {
			out[min(2+i, len(out)-1)] = "  " + line
		}
	}
	return out
}

func (r *requests) nothing() string {
	switch {
	case r.loaded && r.state == "open":
		return "Nothing waits for an answer. f shows what is done; n writes down what a person asked for."
	case r.loaded && r.state != "":
		return "No request is " + r.state + ". F shows what is open."
	case r.loaded:
		return "Nobody has asked for anything yet. n writes down what a person asked for."
	case r.sh.line.lost:
		return "The store does not answer."
	}
	return "Fetching the requests …"
}
