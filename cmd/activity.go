package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kartotek/flows"
)

// importActivity counts a file of activity.
func (a *app) importActivity(ctx context.Context, path string, columns []string) error {
	var o flows.ActivityOptions
	var err error
	if o.Map, err = mapping(columns); err != nil {
		return err
	}
	desk, err := a.open(ctx)
	if err != nil {
		return err
	}
	bar := newBar(a.errOut)
	res, err := desk.ImportActivity(ctx, a.cli(), path, o, bar.show)
	bar.clear()
	if err != nil && res.Stopped == 0 {
		return err // nothing was done: there is nothing to tell
	}
	return errors.Join(a.print(res, func(w io.Writer) { printActivity(w, res) }), err)
}

func printActivity(w io.Writer, r flows.ActivityResult) {
	if r.Earlier > 0 {
		fmt.Fprintf(w, "An earlier import of this file stopped after line %d: this one went on from there.\n", r.Earlier)
	}
	fmt.Fprintf(w, "Read %d: %d opens, %d clicks, %d updates.\n", r.Read, r.Opens, r.Clicks, r.Updates)
	if r.Skipped() > 0 {
		fmt.Fprintf(w, "Not counted: %d of unknown people, %d of erased, %d of frozen, %d of unsubscribed ones, %d invalid.\n", r.Unknown, r.Erased, r.Frozen, r.Withdrawn, r.Invalid)
		fmt.Fprintln(w, "Lines that were not counted, by number: "+r.Report)
	}
}

// noneOf refuses flags that go with something else.
func noneOf(c *cobra.Command, with string, names ...string) error {
	for _, name := range names {
		if c.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s does not go with %s", name, with)}
		}
	}
	return nil
}
