package cmd

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"kartotek/flows/sample"
)

func (a *app) sample() *cobra.Command {
	var seed uint64
	c := &cobra.Command{
		Use:   "sample N",
		Short: "Print N synthetic contacts as CSV, to try an import with",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil || n < 0 || n > sample.Most {
				return usageError{errors.New("sample takes a number of contacts, at most 10,000,000")}
			}
			// Whole days keep the output of one seed the same for a day.
			return sample.Write(a.out, n, seed, time.Now().UTC().Truncate(24*time.Hour))
		},
	}
	c.Flags().Uint64Var(&seed, "seed", 1, "another number makes other contacts")
	return c
}
