package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"kartotek/flows"
)

// follow is a directory that files arrive in.
type follow struct {
	dir      string
	settle   time.Duration
	keepDays int
}

// follow takes the files of a feed until ctx ends, with a line for each.
func (a *app) follow(ctx context.Context, f follow, o flows.ImportOptions) error {
	if o.DryRun {
		return usageError{errors.New("--dry-run does not go with --follow: try one of the files out")}
	}
	if f.settle <= 0 {
		return usageError{errors.New("--settle takes a time such as 2s")}
	}
	if f.keepDays < 1 || f.keepDays > 3650 {
		return usageError{errors.New("--keep-days takes a number of days, 1 to 3650")}
	}
	if info, err := os.Stat(f.dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no directory: make it, and let files arrive there", clean(f.dir))
	}
	desk, err := a.open(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.errOut, "kartotek: following %s; stop with ctrl+c\n", clean(f.dir))
	options := flows.FollowOptions{ImportOptions: o, Settle: f.settle, Keep: time.Duration(f.keepDays) * 24 * time.Hour}
	return desk.Follow(ctx, a.cli(), f.dir, options, func(n flows.Arrival) {
		if a.set.JSON {
			_ = flows.WriteJSON(a.out, n, "") // nobody reads it any more: the feed goes on
			return
		}
		printArrival(a.out, n)
	})
}

func printArrival(w io.Writer, n flows.Arrival) {
	fmt.Fprintf(w, "%s: %s", clean(n.File), n.Outcome)
	if n.Why != "" {
		fmt.Fprintf(w, " (%s)", clean(n.Why))
	}
	if r := n.Result; r != nil && n.Outcome == flows.FeedTaken {
		fmt.Fprintf(w, ", %d read, %d added, %d updated, %d unchanged, %d refused, %d invalid", r.Read, r.Added, r.Updated, r.Unchanged, r.Refused, r.Invalid)
		if r.Refused+r.Invalid > 0 {
			fmt.Fprintf(w, "; by number in %s", r.Report)
		}
	}
	fmt.Fprintln(w)
}
