package cmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) export() *cobra.Command {
	var format, out string
	c := &cobra.Command{
		Use:   "export ID|ADDRESS --format json|xlsx|csv [--out FILE]",
		Short: "Write everything registered about one person to a file",
		Long:  "Write everything registered about one person to a file of mode 0600: in the exports directory, which an erasure clears, or to --out (- is standard output).",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(flows.Formats, format) {
				return usageError{fmt.Errorf("--format takes %s", strings.Join(flows.Formats, ", "))}
			}
			target, err := a.address(args[0])
			if err != nil {
				return err
			}
			desk, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if out == "-" && format != "json" && terminal(a.out) {
				return usageError{errors.New("a spreadsheet is not for a terminal: name a file with --out, or use --format json")}
			}
			if out == "-" {
				return desk.ExportTo(cmd.Context(), a.cli(), target, format, a.out)
			}
			done, err := desk.Export(cmd.Context(), a.cli(), target, nil, format, out)
			if err != nil {
				return err
			}
			return a.print(done, func(w io.Writer) { fmt.Fprintln(w, done.Path) })
		},
	}
	c.Flags().StringVar(&format, "format", "json", "json, xlsx or csv")
	c.Flags().StringVar(&out, "out", "", "the file to write, - for standard output")
	return c
}
