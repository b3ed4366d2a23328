package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/creack/pty"
)

// painted is what both programs show when their first frame is there: in the
// console it is part of a masked address, which only the grid's rows hold.
const painted = "***"

// starts times both programs from exec to their first painted frame.
func (b *bench) starts(ctx context.Context) error {
	large, err := b.large(ctx)
	if err != nil {
		return err
	}
	console, err := b.build(ctx, "kartotek")
	if err != nil {
		return err
	}
	empty, err := b.build(ctx, "kartotek/bench/emptytea")
	if err != nil {
		return err
	}
	args, err := b.consoleOn(large)
	if err != nil {
		return err
	}
	b.tell("starting the console")
	const runs = 20
	var ours, theirs times
	for i := range runs + 2 {
		a, err := firstFrame(ctx, console, args...)
		if err != nil {
			return err
		}
		e, err := firstFrame(ctx, empty)
		if err != nil {
			return err
		}
		if i >= 2 { // the first ones fill the caches
			ours, theirs = append(ours, a), append(theirs, e)
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	b.atMost("from exec to the first painted frame", ours.median(), theirs.median(), 3)
	return nil
}

// build builds a program of ours, and returns where it is.
func (b *bench) build(ctx context.Context, pkg string) (string, error) {
	path := filepath.Join(b.tmp, filepath.Base(pkg))
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg)
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), b.log
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("building %s: %w", pkg, err)
	}
	return path, nil
}

// consoleOn is the command line of the console on a store, away from the
// user's own configuration.
func (b *bench) consoleOn(p place) ([]string, error) {
	config := filepath.Join(b.tmp, "config.toml")
	return []string{"--store", p.URL, "--keys", p.Keys, "--config", config, "--web", "127.0.0.1:0", "--public-url", "http://127.0.0.1:8425"},
		os.WriteFile(config, nil, 0o600)
}

// firstFrame runs a program in a terminal until it has painted, and ends it.
func firstFrame(ctx context.Context, path string, args ...string) (took time.Duration, err error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	start := time.Now()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		return 0, err
	}
	defer tty.Close()
	took, err = awaitPaint(tty, start)
	if err == nil {
		_, err = io.WriteString(tty, "q")
	}
	if err != nil {
		return 0, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	go io.Copy(io.Discard, tty) // ends with the program: the terminal is closed then
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("ending %s: %w", filepath.Base(path), err)
	}
	return took, nil
}

func awaitPaint(tty *os.File, start time.Time) (time.Duration, error) {
	if err := tty.SetReadDeadline(start.Add(time.Minute)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return 0, err
	}
	var seen []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := tty.Read(buf)
		seen = append(seen, buf[:n]...)
		if bytes.Contains(seen, []byte(painted)) {
			return time.Since(start), nil
		}
		if err != nil {
			return 0, fmt.Errorf("nothing was painted: %w", err)
		}
	}
}
