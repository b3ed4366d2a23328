package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kartotek/store"
)

func (a *app) backup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of an embedded store, while it is in use",
		Long:  "Write a consistent copy of an embedded store to a new file, while it is in use. The copy is encrypted as the store is; keep it apart from the key file. The erasure journal is not part of it: see docs/backup.md.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.open(cmd.Context()); err != nil {
				return err
			}
			if err := a.store.Backup(cmd.Context(), args[0]); err != nil {
				return err
			}
			return a.print(map[string]any{"backup": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "Backed up to %s. Keep it apart from the key file %s.\n", clean(args[0]), clean(a.set.Keys))
			})
		},
	}
}

func (a *app) restore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of an embedded store",
		Long:  "Put a backup in the place of an embedded store that nobody has open. Who was erased since the backup is erased again before anything else; SubscriberIDs that were given out since are not given out again. The store as it is now is gone after that: back it up first if you may want it.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			r, err := store.Restore(ctx, store.Options{URL: a.set.Store, Keys: a.set.Keys}, args[0])
			if err != nil {
				return err
			}
			n, err := a.useRestored(ctx)
			if err != nil {
				err = errors.Join(err, a.close())
				a.store = nil
				return fmt.Errorf("the store is as it was before: %w", errors.Join(err, r.Undo()))
			}
			if err := r.Keep(); err != nil {
				return err
			}
			return a.print(map[string]any{"restored": args[0], "contacts": n}, func(w io.Writer) {
				fmt.Fprintf(w, "Restored from %s: %s.\n", clean(args[0]), plural(int(n), "contact"))
			})
		},
	}
}

// useRestored opens the restored store, which erases again what has to be, and
// counts its contacts.
func (a *app) useRestored(ctx context.Context) (int64, error) {
	desk, err := a.open(ctx)
	if err != nil {
		return 0, err
	}
	counts, err := desk.Counts(ctx)
	return counts.Contacts(), err
}

func (a *app) journal() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Show this machine's erasure journal of the store",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := a.open(cmd.Context()); err != nil {
				return err
			}
			return a.printJournal(cmd.Context())
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "new",
		Short: "Begin another journal where this machine's is lost for good",
		Long:  "Begin another erasure journal where this machine's is missing or damaged and there is no copy of it. It is made from the erasures that the store knows: if the store was restored from a backup, who was erased since that backup stays back.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.newJournal = true
			if _, err := a.open(cmd.Context()); err != nil {
				return err
			}
			return a.printJournal(cmd.Context())
		},
	})
	return c
}

func (a *app) printJournal(ctx context.Context) error {
	j, err := a.store.Journal(ctx)
	if err != nil {
		return err
	}
	return a.print(j, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s, %d erasures; the store follows it to its end.\n", clean(j.Path), plural(int(j.Records), "record"), j.Erasures)
		fmt.Fprintln(w, "Keep a copy of this file too, but never bring it back together with a backup of the store.")
	})
}
