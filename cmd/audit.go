package cmd

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) audit() *cobra.Command {
	var f flows.AuditFilter
	var since, until string
	var before int64
	var limit int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkLimit(limit); err != nil {
				return err
			}
			if f.Since, err = moment("--since", since); err != nil {
				return err
			}
			if f.Until, err = moment("--until", until); err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			rows, err := desk.Audit(cmd.Context(), a.cli(), f, before, limit)
			if err != nil {
				return err
			}
			return a.print(map[string]any{"audit": rows}, func(w io.Writer) { printAudit(w, rows) })
		},
	}
	c.Flags().StringVar(&f.Who, "who", "", "only what this one did: a staff name, contact or clock")
	c.Flags().StringVar(&f.What, "what", "", "only acts of this name, such as erase")
	c.Flags().Int64Var(&f.SubscriberID, "id", 0, "only what was done with this SubscriberID")
	c.Flags().StringVar(&since, "since", "", "only from this time on: 2026-02-03, or 2026-02-03T10:00:00Z")
	c.Flags().StringVar(&until, "until", "", "only before this time")
	c.Flags().Int64Var(&before, "before", 0, "the page that follows this number")
	c.Flags().IntVar(&limit, "limit", 50, "how many, at most 500")
	c.AddCommand(a.auditVerify(), a.auditKey(), a.auditRestored())
	return c
}

func printAudit(w io.Writer, rows []flows.AuditEntry) {
	t := newTable(w)
	fmt.Fprintln(t, "NUMBER\tAT\tWHO\tROLE\tFROM\tACT\tCARD\tWHY")
	for _, r := range rows {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, when(&r.At), clean(r.Actor), r.Role, clean(r.From), r.Act, number(r.SubscriberID), clean(r.Why))
	}
	t.flush()
}

// moment reads a day or a time; a day and a time without a zone are UTC.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError{fmt.Errorf("%s takes a day or a time, such as 2026-02-03 or 2026-02-03T10:00:00Z", flag)}
}

// errTampered ends audit verify with exit code 1.
var errTampered = errors.New("the log is not whole")

func (a *app) auditVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Walk the whole log, and name the first row that was tampered with",
		Long: "Walk the whole tamper-evident log: rebuild its tree, compare it with every signed checkpoint in the database and in the file beside it, " +
			"and every row of audit and evidence with its entry. What was changed, removed, inserted or put in another order is named, the first row first.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			bar := newBar(a.errOut)
			v, err := desk.VerifyAudit(cmd.Context(), a.cli(), bar.show)
			bar.clear()
			if err != nil {
				return err
			}
			if err := a.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "%d entries of the log, %d rows of the audit, %d acts of evidence; %d checkpoints in the database, %d in the file.\n", v.Entries, v.Audit, v.Evidence, v.InStore, v.InFile)
				if v.CutOff > 0 {
					fmt.Fprintf(w, "Note: %d checkpoints in the file were cut off while they were written.\n", v.CutOff)
				}
				for _, s := range v.Setbacks {
					fmt.Fprintf(w, "Accepted break: %s (audit row %d)\n", clean(s.Words()), s.Row)
				}
				switch {
				case v.Whole() && len(v.Setbacks) > 0:
					fmt.Fprintln(w, "Whole but for that: nothing else was changed, removed, inserted or put in another order.")
				case v.Whole():
					fmt.Fprintln(w, "Whole: nothing was changed, removed, inserted or put in another order.")
				}
			}); err != nil {
				return err
			}
			if v.First != nil {
				return fmt.Errorf("%w: %s (entry %d): %s; problems in all: %d", errTampered, v.First.Row, v.First.Entry, v.First.What, v.Problems)
			}
			return nil
		},
	}
}

func (a *app) auditKey() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the log's public key, which proofs are checked with: make it known",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(map[string]string{"public_key": desk.LogKey()}, func(w io.Writer) { fmt.Fprintln(w, desk.LogKey()) })
		},
	}
}

func (a *app) auditRestored() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "restored --reason TEXT",
		Short: "Own up to a restore by other means, so that audit verify tells it from tampering",
		Long: "Own up to a restore of the store by other means than kartotek restore, such as a database server's own tools. The log itself then says, under your name, which entries were lost by it, and every audit verify tells so; whatever else doesn't fit stays a problem. " +
			"Run it on each machine whose file of checkpoints knows of what was lost.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			lost, err := desk.AcceptRestore(cmd.Context(), a.cli(), reason)
			if err != nil {
				return err
			}
			return a.print(lost, func(w io.Writer) { fmt.Fprintf(w, "Of the log, %s.\n", clean(lost.Words())) })
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit: ten characters or more")
	must(c, "reason")
	return c
}
