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
	var bulk flows.BulkWish
	c := &cobra.Command{
		Use:   "export (ID|ADDRESS --format json|xlsx|csv [--out FILE] | (--list L | --all) --reason TEXT)",
		Short: "Write everything registered about one person to a file, or ask for a bulk export",
		Long: "Write everything registered about one person to a file of mode 0600: in the exports directory, which an erasure clears, or to --out (- is standard output).\n\n" +
			"With --list or --all, ask for the contacts of a list, or all of them: a second person approves it with requests approve, and the file is encrypted to your SSH key.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch inBulk := bulk.All || bulk.List != ""; {
			case inBulk && len(args) > 0:
				return usageError{errors.New("give either one person, or --list L or --all")}
			case inBulk:
				if err := noneOf(cmd, "a bulk export", "format", "out"); err != nil {
					return err
				}
				return a.askExport(cmd.Context(), bulk)
			case len(args) == 0:
				return usageError{errors.New("say whom: a SubscriberID or an address, or --list L or --all for a bulk export")}
			}
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
	c.Flags().StringVar(&bulk.List, "list", "", "ask for everybody on this list")
	c.Flags().BoolVar(&bulk.All, "all", false, "ask for all contacts")
	c.Flags().StringVar(&bulk.Reason, "reason", "", "what the bulk export is for")
	c.Flags().StringVar(&out, "out", "", "the file to write, - for standard output")
	return c
}
