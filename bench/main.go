// Bench measures the ratios that Kartotek promises: searching, paging,
// importing, erasing and starting on a store of a million contacts, each against
// a bare baseline in the same run, so that the machine's own speed cancels out.
// The baseline is the database driver alone, with prepared statements on the same
// encrypted file, doing the same SQL and cryptography. It does so on an embedded
// store and on a private MariaDB.
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

	"kartotek/mta"
	"kartotek/store/mariadb"
)

// bench is one run.
type bench struct {
	n    int    // contacts of the large store
	dir  string // the cache
	tmp  string // gone after the run
	rows []row
	log  io.Writer

	engine    string // that is measured now
	server    *mariadb.Server
	timed     bool             // the server times what it does
	databases []string         // gone after the run
	dkim      []mta.SigningKey // the same for all engines
}

// parts are what can be measured, in the order in which it is: imports come
// first, while this process is small, because a child's peak memory starts at
// what its parent had.
var parts = []struct {
	name     string
	run      func(*bench, context.Context) error
	embedded bool // it is about the embedded store alone
	timed    bool // it asks a server how long things take there, which costs the server some
}{
	{name: "import", run: (*bench).imports},
	{name: "find", run: (*bench).find},
	{name: "browse", run: (*bench).browse},
	{name: "log", run: (*bench).ledger},
	{name: "erase", run: (*bench).erase},
	{name: "bulk", run: (*bench).bulk, timed: true},
	{name: "start", run: (*bench).starts, embedded: true},
	{name: "keys", run: (*bench).keys, embedded: true},
	{name: "ssh", run: (*bench).team, embedded: true},
	{name: "wait", run: (*bench).waits, embedded: true},
	{name: "mail", run: (*bench).mail},
	{name: "backlog", run: (*bench).backlog},
}

// measure runs the parts wanted on an engine.
func (b *bench) measure(ctx context.Context, engine string, wanted []string) error {
	b.engine = engine
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) || p.embedded && engine != sqlite {
			continue
		}
		if engine == mariaDB {
			if err := b.startServer(p.timed); err != nil {
				return err
			}
		}
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
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
	n := f.Int("n", 1_000_000, "contacts of the large store; above a million, whole millions")
	quick := f.Bool("quick", false, "take 50,000 contacts")
	only := f.String("only", strings.Join(names, ","), "the parts to measure")
	on := f.String("on", sqlite+","+mariaDB, "the engines to measure on")
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
	defer func() { err = errors.Join(err, b.clear(ctx)) }()
	wanted, engines := strings.Split(*only, ","), strings.Split(*on, ",")
	if err := known("part", "-only", wanted, names); err != nil {
		return err
	}
	if err := known("engine", "-on", engines, []string{sqlite, mariaDB}); err != nil {
		return err
	}
	defer b.print(out) // what was measured before a failure too
	for _, engine := range engines {
		if err := b.measure(ctx, engine, wanted); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	return nil
}

// known refuses what a flag doesn't take.
func known(what, flag string, given, all []string) error {
	for _, name := range given {
		if !slices.Contains(all, name) {
			return fmt.Errorf("there is no %s %q: %s takes %s", what, name, flag, strings.Join(all, ", "))
		}
	}
	return nil
}

// tell says what is under way.
func (b *bench) tell(format string, a ...any) { fmt.Fprintf(b.log, "bench: "+format+"\n", a...) }
