// Bench measures the ratios that Kartotek promises: searching, paging,
// importing and starting on a store of a million contacts, each against a bare
// baseline in the same run, so that the machine's own speed cancels out. The
// baseline is the database driver alone, with prepared statements on the same
// encrypted file, doing the same SQL and cryptography.
//
// It may not change anything but its own directory under the user's cache,
// where it keeps the large store for the next run.
//
// Start reading at parts.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// bench is one run.
type bench struct {
	n    int    // contacts of the large store
	dir  string // the cache
	tmp  string // gone after the run
	rows []row
	log  io.Writer
}

// parts are what can be measured, in the order in which it is: imports come
// first, while this process is small, because a child's peak memory starts at
// what its parent had.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"import", (*bench).imports},
	{"find", (*bench).find},
	{"browse", (*bench).browse},
	{"start", (*bench).starts},
	{"wait", (*bench).waits},
}

func (b *bench) part(ctx context.Context, name string) error {
	for _, p := range parts {
		if p.name == name {
			return p.run(b, ctx)
		}
	}
	return fmt.Errorf("there is no part %q", name)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, log io.Writer) (err error) {
	if len(args) == 2 && args[0] == childWord {
		var j job
		if err := json.Unmarshal([]byte(args[1]), &j); err != nil {
			return err
		}
		return j.run(ctx, out)
	}
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(log)
	n := f.Int("n", 1_000_000, "contacts of the large store")
	quick := f.Bool("quick", false, "take 50,000 contacts")
	only := f.String("only", strings.Join(names, ","), "the parts to measure")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *quick {
		*n = 50_000
	}
	if *n < 1000 {
		return errors.New("-n takes 1000 contacts or more")
	}
	b := &bench{n: *n, log: log}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	b.dir = filepath.Join(cache, "kartotek-bench")
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	if b.tmp, err = os.MkdirTemp(b.dir, "run-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.tmp)) }()
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("there is no part %q: -only takes %s", name, strings.Join(names, ", "))
		}
	}
	defer b.print(out) // what was measured before a failure too
	for _, name := range wanted {
		if err := b.part(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// tell says what is under way.
func (b *bench) tell(format string, a ...any) { fmt.Fprintf(b.log, "bench: "+format+"\n", a...) }
