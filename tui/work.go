package tui

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// tickEvery is how often the progress of what is under way is drawn.
const tickEvery = 200 * time.Millisecond

// work is something that takes long: it goes on while screens change, shows
// how far it is, and can be stopped.
type work struct {
	what     string // "Importing people.csv"
	noun     string // "import"
	unit     string // what it goes through: "rows"
	rest     string // what becomes of what is not done when it is stopped
	began    time.Time
	progress atomic.Pointer[flows.ImportProgress]
	stop     context.CancelFunc
	stopping bool
	again    func(fault string) tea.Cmd // asks anew when it did not even begin
}

// mayImport is the reason why nothing can be imported now, or "".
func (sh *shell) mayImport() string {
	if why := sh.Desk.Why(sh.Actor, "import", flows.Card{}); why != "" {
		return why
	}
	return sh.idle()
}

// mayReadFile is the reason why no file can be imported now, or "".
func (sh *shell) mayReadFile() string {
	if sh.Remote {
		return "over SSH a file comes by the command: ssh HOST import - --list L < FILE"
	}
	return sh.mayImport()
}

// idle is the reason why nothing else that takes long can begin.
func (sh *shell) idle() string {
	if sh.work != nil {
		return "the " + sh.work.noun + " is still under way"
	}
	return ""
}

// begin starts an import, or what goes like one.
func (sh *shell) begin(noun, what string, call func(context.Context, func(flows.ImportProgress)) (flows.ImportResult, error)) tea.Cmd {
	w := &work{what: what, noun: noun, unit: "rows", rest: "It can simply be run again: what is there already is left as it is."}
	return begin(sh, w, call, func(r flows.ImportResult, err error) tea.Cmd { return sh.ended(w, r, err) })
}

// begin starts something that takes long. When it has ended, all screens fetch
// anew what they show.
func begin[T any](sh *shell, w *work, call func(context.Context, func(flows.ImportProgress)) (T, error), ended func(T, error) tea.Cmd) tea.Cmd {
	ctx, stop := context.WithCancel(sh.ctx)
	w.began, w.stop = sh.now(), stop
	w.progress.Store(&flows.ImportProgress{})
	sh.work = w
	run := ask(sh, question{box: sh.acts, slot: sh.actSlot(w.noun), act: true, stop: ctx}, func(ctx context.Context) (T, error) {
		return call(ctx, func(p flows.ImportProgress) { w.progress.Store(&p) })
	}, func(r T, err error) tea.Cmd {
		stop()
		sh.work = nil
		return tea.Batch(ended(r, err), sh.refresh())
	})
	return tea.Batch(run, sh.after(tickEvery, tickMsg{w}))
}

// tick draws the progress anew as long as the work goes on.
func (sh *shell) tick(m tickMsg) tea.Cmd {
	if sh.work != m.w {
		return nil
	}
	return sh.after(tickEvery, m)
}

// ended tells how the work went.
func (sh *shell) ended(w *work, r flows.ImportResult, err error) tea.Cmd {
	sums := number(r.Read) + " read: " + number(r.Added) + " added, " + number(r.Updated) + " updated, " + number(r.Unchanged) +
		" unchanged, " + number(r.Refused) + " refused, " + number(r.Invalid) + " invalid"
	switch {
	case w.stopping && (err == nil || errors.Is(err, context.Canceled)):
		return sh.say(warning, "the "+w.noun+" was stopped; what is done stays. "+sums)
	case err != nil:
		if w.again != nil && r.Read == 0 {
			return w.again(reason(err))
		}
		return tea.Batch(sh.fail(err), sh.result(r, reason(err)))
	case w.noun == "sample":
		return sh.say(done, plural(r.Added, "sample contact", "sample contacts")+" loaded")
	}
	verb := "imported; "
	if r.DryRun {
		verb = "tried out, nothing was changed; "
	}
	return tea.Batch(sh.say(done, verb+sums), sh.result(r, ""))
}

// result shows the sums of an import until it is closed.
func (sh *shell) result(r flows.ImportResult, fault string) tea.Cmd {
	title := "Imported"
	switch {
	case fault != "":
		title = "Ended early"
	case r.DryRun:
		title = "Tried out: nothing was changed"
	}
	return sh.open(&pager{sh: sh, title: title, plain: true, lines: func(width int) []string {
		t := sh.theme
		out := []string{""}
		if fault != "" {
			for _, l := range wrap(fault, width) {
				out = append(out, t.bad.Render(l))
			}
			out = append(out, "")
		}
		for _, row := range []struct {
			name string
			n    int64
			note string
		}{
			{"read", r.Read, ""},
			{"added", r.Added, ""},
			{"updated", r.Updated, ""},
			{"unchanged", r.Unchanged, ""},
			{"refused", r.Refused, "erased or withdrawn: they stay out"},
			{"invalid", r.Invalid, "no address, or not a valid one"},
		} {
			note := ""
			if row.n > 0 {
				note = row.note
			}
			out = append(out, t.dim.Render(fit(row.name, 10))+t.bold.Render(fitRight(number(row.n), 11))+"  "+t.dim.Render(note))
		}
		if r.Earlier > 0 {
			out = append(out, "", t.dim.Render("An earlier run had stopped after line "+number(r.Earlier)+"; this one went through the whole file."))
		}
		if r.Report != "" {
			out = append(out, "", t.dim.Render("The report, line numbers only:"))
			out = append(out, wrap(r.Report, width)...)
		}
		return out
	}})
}

// part is how much is done, from 0 to 1.
func (w *work) part() float64 {
	p := w.progress.Load()
	if p.Total <= 0 {
		return 0
	}
	return min(1, float64(p.Done)/float64(p.Total))
}

// draw is one line on what is under way: how far, how fast, how long still.
func (w *work) draw(sh *shell, room int) string {
	t := sh.theme
	p := *w.progress.Load()
	spent := sh.now().Sub(w.began)
	tail := ""
	if spent >= time.Second && p.Read > 0 {
		tail = number(int64(float64(p.Read)/spent.Seconds())) + " " + w.unit + "/s"
	}
	if part := w.part(); p.Step != "" {
		tail = t.dim.Render(number(p.Read) + " " + w.unit + ", " + p.Step)
	} else if p.Total > 0 {
		if part > 0.005 && spent >= time.Second {
			tail += "  " + clock(time.Duration(float64(spent)*(1-part)/part)) + " left"
		}
		tail = fitRight(number(int64(part*100)), 3) + " %  " + tail
		bar := max(8, min(30, room-lenCells(w.what)-lenCells(tail)-16))
		full := int(part * float64(bar))
		tail = t.accent.Render(strings.Repeat("━", full)) + t.faint.Render(strings.Repeat("━", bar-full)) + " " + t.dim.Render(tail)
	} else {
		tail = t.dim.Render(number(p.Read) + " " + w.unit + "  " + tail)
	}
	end := t.dim.Render("  esc stops")
	if w.stopping {
		end = t.dim.Render("  stopping …")
	}
	name := fit(w.what, max(8, min(lenCells(w.what), room-lipgloss.Width(tail)-lipgloss.Width(end)-4)))
	return t.accent.Render("⋯ ") + name + "  " + tail + end
}

// askStop asks whether to stop what is under way.
func (sh *shell) askStop() tea.Cmd {
	w := sh.work
	f := &form{title: "Stop the " + w.noun + "?", labels: []string{"No, go on", "Stop"}, body: func(width int) []string {
		return sh.dimmed("What is done stays. "+w.rest, width)
	}}
	f.submit = func() tea.Cmd {
		sh.close(f)
		w.stopping = true
		w.stop()
		return nil
	}
	return sh.openForm(f)
}

// askQuit asks whether to quit although something is under way.
func (sh *shell) askQuit() tea.Cmd {
	w := sh.work
	f := &form{title: "Quit?", quits: true, labels: []string{"No, go on", "Stop and quit"}, body: func(width int) []string {
		return sh.dimmed("The "+w.noun+" is still under way. What is done stays. "+w.rest, width)
	}}
	f.submit = func() tea.Cmd { return tea.Quit }
	return sh.openForm(f)
}

// sampleSize is how many contacts try things on.
const sampleSize = 2000

// sample loads made-up contacts into an empty store.
func (sh *shell) sample() tea.Cmd {
	return sh.begin("sample", "Loading sample contacts", func(ctx context.Context, tell func(flows.ImportProgress)) (flows.ImportResult, error) {
		return sh.Desk.Sample(ctx, sh.Actor, sampleSize, tell)
	})
}

// askImport asks for a file, the list that it is for, and what its rows are.
func (sh *shell) askImport() tea.Cmd {
	f := &form{title: "Import", labels: []string{"No", "Import"}, button: 1, fields: []field{
		typed("File", "people.csv, .xlsx or .jsonl, with a line of headings", 4096),
		typed("List", "its name; a new one is made", 200),
		choice("As", 0, "pending", "confirmed"),
		choice("Run", 0, "try out only", "for real"), // one Enter too many must not send mail
	}}
	f.body = func(w int) []string {
		if f.fields[2].picked == 0 {
			return sh.dimmed("Pending: everyone gets a confirmation mail, and is on the list once they click. Erased and withdrawn addresses are refused and counted.", w)
		}
		return sh.dimmed("Confirmed: consent was given elsewhere; the columns signed_up_at, signed_up_ip, confirmed_at and confirmed_ip are its evidence. Erased and withdrawn addresses are refused and counted.", w)
	}
	f.submit = func() tea.Cmd {
		path, list := f.value(0), f.value(1)
		switch {
		case path == "":
			f.fault = "name the file"
			f.refocus(0)
			return nil
		case list == "":
			f.fault = "name the list"
			f.refocus(1)
			return nil
		}
		o := flows.ImportOptions{List: list, Confirmed: f.fields[2].picked == 1, DryRun: f.fields[3].picked == 0}
		sh.close(f)
		cmd := sh.begin("import", "Importing "+clean(filepath.Base(path)), func(ctx context.Context, tell func(flows.ImportProgress)) (flows.ImportResult, error) {
			return sh.Desk.Import(ctx, sh.Actor, atHome(path), o, tell)
		})
		sh.work.again = func(fault string) tea.Cmd {
			f.fault = fault
			return sh.openForm(f)
		}
		return cmd
	}
	return sh.openForm(f)
}

// atHome writes a path that begins with ~ in full, as a shell would.
func atHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}
