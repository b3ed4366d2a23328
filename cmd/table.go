package cmd

import (
	"bytes"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// table lines up what is written with tabs between the cells of a line, by the
// cells of the terminal that a text takes: text/tabwriter counts characters,
// of which East Asian ones take two cells. A line without a tab ends a table.
type table struct {
	w    io.Writer
	text bytes.Buffer
}

func newTable(w io.Writer) *table { return &table{w: w} }

func (t *table) Write(p []byte) (int, error) { return t.text.Write(p) }

// flush writes what was lined up.
func (t *table) flush() {
	var rows [][]string
	for line := range strings.Lines(t.text.String()) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) > 1 {
			rows = append(rows, cells)
			continue
		}
		t.writeRows(rows)
		rows = nil
		_, _ = io.WriteString(t.w, line) // as all that is printed: there is nobody left to tell
	}
	t.writeRows(rows)
	t.text.Reset()
}

func (t *table) writeRows(rows [][]string) {
	var widths []int
	for _, cells := range rows {
		for i, c := range cells[:len(cells)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(c)+2)
		}
	}
	for _, cells := range rows {
		last := len(cells) - 1
		for i, c := range cells[:last] {
			_, _ = io.WriteString(t.w, c+strings.Repeat(" ", widths[i]-ansi.StringWidth(c)))
		}
		_, _ = io.WriteString(t.w, cells[last]+"\n")
	}
}
