package cmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) migrate() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the store's schema up to date",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			a.migrates = true
			desk, err := a.open(ctx)
			if err != nil {
				return err
			}
			version, err := a.store.SchemaVersion(ctx)
			if err != nil {
				return err
			}
			if err := desk.Migrated(ctx, a.cli(), version); err != nil {
				return err
			}
			return a.print(map[string]any{"schema": version}, func(w io.Writer) { fmt.Fprintf(w, "The schema is up to date: version %d.\n", version) })
		},
	}
}
