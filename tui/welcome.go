package tui

import (
	"charm.land/lipgloss/v2"
)

// welcome greets on an empty store, and says what to do.
func (sh *shell) welcome(w, h int) []string {
	t := sh.theme
	wide := min(w-8, 64)
	out := []string{t.accentBold.Render("Welcome to Kartotek"), ""}
	out = append(out, sh.dimmed("The card index of the people on your lists: who they are, what they agreed to, when and from where. It is empty still.", wide)...)
	out = append(out, "")
	if sh.work != nil {
		out = append(out, sh.dimmed("The first contacts are on their way: the line below tells how far they are. Look around meanwhile, it goes on by itself.", wide)...)
	} else {
		key := func(k, words string) string { return t.accentBold.Render(fit(k, 4)) + t.text.Render(words) }
		out = append(out,
			key("i", "import a file of contacts: CSV, Excel or JSON lines"), "",
			key("s", "load 2,000 sample contacts with history, to try things on"), "",
			key("?", "all keys of this screen"))
	}
	if sh.Word != "" {
		out = append(out, "")
		for _, l := range wrap(clean(sh.Word), wide) {
			out = append(out, t.warn.Render(l))
		}
	}
	lines := make([]string, max(0, (h-len(out))/3), h)
	left := spaces(max(2, (w-wide)/2))
	for _, l := range out {
		lines = append(lines, left+l+spaces(w-lipgloss.Width(left)-lipgloss.Width(l)))
	}
	return lines[:min(len(lines), h)]
}
