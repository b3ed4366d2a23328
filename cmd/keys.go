package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"kartotek/flows"
	"kartotek/store"
)

func (a *app) keyring() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Show, rotate and destroy the keys that a store is sealed with",
		Long:  "Show, rotate and destroy the keys that a store is sealed with. They lie in the key file, apart from the store and its backups.",
		Args:  cobra.NoArgs,
		RunE:  a.showKeys,
	}
	pepper := &cobra.Command{Use: "pepper", Short: "Change what addresses are hashed under"}
	pepper.AddCommand(&cobra.Command{
		Use:   "add",
		Short: "Hash addresses under a new pepper from now on",
		Long:  "Hash addresses under a new pepper from now on, as when the old one may be known to somebody. The addresses of live cards move to it now; that of a tombstone, which the store doesn't know, moves when somebody gives it, and is found by the old pepper until then.",
		Args:  cobra.NoArgs,
		RunE:  a.addPepper,
	})
	c.AddCommand(
		&cobra.Command{Use: "show", Short: "Show the keys, and how much is sealed with each", Args: cobra.NoArgs, RunE: a.showKeys},
		&cobra.Command{
			Use:   "rotate",
			Short: "Seal with a new key from now on, and seal anew what is there",
			Long:  "Seal with a new key from now on, and seal anew what is there, while everything runs. Interrupted, run it again: it goes on where it stopped. Where other machines work on the store, the first run only adds the key, so that they can get the key file first.",
			Args:  cobra.NoArgs,
			RunE:  a.rotateKeys,
		},
		&cobra.Command{
			Use:   "destroy ID",
			Short: "Remove an old key for good: older backups' personal data becomes unreadable",
			Args:  cobra.ExactArgs(1),
			RunE:  a.destroyKey,
		}, pepper)
	return c
}

func (a *app) showKeys(cmd *cobra.Command, _ []string) error {
	desk, err := a.open(cmd.Context())
	if err != nil {
		return err
	}
	k, err := desk.Keys(cmd.Context(), a.cli())
	if err != nil {
		return err
	}
	return a.print(k, func(w io.Writer) {
		fmt.Fprintf(w, "Key file %s: %s", clean(k.Path), plural(k.Peppers, "pepper"))
		if len(k.Others) > 0 {
			fmt.Fprintf(w, ", and keys of other kinds: %s", clean(strings.Join(k.Others, ", ")))
		}
		fmt.Fprintln(w, ".")
		for _, s := range k.Sealing {
			fmt.Fprintf(w, "%s  %-7s  since %s, seals %s values%s\n", s.ID, s.State, day(s.Created), humanize.Comma(s.Values), retired(s))
		}
	})
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func retired(k store.SealingKey) string {
	if k.Retired == nil {
		return ""
	}
	return ", retired " + day(*k.Retired)
}

func (a *app) rotateKeys(cmd *cobra.Command, _ []string) error {
	desk, err := a.open(cmd.Context())
	if err != nil {
		return err
	}
	bar := newBar(a.errOut)
	k, err := desk.RotateKeys(cmd.Context(), a.cli(), bar.count)
	bar.clear()
	if err != nil {
		return err
	}
	return a.print(k, func(w io.Writer) {
		fmt.Fprintf(w, "The key %s seals from now on, and everything in the store is sealed with it.\nMake a new copy of the key file %s. Backups from before need the old key: kartotek keys destroy makes their personal data unreadable.\n", k.ID, clean(a.set.Keys))
	})
}

func (a *app) destroyKey(cmd *cobra.Command, args []string) error {
	desk, err := a.open(cmd.Context())
	if err != nil {
		return err
	}
	k, err := desk.DestroyKey(cmd.Context(), a.cli(), args[0])
	if err != nil {
		return err
	}
	return a.print(k, func(w io.Writer) {
		from, until := flows.BackupsLost(k)
		fmt.Fprintf(w, "The key %s is gone. Nobody can read the personal data any more that is in backups of the store from %s to %s.\nRemove it from your copies of the key file too: replace them by %s.\n", k.ID, day(from), day(until), clean(a.set.Keys))
	})
}

func (a *app) addPepper(cmd *cobra.Command, _ []string) error {
	desk, err := a.open(cmd.Context())
	if err != nil {
		return err
	}
	bar := newBar(a.errOut)
	n, err := desk.AddPepper(cmd.Context(), a.cli(), bar.count)
	bar.clear()
	if err != nil {
		return err
	}
	return a.print(map[string]any{"moved": n}, func(w io.Writer) {
		fmt.Fprintf(w, "Addresses are hashed under a new pepper from now on; %s moved to it. Those of tombstones move when somebody gives them.\nMake a new copy of the key file %s.\n", plural(int(n), "card"), clean(a.set.Keys))
	})
}
