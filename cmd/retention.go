package cmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) retention() *cobra.Command {
	var kept string
	c := &cobra.Command{
		Use:   "retention",
		Short: "Show or set how long the evidence of erased people is kept",
		Long: "Show or set how long the sealed evidence of erased people is kept, counted from the erasure. Then only the suppression is left: the address stays blocked, and nothing can be proven any more. " +
			"kartotek serve removes what is over its time by itself; retention run does so now.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if kept != "" {
				if err := desk.SetRetention(cmd.Context(), a.cli(), flows.Retention{EvidenceKept: kept}); err != nil {
					return err
				}
			}
			r, err := desk.Retention(cmd.Context(), a.cli())
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { fmt.Fprintf(w, "evidence_kept  %s after the erasure\n", r.EvidenceKept) })
		},
	}
	c.Flags().StringVar(&kept, "evidence-kept", "", "a number and d, w, m or y, such as 2y")
	run := &cobra.Command{
		Use:   "run",
		Short: "Remove the evidence that is over its time now",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			n, err := desk.RunRetention(cmd.Context(), a.cli(), nil)
			if err != nil {
				return err
			}
			return a.print(map[string]int{"removed": n}, func(w io.Writer) { fmt.Fprintf(w, "Evidence removed of erased people: %d.\n", n) })
		},
	}
	c.AddCommand(run)
	return c
}
