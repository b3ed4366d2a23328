// Smalllist is the smallest list that Bubble Tea shows how to make (list-simple
// among its examples), with as many rows as the console's and addresses in
// them: the baseline of what holding a key costs.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"charm.land/bubbles/v2/list"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

type row int

func (row) FilterValue() string { return "" }

// address is a row's text, as long as the samples' addresses are.
func (r row) address() string {
	names := []string{"nils.be********.***@example.dk", "i***@exam***.com", "bjoern.********.***@example.se", "k.******@kartotek.example"}
	return names[int(r)%len(names)]
}

var (
	itemStyle     = lipgloss.NewStyle().PaddingLeft(4)
	selectedStyle = lipgloss.NewStyle().PaddingLeft(2).Foreground(lipgloss.Color("170"))
)

// line draws a row on one line, the one under the cursor in colour.
type line struct{}

func (line) Height() int                         { return 1 }
func (line) Spacing() int                        { return 0 }
func (line) Update(tea.Msg, *list.Model) tea.Cmd { return nil }

func (line) Render(w io.Writer, m list.Model, i int, item list.Item) {
	r, _ := item.(row)
	text := fmt.Sprintf("%d. %s", r, r.address())
	if i == m.Index() {
		fmt.Fprint(w, selectedStyle.Render("> "+text))
		return
	}
	fmt.Fprint(w, itemStyle.Render(text))
}

type model struct{ list list.Model }

func (m model) Init() tea.Cmd { return nil }

func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.list.SetSize(msg.Width, msg.Height-1)
	case tea.KeyPressMsg:
		if msg.String() == "q" {
			return m, tea.Quit
		}
	}
	var cmd tea.Cmd
	m.list, cmd = m.list.Update(msg)
	return m, cmd
}

func (m model) View() tea.View {
	v := tea.NewView(m.list.View())
	v.AltScreen = true
	return v
}

func main() {
	n := flag.Int("n", 1_000_000, "rows")
	flag.Parse()
	items := make([]list.Item, *n)
	for i := range items {
		items[i] = row(i + 1)
	}
	l := list.New(items, line{}, 80, 24)
	l.SetFilteringEnabled(false)
	if _, err := tea.NewProgram(model{l}).Run(); err != nil {
		fmt.Fprintln(os.Stderr, "smalllist:", err)
		os.Exit(1)
	}
}
