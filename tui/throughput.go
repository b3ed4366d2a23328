package tui

import (
	"context"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// throughput is how many letters came to an end between one look at the
// counters and the next, as long as the console has been open.
type throughput struct {
	at    time.Time // of the last look
	done  int64     // delivered and refused until then, over the days that are counted
	rates []int64   // a minute, the latest last
}

// keptRates is a quarter of an hour at one look in three seconds.
const keptRates = 300

// look takes the counters as they are now.
func (p *throughput) look(o flows.OutboxStats, now time.Time) {
	var done int64
	for _, d := range o.Days {
		done += d.Delivered + d.Refused
	}
	if spent := now.Sub(p.at); !p.at.IsZero() && spent >= time.Second {
		more := max(0, done-p.done) // less: a day has left the count
		p.rates = append(p.rates, int64(float64(more)/spent.Minutes()+0.5))
		p.rates = p.rates[max(0, len(p.rates)-keptRates):]
	} else if !p.at.IsZero() {
		return // too soon to tell anything
	}
	p.at, p.done = now, done
}

// line is the engine at work, now and over the days.
func (p *throughput) line(sh *shell, days []flows.MailDay, w int) string {
	t := sh.theme
	byDay := make([]int64, len(days))
	for i, d := range days {
		byDay[i] = d.Delivered
	}
	now, most := int64(0), int64(0)
	if len(p.rates) > 0 {
		now, most = p.rates[len(p.rates)-1], slices.Max(p.rates)
	}
	sums := t.bold.Render(number(now)) + t.dim.Render(" a minute, most "+number(most))
	end := t.dim.Render("   by day ") + t.bars(byDay, max(1, slices.Max(append(byDay, 0))), 1, 1, t.good)[0] + " " + t.bold.Render(number(sum(byDay)))
	room := min(60, w-6-len("throughput  ")-lipgloss.Width(sums)-lipgloss.Width(end))
	if room < leastSpark {
		end, room = "", min(60, w-6-len("throughput  ")-lipgloss.Width(sums))
	}
	room = max(leastSpark, room)
	rates := squeezed(p.rates, room, slices.Max[[]int64])
	rates = append(make([]int64, max(0, room-len(rates))), rates...)
	return fit("  "+t.dim.Render("throughput ")+t.bars(rates, max(1, most), 1, 1, t.accent)[0]+" "+sums+end, w)
}

// askDestinations fetches how letters have fared by destination, and shows it.
func (o *outbox) askDestinations() tea.Cmd {
	o.hosts = nil
	o.byHost = &pager{sh: o.sh, title: "By destination", plain: true, lines: o.destinationLines}
	return tea.Batch(o.sh.open(o.byHost), o.fetchDestinations())
}

func (o *outbox) fetchDestinations() tea.Cmd {
	return read(o.sh, o.box, "destinations", func(ctx context.Context) ([]flows.Destination, error) {
		return o.sh.Desk.Destinations(ctx, o.sh.Actor)
	}, func(all []flows.Destination, err error) tea.Cmd {
		if err == nil {
			o.hosts = append([]flows.Destination{}, all...) // none is not nil: that is not known yet
		}
		return nil // the letters' own question tells the fault
	})
}

// destinationLines are the servers with how letters to them have fared, and
// what those said that don't take them.
func (o *outbox) destinationLines(w int) []string {
	t, now := o.sh.theme, o.sh.now()
	switch {
	case o.hosts == nil && o.sh.line.lost:
		return []string{t.dim.Render("The store does not answer.")}
	case o.hosts == nil:
		return []string{t.dim.Render("Counting …")}
	case len(o.hosts) == 0:
		return []string{t.dim.Render("No letter has been written yet.")}
	}
	heads := []string{"waiting", "deferred", "refused", "delivered"}
	name := w
	for _, h := range heads {
		name -= len(h) + 2
	}
	line := func(host string, style lipgloss.Style, cells func(i int) (string, lipgloss.Style)) string {
		out := style.Render(fit(host, name))
		for i, h := range heads {
			s, style := cells(i)
			out += style.Render(fitRight(s, len(h)+2))
		}
		return out
	}
	out := []string{line("Server", t.dim.Bold(true), func(i int) (string, lipgloss.Style) { return heads[i], t.dim.Bold(true) })}
	for _, d := range o.hosts {
		host := clean(d.Host)
		if host == "" {
			host = "(no server yet)"
		}
		numbers := []int64{d.Waiting, d.Deferred, d.Refused, d.Delivered}
		out = append(out, line(host, t.text, func(i int) (string, lipgloss.Style) {
			if numbers[i] == 0 {
				return "0", t.dim
			}
			return number(numbers[i]), t.bold
		}))
		if words := strings.TrimSpace(clean(d.Words)); words != "" {
			if d.Next != nil {
				words += " · next try " + ago(*d.Next, now)
			}
			for i, l := range fold(words, w-4) {
				out = append(out, t.warn.Render([]string{"  ! ", "    "}[min(i, 1)])+t.dim.Render(l))
			}
		}
	}
	return append(out, "", t.dim.Render("The latest 1,000 letters, and all that are deferred."))
}
