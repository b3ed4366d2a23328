package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"kartotek/store"
)

// copyFrom is a flag that has the name of a setting, and isn't that.
const copyFrom = "from"

func (a *app) copying() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Move a store to another database",
		Long: "Copy everything in a store into an empty one: from an embedded store to a database server, between servers, or back. Both have the same key file. Stop every Kartotek on the store first: at the end both are compared, row by row. " +
			"Interrupted, run the same again: it goes on where it stopped. Work with one of the two only from then on.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			for _, url := range []string{from, to} {
				if err := store.CheckURL(url); err != nil {
					return usageError{errors.New("--from and --to take sqlite:PATH or mysql://USER@HOST:PORT/DB?password-file=PATH")}
				}
				if _, password := store.CutPassword(url); password != "" {
					return usageError{errors.New("others can see a password that stands in --from or --to: give it with password-file=PATH")}
				}
			}
			if path, file := strings.CutPrefix(from, "sqlite:"); file {
				if _, err := os.Stat(path); err != nil {
					return fmt.Errorf("the store to copy: %w", err)
				}
			}
			if from == to {
				return usageError{errors.New("--from and --to are the same store")}
			}
			ctx, files := cmd.Context(), filepath.Join(xdg.DataHome, "kartotek")
			a.set.Store = from
			desk, err := a.open(ctx)
			if err != nil {
				return err
			}
			target, err := store.Open(ctx, store.Options{URL: to, Keys: a.set.Keys, Files: files, Migrate: true, Copying: true})
			if err != nil {
				return fmt.Errorf("the store to copy to: %w", err)
			}
			defer func() { err = errors.Join(err, target.Close()) }()
			bar := newBar(a.errOut)
			done, err := desk.Copy(ctx, a.cli(), target, bar.count)
			bar.clear()
			if err != nil {
				return err
			}
			return a.print(done, func(w io.Writer) {
				fmt.Fprintf(w, "Copied and compared: %s rows of %d tables, %s contacts. Work with the copy only from now on (--store), and remove the old store when you have a backup.\n",
					humanize.Comma(done.Rows), done.Tables, humanize.Comma(done.Contacts))
			})
		},
	}
	c.Flags().StringVar(&from, copyFrom, "", "the store to copy")
	c.Flags().StringVar(&to, "to", "", "the store to make: a new file, or an empty database")
	must(c, copyFrom)
	must(c, "to")
	return c
}
