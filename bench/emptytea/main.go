// Emptytea is the least that a Bubble Tea program can be: what the start of
// the console is measured against.
package main

import (
	"fmt"
	"os"

	tea "charm.land/bubbletea/v2"
)

type empty struct{}

func (empty) Init() tea.Cmd { return nil }

func (m empty) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, key := msg.(tea.KeyPressMsg); key {
		return m, tea.Quit
	}
	return m, nil
}

func (empty) View() tea.View {
	v := tea.NewView("***")
	v.AltScreen = true
	return v
}

func main() {
	if _, err := tea.NewProgram(empty{}).Run(); err != nil {
		fmt.Fprintln(os.Stderr, "emptytea:", err)
		os.Exit(1)
	}
}
