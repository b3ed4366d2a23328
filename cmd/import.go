package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

func (a *app) importing() *cobra.Command {
	var o flows.ImportOptions
	var pending, activity bool
	var columns []string
	var feed follow
	c := &cobra.Command{
		Use:   "import (FILE|- | --follow DIR) (--list L (--confirmed | --pending) | --activity)",
		Short: "Take contacts from a CSV, XLSX or JSON lines file",
		Long: "Take contacts from a CSV, XLSX or JSON lines file (- is standard input). Encoding, delimiter and columns are found out; evidence comes from the columns signed_up_at, signed_up_ip, confirmed_at and confirmed_ip. " +
			"Erased and withdrawn addresses are refused, and listed in the report by line number.\n\n" +
			"With --activity, count what contacts did with their mail: the columns are email or subscriber_id, kind (open, click or update) and at, and if you have them city, country and list. " +
			"Nobody is made a contact by it, and a file is counted once.\n\n" +
			"With --follow DIR, take the files that arrive there as they come, each once, until told to stop; what is taken moves into DIR/done, what can't be read into DIR/refused, and both are removed from there after 30 days.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if (len(args) == 1) == (feed.dir != "") {
				return usageError{errors.New("give the file to import, or a directory that files arrive in with --follow")}
			}
			path, done, err := a.piped(strings.Join(args, ""))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
			if activity {
				if err := noneOf(cmd, "--activity", "list", "confirmed", "pending", "dry-run", "follow"); err != nil {
					return err
				}
				return a.importActivity(cmd.Context(), path, columns)
			}
			if o.List == "" {
				return usageError{errors.New("give the list that the contacts stand on with --list, or say --activity")}
			}
			if o.Confirmed == pending {
				return usageError{errors.New("give either --confirmed (each consented elsewhere) or --pending (each gets a confirmation mail)")}
			}
			if o.Map, err = mapping(columns); err != nil {
				return err
			}
			if feed.dir != "" {
				return a.follow(cmd.Context(), feed, o)
			}
			return a.importFile(cmd.Context(), path, o)
		},
	}
	c.Flags().StringVar(&feed.dir, "follow", "", "take the files that arrive in this directory, until told to stop")
	c.Flags().IntVar(&feed.keepDays, "keep-days", 30, "with --follow: how many days a file stays in DIR/done or DIR/refused")
	c.Flags().DurationVar(&feed.settle, "settle", 2*time.Second, "with --follow: how long a file must stay as it is before it is taken")
	c.Flags().StringVar(&o.List, "list", "", "the list that the contacts stand on; made when there is none of that name")
	c.Flags().BoolVar(&o.Confirmed, "confirmed", false, "they confirmed elsewhere")
	c.Flags().BoolVar(&pending, "pending", false, "each gets a confirmation mail")
	c.Flags().BoolVar(&activity, "activity", false, "the file tells what contacts did with their mail")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "count what would be done, and do nothing")
	c.Flags().StringArrayVar(&columns, "map", nil, "which field a column is: column=field")
	return c
}

// importFile takes one file, and tells what became of it.
func (a *app) importFile(ctx context.Context, path string, o flows.ImportOptions) error {
	desk, err := a.open(ctx)
	if err != nil {
		return err
	}
	bar := newBar(a.errOut)
	res, err := desk.Import(ctx, a.cli(), path, o, bar.show)
	bar.clear()
	if err != nil && res.Stopped == 0 {
		return err // nothing was done: there is nothing to tell
	}
	return errors.Join(a.print(res, func(w io.Writer) { printImport(w, o.List, res) }), err)
}

func mapping(columns []string) (map[string]string, error) {
	out := map[string]string{}
	for _, c := range columns {
		column, field, ok := strings.Cut(c, "=")
		if !ok || column == "" || field == "" {
			return nil, usageError{errors.New("--map takes column=field")}
		}
		out[column] = field
	}
	return out, nil
}

func printImport(w io.Writer, list string, r flows.ImportResult) {
	if r.DryRun {
		fmt.Fprintln(w, "Dry run: nothing was changed.")
	}
	if r.Earlier > 0 {
		fmt.Fprintf(w, "An earlier import of this file stopped after line %d; what it had done comes out as unchanged.\n", r.Earlier)
	}
	if r.NewList {
		fmt.Fprintf(w, "The list %s is new.\n", clean(list))
	}
	fmt.Fprintf(w, "Read %d: %d added, %d updated, %d unchanged, %d refused, %d invalid.\n", r.Read, r.Added, r.Updated, r.Unchanged, r.Refused, r.Invalid)
	if r.Refused+r.Invalid > 0 {
		fmt.Fprintln(w, "Refused and invalid lines, by number: "+r.Report)
	}
}
