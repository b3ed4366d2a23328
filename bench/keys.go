package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
)

const (
	presses = 600
	down    = "\x1b[B"
	// smallRows is how many rows the smallest list gets: with the console's
	// million it takes seconds a key, and writes the same.
	smallRows = 1000
	mostMB    = 60
	mostFrame = 16 * time.Millisecond
)

// held is what holding a key in a program has shown.
type held struct {
	took  times // from a press to the first byte of its frame, sorted
	bytes int64 // of all frames
	rss   int64 // kilobytes, at the end
}

func (h held) perKey() float64 { return float64(h.bytes) / presses }

// keys holds Down in the console's contacts and in the smallest list that
// Bubble Tea has, through terminals of two sizes.
func (b *bench) keys(ctx context.Context) error {
	large, err := b.large(ctx)
	if err != nil {
		return err
	}
	console, err := b.build(ctx, "kartotek")
	if err != nil {
		return err
	}
	small, err := b.build(ctx, "kartotek/bench/smalllist")
	if err != nil {
		return err
	}
	args, err := b.consoleOn(large)
	if err != nil {
		return err
	}
	for _, size := range []pty.Winsize{{Rows: 24, Cols: 80}, {Rows: 40, Cols: 140}} {
		at := fmt.Sprintf("%dx%d", size.Cols, size.Rows)
		b.tell("holding Down at %s", at)
		theirs, err := hold(exec.CommandContext(ctx, small, "-n", strconv.Itoa(smallRows)), size)
		if err != nil {
			return err
		}
		ours, err := hold(exec.CommandContext(ctx, console, args...), size)
		if err != nil {
			return err
		}
		ratio := ours.perKey() / theirs.perKey()
		b.add(row{
			what: "bytes per key, holding Down at " + at, ours: fmt.Sprintf("%.0f", ours.perKey()), baseline: fmt.Sprintf("%.0f", theirs.perKey()),
			ratio: fmt.Sprintf("%.2fx", ratio), target: "<= 2.0x", verdict: verdict(ratio <= 2),
		})
		b.atMost("  from a press to its frame, median", ours.took.median(), theirs.took.median(), 0)
		slowest, least := ours.took[len(ours.took)*99/100], theirs.took[len(theirs.took)*99/100]
		b.add(row{
			what: "  the 99th percentile", ours: short(slowest), baseline: short(least), ratio: fmt.Sprintf("%.2fx", float64(slowest)/float64(least)),
			target: "<= " + short(mostFrame), verdict: verdict(slowest <= mostFrame),
		})
		b.add(row{
			what: "  resident memory after it", ours: megabytes(ours.rss), baseline: megabytes(theirs.rss),
			target: fmt.Sprintf("< %d MB", mostMB), verdict: verdict(ours.rss < mostMB<<10),
		})
	}
	return nil
}

// hold runs a program in a terminal and presses Down as a keyboard repeats it.
func hold(cmd *exec.Cmd, size pty.Winsize) (h held, err error) {
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor")
	tty, err := pty.StartWithSize(cmd, &size)
	if err != nil {
		return h, err
	}
	defer tty.Close()
	defer func() { err = errors.Join(err, end(cmd, tty)) }()
	if _, err := awaitPaint(tty, time.Now()); err != nil {
		return h, err
	}
	frames := make(chan int, 1024)
	go func() {
		defer close(frames)
		buf := make([]byte, 64<<10)
		for {
			n, err := tty.Read(buf)
			if err != nil {
				return
			}
			frames <- n
		}
	}()
	settle(frames, time.Second) // what comes after the first frame: the counters, the page ahead
	for range presses {
		start := time.Now()
		if _, err := io.WriteString(tty, down); err != nil {
			return h, err
		}
		select {
		case n := <-frames:
			h.took = append(h.took, time.Since(start))
			h.bytes += int64(n)
		case <-time.After(10 * time.Second):
			return h, errors.New("a key press was not answered")
		}
		h.bytes += settle(frames, time.Duration(25+rand.IntN(15))*time.Millisecond)
	}
	slices.Sort(h.took)
	h.rss, err = resident(cmd.Process.Pid)
	return h, err
}

// settle counts what is written in a time.
func settle(frames <-chan int, during time.Duration) (bytes int64) {
	over := time.After(during)
	for {
		select {
		case n, ok := <-frames:
			if !ok {
				return bytes
			}
			bytes += int64(n)
		case <-over:
			return bytes
		}
	}
}

// resident is the memory of a process that is in use, in kilobytes.
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	rest, _, _ = strings.Cut(rest, "kB")
	return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
}

// end quits a program by its key.
func end(cmd *exec.Cmd, tty io.Writer) error {
	if _, err := io.WriteString(tty, "q"); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return cmd.Wait()
}
