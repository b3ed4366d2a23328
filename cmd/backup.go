package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/store"
)

func (a *app) backup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of an embedded store, while it is in use",
		Long:  "Write a consistent copy of an embedded store to a new file, while it is in use. The copy is encrypted as the store is; keep it apart from the key file. The erasure journal is not part of it: see docs/backup.md.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := desk.Backup(cmd.Context(), a.cli(), args[0]); err != nil {
				return err
			}
			return a.print(map[string]any{"backup": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "Backed up to %s. Keep it apart from the key file %s.\n", clean(args[0]), clean(a.set.Keys))
			})
		},
	}
}

func (a *app) restore() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "restore FILE --reason TEXT",
		Short: "Put a backup in the place of an embedded store",
		Long: "Put a backup in the place of an embedded store that nobody has open. Who was erased since the backup is erased again before anything else; SubscriberIDs that were given out since are not given out again. The store as it is now is gone after that: back it up first if you may want it. " +
			"An owner does so, by the staff of the store as it is now; where that can't be opened any more, by the staff of the backup. What the log lost is told by every audit verify from then on.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			first, err := a.ownerBefore(ctx, reason)
			if err != nil {
				return err
			}
			r, err := store.Restore(ctx, store.Options{URL: a.set.Store, Keys: a.set.Keys}, args[0])
			if err != nil {
				return err
			}
			n, lost, err := a.useRestored(ctx, reason, first)
			if err != nil {
				err = errors.Join(err, a.abandon())
				return fmt.Errorf("the store is as it was before: %w", errors.Join(err, r.Undo()))
			}
			if err := r.Keep(); err != nil {
				return err
			}
			return a.print(map[string]any{"restored": args[0], "contacts": n, "log": lost}, func(w io.Writer) {
				fmt.Fprintf(w, "Restored from %s: %s.\n", clean(args[0]), plural(int(n), "contact"))
				if !first {
					fmt.Fprintln(w, "The store before it could not be opened: who may restore, the backup's staff said.")
				}
				if lost != nil {
					fmt.Fprintf(w, "Of the log, %s. The audit tells of that from now on.\n", clean(lost.Words()))
				}
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit: ten characters or more")
	must(c, "reason")
	return c
}

// ownerBefore signs in in the store that a backup is to take the place of, and
// writes there that it does; false where that can't be opened, so that the
// backup's own staff have to do.
func (a *app) ownerBefore(ctx context.Context, reason string) (bool, error) {
	there, err := store.There(a.set.Store)
	if err != nil || !there {
		return false, err
	}
	desk, err := a.open(ctx)
	if err == nil {
		err = desk.Restoring(ctx, a.cli(), reason)
	}
	if errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrUnreadable) {
		_ = a.reopen() // it is damaged: what else is wrong with it doesn't matter
		return false, nil
	}
	return true, errors.Join(err, a.reopen())
}

// useRestored opens the restored store, which erases again what has to be,
// writes there who restored it, and counts its contacts.
func (a *app) useRestored(ctx context.Context, reason string, first bool) (int64, *flows.Setback, error) {
	open := a.open
	if first { // who acts is settled
		open = a.service
	}
	desk, err := open(ctx)
	if err != nil {
		return 0, nil, err
	}
	lost, err := desk.Restored(ctx, a.cli(), reason, first)
	if err != nil {
		return 0, nil, err
	}
	counts, err := desk.Counts(ctx, a.cli())
	return counts.Contacts(), lost, err
}

func (a *app) journal() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Show this machine's erasure journal of the store",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.printJournal(cmd.Context()) },
	}
	c.AddCommand(&cobra.Command{
		Use:   "new",
		Short: "Begin another journal where this machine's is lost for good",
		Long:  "Begin another erasure journal where this machine's is missing or damaged and there is no copy of it. It is made from the erasures that the store knows: if the store was restored from a backup, who was erased since that backup stays back.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.newJournal = func(ctx context.Context, s *store.Store) error {
				desk := flows.New(s, flows.Config{})
				if err := a.signIn(ctx, desk, commandLine); err != nil {
					return err
				}
				return desk.RenewingJournal(ctx, a.cli())
			}
			return a.printJournal(cmd.Context())
		},
	})
	return c
}

func (a *app) printJournal(ctx context.Context) error {
	desk, err := a.open(ctx)
	if err != nil {
		return err
	}
	j, err := desk.Journal(ctx, a.cli())
	if err != nil {
		return err
	}
	return a.print(j, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s, %d erasures; the store follows it to its end.\n", clean(j.Path), plural(int(j.Records), "record"), j.Erasures)
		fmt.Fprintln(w, "Keep a copy of this file too, but never bring it back together with a backup of the store.")
	})
}
