package cmd

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

// outboxShow shows a letter with everything that was tried with it.
func (a *app) outboxShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show one letter, and what was said when it was sent",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := letterNumber(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			story, err := desk.Story(cmd.Context(), a.cli(), id)
			if err != nil {
				return err
			}
			return a.print(story, func(w io.Writer) {
				printLetter(w, story.Letter)
				for _, t := range story.Tries {
					printTry(w, t)
				}
			})
		},
	}
}

func printTry(w io.Writer, t flows.Try) {
	how := "in clear"
	if t.TLS != "" {
		how = t.TLS
	}
	fmt.Fprintf(w, "\nAttempt %d, %s: %s", t.Number, when(&t.At), t.State)
	if t.Host != "" {
		fmt.Fprintf(w, " by %s, %s", clean(t.Host), clean(how))
	}
	fmt.Fprintf(w, "\n  %s\n", clean(flows.Answer(t.Enhanced, t.Reply)))
	for _, line := range t.Talk {
		fmt.Fprintf(w, "    %s\n", clean(line))
	}
}

func (a *app) outboxStats() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Show how the sending of mail stands, and what is wrong with it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			stats, err := desk.OutboxStats(cmd.Context(), a.cli())
			if err != nil {
				return err
			}
			return a.print(stats, func(w io.Writer) { printStats(w, stats) })
		},
	}
}

func printStats(w io.Writer, o flows.OutboxStats) {
	t := newTable(w)
	fmt.Fprintf(t, "Due\t%d\nSending\t%d\nDeferred\t%d\nHeld\t%d\n", o.Due, o.Sending, o.Deferred, o.Held)
	if o.Oldest != nil {
		fmt.Fprintf(t, "Oldest due\t%s\n", when(o.Oldest))
	}
	fmt.Fprintln(t, "\nDAY\tDELIVERED\tDEFERRED ATTEMPTS\tREFUSED\tCAME BACK")
	for i := len(o.Days) - 1; i >= 0; i-- {
		d := o.Days[i]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", d.Day.Format(time.DateOnly), d.Delivered, d.Deferred, d.Refused, d.Returned)
	}
	t.flush()
	for _, alarm := range o.Alarms {
		fmt.Fprintf(w, "\nALARM, %s times since %s: %s.\n  %s\n", strconv.FormatInt(alarm.Count, 10), when(&alarm.Since), alarm.Help(), clean(alarm.Words))
	}
}

func (a *app) outboxSeen() *cobra.Command {
	return &cobra.Command{
		Use:   "seen",
		Short: "Take the alarms as seen; what is still true comes again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			n, err := desk.ClearAlarms(cmd.Context(), a.cli(), time.Now())
			if err != nil {
				return err
			}
			return a.print(map[string]any{"cleared": n}, func(w io.Writer) { fmt.Fprintf(w, "Alarms taken as seen: %d.\n", n) })
		},
	}
}
