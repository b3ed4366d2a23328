package cmd

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	helpIndent = 4 // before a command or flag in a page of help
	helpGap    = 2 // behind it
	// helpWords is the least that words beside it get; with less they are not folded.
	helpWords = 30
	// helpShared is what commands and flags take at most on a page whose flags
	// stand on others as well.
	helpShared = 36
)

// fitHelp lets the pages of help fit a terminal of that many columns: commands
// are listed without their arguments where those leave too little room, and
// what stands beside them and the flags is folded. A command's own page tells
// how it is called in full.
func fitHelp(root *cobra.Command, columns int) {
	root.InitDefaultCompletionCmd()
	f := fitting{room: columns - helpIndent - helpGap, folded: map[*pflag.Flag]bool{}}
	root.PersistentFlags().VisitAll(func(flag *pflag.Flag) { f.flag(flag, helpShared) })
	f.fit(root)
}

// fitting is what is known of the terminal, and which flags fit it already.
type fitting struct {
	room   int
	folded map[*pflag.Flag]bool
}

func (f fitting) fit(c *cobra.Command) {
	names := 0
	for _, sub := range c.Commands() {
		names = max(names, listedWidth(sub))
	}
	if f.room-names < helpWords {
		names = 0
		for _, sub := range c.Commands() {
			shorten(sub)
			names = max(names, listedWidth(sub))
		}
	}
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) { names = max(names, len("-h --")+len(flag.Name)) })
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) { f.flag(flag, names) })
	for _, sub := range c.Commands() {
		f.fit(sub)
		if sub.Long == "" {
			sub.Long = sub.Short // fang folds it on the command's own page
		}
		sub.Short = f.fold(sub.Short, names)
	}
}

// flag folds what is said of a flag. Its default is written behind that.
func (f fitting) flag(flag *pflag.Flag, names int) {
	if f.folded[flag] {
		return
	}
	f.folded[flag] = true
	space := strings.Repeat("\u00a0", len(" ()")+len(flag.DefValue))
	flag.Usage = strings.TrimRight(f.fold(flag.Usage+space, names), "\u00a0")
}

func (f fitting) fold(words string, names int) string {
	if f.room-names < helpWords {
		return words
	}
	return ansi.Wordwrap(words, f.room-names, "")
}

// listedWidth is how wide a command is in the list of a page of help.
func listedWidth(c *cobra.Command) int {
	return len(c.Use) + len(" [command] [--flags]")
}

// shorten lists a command by its name alone; on its own page it has its
// arguments.
func shorten(c *cobra.Command) {
	full := c.Use
	c.Use = c.Name()
	c.SetHelpFunc(func(asked *cobra.Command, args []string) { // a command below c may be asked for
		c.Use = full
		c.Root().HelpFunc()(asked, args)
	})
}
