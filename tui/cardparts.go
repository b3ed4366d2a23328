package tui

import (
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"kartotek/flows"
)

// pair is a name and its value.
type pair struct{ name, value string }

// highest is how many lines of one value a card shows.
const highest = 6

// section writes a title with a rule, and facts under it, w cells wide.
func (v view) section(title string, w int, facts []pair) []string {
	return append([]string{v.title(title, w)}, pairs(v.sh.theme, w, facts)...)
}

// pairs writes names and their values, w cells wide.
func pairs(t *theme, w int, facts []pair) []string {
	var lines []string
	label := 0
	for _, p := range facts {
		label = max(label, lenCells(p.name))
	}
	label = min(label, w/2)
	for _, p := range facts {
		value := p.value
		if value == "" {
			value = "–"
		}
		wrapped := foldAddress(value, w-label-2)
		if len(wrapped) > highest {
			wrapped = append(wrapped[:highest-1], fit("… (the export holds all of it)", max(1, w-label-2)))
		}
		for i, l := range wrapped {
			name := p.name
			if i > 0 {
				name = ""
			}
			lines = append(lines, t.dim.Render(fit(name, label))+"  "+l)
		}
	}
	return lines
}

func (v view) title(title string, w int) string {
	t := v.sh.theme
	return t.accentBold.Render(title) + " " + t.faint.Render(strings.Repeat("─", max(0, w-lenCells(title)-1)))
}

// The widths from which the parts of a card stand beside one another.
const (
	twoBeside   = 70
	threeBeside = 116
)

// parts are the three parts of the card: what is obligatory, the company's own
// fields, and behaviour.
func (v view) parts(d flows.Details) []string {
	first := func(w int) []string {
		name := strings.TrimSpace(clean(d.FirstName) + " " + clean(d.LastName))
		return v.section("Obligatory", w, []pair{{"email", text(d.EmailMasked)}, {"mobile", text(d.MobileMasked)}, {"name", name}, {"language", clean(d.Language)}})
	}
	second := func(w int) []string {
		if len(d.Own) == 0 {
			return []string{v.title("Own fields", w), v.sh.theme.dim.Render("none")}
		}
		var own []pair
		for _, f := range d.Own {
			own = append(own, pair{clean(f.Name), clean(f.Value)})
		}
		return v.section("Own fields", w, own)
	}
	third := func(w int) []string { return v.section("Behaviour", w, v.behaviour(d)) }
	switch {
	case v.w >= threeBeside:
		w := (v.w - 4 - 8) / 3
		return v.indent(columnsOf(w, 4, first(w), second(w), third(v.w-4-8-2*w)))
	case v.w >= twoBeside:
		w := (v.w - 4 - 4) / 2
		lines := columnsOf(w, 4, first(w), second(v.w-4-4-w))
		lines = append(append(lines, "", v.title("Behaviour", v.w-4)), v.behaviourBeside(d, w)...)
		return v.indent(lines)
	default:
		w := v.w - 4
		return v.indent(append(append(append(append(first(w), ""), second(w)...), ""), third(w)...))
	}
}

func (v view) behaviour(d flows.Details) []pair {
	return []pair{
		{"rating", text(d.Rating)},
		{"source", text(d.Source)},
		{"position", clean(d.Position)},
		{"opens", number(d.Opens)},
		{"clicks", number(d.Clicks)},
		{"updates", number(d.Updates)},
		{"first seen", v.stamp(d.SignedUp)},
		{"last seen", v.when(d.LastActivity)},
	}
}

// behaviourBeside writes behaviour in two columns, for a narrow screen.
func (v view) behaviourBeside(d flows.Details, w int) []string {
	p := v.behaviour(d)
	left := []pair{p[0], p[1], p[2], p[6]}
	right := []pair{p[3], p[4], p[5], p[7]}
	return columnsOf(w, 4, pairs(v.sh.theme, w, left), pairs(v.sh.theme, w, right))
}

// stamp is when an act was done.
func (v view) stamp(s *flows.Stamp) string {
	if s == nil {
		return ""
	}
	return v.when(&s.At)
}

// when is a time, exact and relative.
func (v view) when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.In(v.sh.zone).Format("2 Jan 2006") + " (" + ago(*t, v.now) + ")"
}

// columnsOf puts blocks of lines beside one another, w cells each.
func columnsOf(w, gap int, blocks ...[]string) []string {
	high := 0
	for _, b := range blocks {
		high = max(high, len(b))
	}
	out := make([]string, high)
	for i := range out {
		for j, b := range blocks {
			cell := ""
			if i < len(b) {
				cell = b[i]
			}
			if j < len(blocks)-1 {
				cell += spaces(w + gap - lipgloss.Width(cell))
			}
			out[i] += cell
		}
	}
	return out
}

func (v view) indent(lines []string) []string {
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// lists are the memberships, those left among them.
func (v view) lists(c flows.Card) []string {
	t := v.sh.theme
	out := []string{v.title("Lists", v.w-4)}
	if len(c.Lists) == 0 {
		return v.indent(append(out, t.dim.Render("on no list")))
	}
	wide := 0
	for _, l := range c.Lists {
		wide = max(wide, lenCells(clean(l.List)))
	}
	wide = min(wide, v.w-52)
	for _, l := range c.Lists {
		mark, style := t.membership(l.Status)
		out = append(out, fit(clean(l.List), wide)+"  "+style.Render(fit(mark+clean(l.Status), 14))+"  "+t.dim.Render("since "+v.when(&l.Since)))
	}
	return v.indent(out)
}

// tombstone says what an erased contact's card keeps, and what not, and why.
func (v view) tombstone(d flows.Details) []string {
	var kept []pair
	for _, a := range []struct {
		name string
		act  *flows.Stamp
	}{{"signed up", d.SignedUp}, {"confirmed", d.Card.Confirmed}, {"erased", d.Deleted}} {
		value := "not known"
		if a.act != nil {
			value = exact(a.act.At, v.sh.zone)
			if a.act.IP != nil {
				value += "  from " + text(a.act.IP)
			}
			if a.act.By != "" {
				value += "  by " + clean(a.act.By)
			}
		}
		kept = append(kept, pair{a.name, value})
	}
	out := v.section("What is kept", v.w-4, kept)
	out = append(out, "", v.title("What is not, and why", v.w-4))
	out = append(out, v.sh.dimmed("Address, mobile, name, own fields, lists, source, rating and behaviour are gone for good: that is what erasing means (GDPR art. 17). The times above and the sealed evidence stay, because they alone answer a complaint about mail that was sent before.", v.w-4)...)
	return v.indent(out)
}

// kindCells is the room of an act's kind, and of its time, in the time line.
const kindCells = 22

// timeline is the evidence, the latest act last, as it happened.
func (v view) timeline(d flows.Details) []string {
	t := v.sh.theme
	out := []string{v.title("Evidence", v.w-4)}
	if len(d.Timeline) == 0 {
		return v.indent(append(out, t.dim.Render("none is kept")))
	}
	closed := 0
	for _, e := range d.Timeline {
		if e.Closed {
			closed++
		}
	}
	allClosed := closed == len(d.Timeline)
	if allClosed {
		out = append(out, v.sh.dimmed("The rest is sealed: it opens only to a search by the full address.", v.w-4)...)
	}
	for i, e := range d.Timeline {
		rail := "│"
		if i == len(d.Timeline)-1 {
			rail = " "
		}
		when := fit(exact(e.At, v.sh.zone), kindCells) + "  " + ago(e.At, v.now)
		room := min(kindCells, v.w-4-3-lenCells(when)-2)
		out = append(out, t.accent.Render("●")+"  "+t.bold.Render(fit(clean(e.Kind), room))+"  "+t.dim.Render(when))
		if e.Closed && allClosed {
			continue
		}
		for _, l := range v.evidence(e) {
			out = append(out, t.faint.Render(rail)+"  "+l)
		}
	}
	return v.indent(out)
}

// evidence is what one act left, or that it is sealed.
func (v view) evidence(e flows.Event) []string {
	t := v.sh.theme
	if e.Closed {
		return []string{t.dim.Render("sealed: opens only to a search by the full address")}
	}
	var facts, out []string
	if e.List != "" {
		facts = append(facts, "list "+clean(e.List))
	}
	if e.IP != "" {
		facts = append(facts, "from "+clean(e.IP))
	}
	if e.By != "" {
		facts = append(facts, "by "+clean(e.By))
	}
	if e.Agent != "" {
		facts = append(facts, clean(e.Agent))
	}
	if len(facts) > 0 {
		out = append(out, wrap(strings.Join(facts, " · "), v.w-8)...)
	}
	if e.Note != "" {
		out = append(out, wrap("note: "+e.Note, v.w-8)...)
	}
	if e.Notice != "" {
		for i, l := range wrap("“"+strings.TrimSpace(e.Notice)+"”", v.w-16) {
			label := "        "
			if i == 0 {
				label = "notice  "
			}
			out = append(out, t.dim.Render(label)+l)
		}
	}
	return out
}
