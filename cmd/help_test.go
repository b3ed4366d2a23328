package cmd

import (
	"bytes"
	"strings"
	"testing"

	"charm.land/fang/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
)

// TestHelpFitsTheTerminal: no page of help has a line that the terminal breaks,
// and a command's own page has its arguments.
func TestHelpFitsTheTerminal(t *testing.T) {
	t.Setenv("__FANG_TEST_WIDTH", "80")
	pages := [][]string{nil}
	walk((&app{}).root(), func(c *cobra.Command) {
		if c.HasParent() {
			pages = append(pages, strings.Fields(c.CommandPath())[1:])
		}
	})
	for _, page := range pages {
		var out bytes.Buffer
		root := (&app{out: &out, errOut: &out}).root()
		root.SetOut(&out)
		root.SetArgs(append(page, "--help"))
		fitHelp(root, 80)
		if err := fang.Execute(t.Context(), root); err != nil {
			t.Fatalf("%q: %v", page, err)
		}
		for line := range strings.Lines(out.String()) {
			if n := ansi.StringWidth(strings.TrimRight(line, " \n")); n > 80 {
				t.Errorf("%q: %d cells: %s", page, n, line)
			}
		}
		if strings.Join(page, " ") == "find" && !strings.Contains(out.String(), "kartotek find ADDRESS|+NUMBER|ID") {
			t.Errorf("find doesn't tell its arguments:\n%s", out.String())
		}
	}
}

func walk(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		walk(sub, do)
	}
}
