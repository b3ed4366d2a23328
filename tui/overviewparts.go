package tui

import (
	"cmp"
	"slices"
	"strconv"

	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// What the overview looks back on, and how many lists it names.
const (
	backDays   = 30
	namedLists = 6
)

// overview puts the panels in one, two or three columns.
func (v view) overview(o flows.Overview) []string {
	type panel = func(flows.Overview, int) []string
	const gap = 4
	var split [][]panel
	switch {
	case v.w >= threeBeside:
		split = [][]panel{{v.people, v.onLists}, {v.confirmations, v.rights, v.requests}, {v.mail, v.limits}}
	case v.w >= twoBeside:
		split = [][]panel{{v.people, v.onLists, v.limits, v.requests}, {v.confirmations, v.rights, v.mail, v.used}}
	default:
		split = [][]panel{{v.people, v.confirmations, v.requests, v.mail, v.limits, v.rights, v.onLists, v.used}}
	}
	w := (v.w - 4 - gap*(len(split)-1)) / len(split)
	columns := make([][]string, len(split))
	for i, part := range split {
		for _, p := range part {
			lines := p(o, w)
			if len(columns[i]) > 0 {
				columns[i] = append(columns[i], "")
			}
			columns[i] = append(columns[i], lines...)
		}
	}
	out := append([]string{""}, v.indent(columnsOf(w, gap, columns...))...)
	if v.w >= threeBeside {
		out = append(out, v.usedByWeek(o)...)
	}
	return out
}

// figures is a row of a panel: a name, how it went, and numbers.
type figures struct {
	name    string
	style   lipgloss.Style
	went    []int64
	numbers []string
}

// leastSpark is the fewest cells that a sparkline tells something in.
const leastSpark = 4

// uncut is the longest of the permissions: these names are never cut for a
// sparkline.
const uncut = 14

// table writes rows under a title and the heads of their columns, w cells
// wide. What names and numbers leave is for the sparklines.
func (v view) table(title string, heads []string, rows []figures, w int) []string {
	t := v.sh.theme
	widths, label := make([]int, len(heads)), w
	for i, h := range heads {
		widths[i] = lenCells(h)
		for _, r := range rows {
			widths[i] = max(widths[i], lenCells(r.numbers[i]))
		}
		label -= widths[i] + 2
	}
	name, kept := 0, 0
	for _, r := range rows {
		name = max(name, lenCells(r.name))
		if len(r.went) > 0 {
			kept = leastSpark + 1
		}
	}
	if narrow := max(label-kept, min(label, uncut)); label-narrow > leastSpark {
		name = min(name, narrow)
	}
	name = max(1, min(name, label))
	head := v.title(title, label)
	for i, h := range heads {
		head += t.dim.Render("  " + fitRight(h, widths[i]))
	}
	out := []string{fit(head, w)}
	for _, r := range rows {
		line := r.style.Render(fit(r.name, name))
		if room := label - name; room > leastSpark {
			line += t.accent.Render(" " + fit(spark(r.went, room-1), room-1))
		} else {
			line += spaces(room)
		}
		for i, n := range r.numbers {
			style := t.text
			if n == "0" || n == "–" {
				style = t.dim
			}
			line += style.Render("  " + fitRight(n, widths[i]))
		}
		out = append(out, fit(line, w))
	}
	return out
}

// change writes how a number has moved.
func change(from, to int64) string {
	switch d := to - from; {
	case d > 0:
		return "+" + number(d)
	case d < 0:
		return "−" + number(-d)
	default:
		return "0"
	}
}

// level is the history of one counter, and how it went since the first day.
func level(days []flows.DayNumbers, of func(flows.DayNumbers) int64) []int64 {
	days = days[max(0, len(days)-backDays-1):]
	out := make([]int64, len(days))
	for i, d := range days {
		out[i] = of(d)
	}
	return out
}

// people are the contacts by permission.
func (v view) people(o flows.Overview, w int) []string {
	var rows []figures
	for _, p := range []flows.Permission{flows.Confirmed, flows.Pending, flows.Unsubscribed, flows.Deleted} {
		word, style := v.sh.theme.permission(p)
		rows = append(rows, v.levelRow(word, style, o.ByPermission[p], level(o.Days, func(d flows.DayNumbers) int64 { return d.ByPermission[p] })))
	}
	return v.table("Contacts", []string{"now", "30 d"}, rows, w)
}

// onLists are the largest lists.
func (v view) onLists(o flows.Overview, w int) []string {
	lists := slices.SortedStableFunc(slices.Values(o.Lists), func(a, b flows.List) int { return cmp.Compare(b.Subscribed, a.Subscribed) })
	var rows []figures
	for _, l := range lists[:min(len(lists), namedLists)] {
		rows = append(rows, v.levelRow(clean(l.Name), v.sh.theme.text, l.Subscribed, level(o.Days, func(d flows.DayNumbers) int64 { return d.Subscribed[l.Name] })))
	}
	out := v.table("Subscribed to", []string{"now", "30 d"}, rows, w)
	if more := len(lists) - namedLists; more > 0 {
		out = append(out, v.sh.theme.dim.Render("and "+plural(int64(more), "list more", "lists more")))
	}
	return out
}

func (v view) levelRow(name string, style lipgloss.Style, now int64, days []int64) figures {
	moved := "–"
	if len(days) > 1 {
		moved = change(days[0], now)
	}
	return figures{name, style, days, []string{number(now), moved}}
}

// flowed is a row of what happened in the last day, week and month.
func (v view) flowed(o flows.Overview, name string, of func(flows.DayNumbers) int64) figures {
	row := figures{name: name, style: v.sh.theme.dim}
	for _, back := range []int{1, 7, backDays} {
		n := int64(0)
		for _, d := range o.Days[max(0, len(o.Days)-back):] {
			n += of(d)
		}
		row.numbers = append(row.numbers, number(n))
	}
	return row
}

var lately = []string{"today", "7 d", "30 d"}

func (v view) confirmations(o flows.Overview, w int) []string {
	share := figures{name: "share given", style: v.sh.theme.dim}
	for _, back := range []int{1, 7, backDays} {
		word := "–"
		if part, ok := o.Conversion(back); ok {
			word = strconv.Itoa(int(100*part+0.5)) + " %"
		}
		share.numbers = append(share.numbers, word)
	}
	return v.table("Confirmations", lately, []figures{
		v.flowed(o, "asked", func(d flows.DayNumbers) int64 { return d.Asked }),
		v.flowed(o, "given", func(d flows.DayNumbers) int64 { return d.Given }),
		share,
	}, w)
}

func (v view) rights(o flows.Overview, w int) []string {
	return v.table("Gone and back", lately, []figures{
		v.flowed(o, "erased", func(d flows.DayNumbers) int64 { return d.Erased }),
		v.flowed(o, "resubscribed", func(d flows.DayNumbers) int64 { return d.Resubscribed }),
	}, w)
}

func (v view) mail(o flows.Overview, w int) []string {
	t := v.sh.theme
	out := v.table("Mail", lately, []figures{
		v.flowed(o, "delivered", func(d flows.DayNumbers) int64 { return d.Delivered }),
		v.flowed(o, "deferred", func(d flows.DayNumbers) int64 { return d.Deferred }),
		v.flowed(o, "refused", func(d flows.DayNumbers) int64 { return d.Refused }),
	}, w)
	return append(out, fit(t.dim.Render("now waiting ")+t.text.Render(number(o.LettersOpen))+t.dim.Render(", held ")+t.text.Render(number(o.LettersHeld)), w))
}

// requests says how long there is left to answer those who asked.
func (v view) requests(o flows.Overview, w int) []string {
	t := v.sh.theme
	out := v.table("Requests", []string{"open", "due in 7 d", "late"}, []figures{
		{name: "to answer", style: t.dim, numbers: []string{number(o.Requests.Open), number(o.Requests.Week), number(o.Requests.Late)}},
	}, w)
	if o.Requests.Next == nil {
		return out
	}
	line, style := "the next is to be answered "+ago(*o.Requests.Next, v.now), t.dim
	if o.Requests.Late > 0 {
		line, style = "! the month has been over for "+span(v.now.Sub(*o.Requests.Next)), t.warn
	}
	return append(out, style.Render(fit(line, w)))
}

// limits says what goes by itself soon: sign-ups that nobody confirms, and the
// evidence of erased people.
func (v view) limits(o flows.Overview, w int) []string {
	row := func(name string, e flows.Ends, more string) figures {
		f := figures{name: name, style: v.sh.theme.dim}
		for _, n := range []int64{e.Day, e.Week, e.Month} {
			f.numbers = append(f.numbers, number(n)+more)
		}
		return f
	}
	more := ""
	if o.AndMore {
		more = "+"
	}
	return v.table("Goes by itself in", []string{"24 h", "7 d", "30 d"}, []figures{
		row("unconfirmed", o.Forgotten, more), row("evidence", o.Evidence, ""),
	}, w)
}

// used are the opens and clicks of everybody, by week.
func (v view) used(o flows.Overview, w int) []string {
	opens, clicks := make([]int64, len(o.Weeks)), make([]int64, len(o.Weeks))
	for i, n := range o.Weeks {
		opens[i], clicks[i] = n.Opens, n.Clicks
	}
	row := func(name string, values []int64) figures {
		this, before := "0", "0"
		if n := len(values); n > 1 {
			this, before = number(values[n-1]), number(values[n-2])
		}
		return figures{name, v.sh.theme.dim, values, []string{before, this}}
	}
	return v.table("Behaviour", []string{"last week", "this week"}, []figures{row("opens", opens), row("clicks", clicks)}, w)
}

// usedByWeek is the same in full, where there is room.
func (v view) usedByWeek(o flows.Overview) []string {
	weeks := make([]flows.Week, len(o.Weeks))
	for i, n := range o.Weeks {
		weeks[i] = n.Week
	}
	chart := v.byWeek(weeks)
	if chart == nil {
		return nil
	}
	return append([]string{""}, v.indent(append([]string{v.title("Behaviour", v.w-4)}, chart...))...)
}
