package tui

import (
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"kartotek/flows"
)

// blocks are the eighths that a bar ends in.
var blocks = []rune("▁▂▃▄▅▆▇█")

// bars draws a column for each value, cell wide with a gap of one where there
// is room, on a scale from nothing to most, in rows lines. Nothing at all is a
// dot, and the least that is something the lowest block. The topmost eighth
// stays free, so that a chart below another doesn't grow into it.
func (t *theme) bars(values []int64, most int64, cell, rows int, style lipgloss.Style) []string {
	out := make([]string, rows)
	thick := max(1, cell-1)
	for row := range rows {
		var b strings.Builder
		for _, n := range values {
			full := 0 // eighths over all rows
			if n > 0 && most > 0 {
				full = max(1, int(float64(n)/float64(most)*float64(8*rows-1)+0.5))
			}
			here := min(8, full-8*(rows-1-row))
			switch {
			case full == 0 && row == rows-1:
				b.WriteString("·" + spaces(cell-1))
			case here <= 0:
				b.WriteString(spaces(cell))
			default:
				b.WriteString(strings.Repeat(string(blocks[here-1]), thick) + spaces(cell-thick))
			}
		}
		out[row] = style.Render(b.String())
	}
	return out
}

// spark draws how a level went, in at most w cells: between the least and the
// most that it was, since a level that is far from nothing moves little. The
// topmost eighth stays free, as in bars.
func spark(values []int64, w int) string {
	values = squeezed(values, w, func(part []int64) int64 { return part[len(part)-1] })
	if len(values) == 0 {
		return ""
	}
	low, high := slices.Min(values), slices.Max(values)
	var b strings.Builder
	for _, n := range values {
		i := 0
		if high > low {
			i = int(float64(n-low) / float64(high-low) * float64(len(blocks)-2))
		}
		b.WriteRune(blocks[i])
	}
	return b.String()
}

// squeezed makes at most w values of many, each out of a part of them.
func squeezed(values []int64, w int, one func([]int64) int64) []int64 {
	if len(values) <= w || w <= 0 {
		return values[:min(len(values), max(0, w))]
	}
	out := make([]int64, w)
	for i := range out {
		out[i] = one(values[i*len(values)/w : (i+1)*len(values)/w])
	}
	return out
}

func sum(values []int64) int64 {
	var n int64
	for _, v := range values {
		n += v
	}
	return n
}

// rated says why the card has its rating, over a chart of what it was rated by.
func (v view) rated(d flows.Details) []string {
	words := flows.ExplainRating(d, v.now)
	chart := v.byWeek(d.Weeks)
	if words == "" && len(chart) == 0 {
		return nil
	}
	out := append([]string{v.title("MailRating", v.w-4)}, wrap(words, v.w-4)...)
	if len(chart) > 0 {
		out = append(append(out, ""), chart...)
	}
	return v.indent(out)
}

// byWeek is the chart of opens and clicks, both on one scale so that they can
// be held against each other, with the numbers beside it; nil when there were
// none. A narrow screen has the latest weeks only.
func (v view) byWeek(weeks []flows.Week) []string {
	const label, least, most, tail = 7, 2, 3, "most a week"
	t := v.sh.theme
	opens, clicks := make([]int64, len(weeks)), make([]int64, len(weeks))
	for i, w := range weeks {
		opens[i], clicks[i] = max(0, w.Opens), max(0, w.Clicks)
	}
	if sum(opens)+sum(clicks) == 0 {
		return nil
	}
	all := max(len("all"), len(number(sum(opens))), len(number(sum(clicks))))
	room := v.w - 4 - label - 1 - all - 2 - len(tail)
	from := max(0, len(weeks)-max(1, room/least))
	weeks, opens, clicks = weeks[from:], opens[from:], clicks[from:]
	cell := max(least, min(most, room/len(weeks)))
	rows := 1
	if cell == most {
		rows = 2
	}
	tally := func(n []int64) string {
		return t.bold.Render(fitRight(number(sum(n)), all+1)) + t.dim.Render("  "+fitRight(number(slices.Max(n)), max(all, len("most"))))
	}
	top := slices.Max(append(slices.Clone(opens), clicks...))
	var out []string
	for _, s := range []struct {
		name   string
		values []int64
		style  lipgloss.Style
	}{{"opens", opens, t.accent}, {"clicks", clicks, t.good}} {
		lines := t.bars(s.values, top, cell, rows, s.style)
		for _, l := range lines[:rows-1] {
			if strings.TrimSpace(ansi.Strip(l)) != "" {
				out = append(out, spaces(label)+l)
			}
		}
		out = append(out, fit(t.dim.Render(fit(s.name, label))+lines[rows-1]+tally(s.values), v.w-4))
	}
	head := fitRight("all", all+1) + "  " + tail
	return append(out, fit(spaces(label)+t.dim.Render(axis(weeks, cell)+head), v.w-4))
}

// axis tells which weeks stand above it.
func axis(weeks []flows.Week, cell int) string {
	first, last := weeks[0].Start.Format("2 Jan 2006"), "this week"
	wide := len(weeks)*cell - 1
	if wide < len(first)+2+len(last) {
		first = ""
	}
	return fit(first, wide-len(last)) + last + " "
}
