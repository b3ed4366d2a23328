package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"

	"kartotek/flows/sample"
)

const (
	presses = 1000
	down    = "\x1b[B"
	// smallRows is how many rows the smallest list gets: with the console's
	// million it takes seconds a key, and writes the same.
	smallRows = 2000
	mostMB    = 60
	mostFrame = 16 * time.Millisecond
	// mostEcho is what a quiet machine takes for an echo at most: where it takes
	// longer, so does every frame.
	mostEcho = 2 * time.Millisecond

	// The clocks by which the two programs draw: a press waits for the next tick.
	consoleTick = time.Second / 120
	smallTick   = time.Second / 60
)

var sizes = []pty.Winsize{{Rows: 24, Cols: 80}, {Rows: 40, Cols: 140}}

// held is what holding a key in a program has shown.
type held struct {
	took      times // from a press to the first byte of its frame, sorted
	bytes     int64 // of all frames
	processor time.Duration
	rss       int64 // kilobytes, at the end
}

func (h held) perKey() float64 { return float64(h.bytes) / presses }

// keys holds Down in the console's contacts and in the smallest list that
// Bubble Tea has, through terminals of two sizes, and then does everything
// else that a console can do with a large store.
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
	if err := b.echo(ctx); err != nil {
		return err
	}
	for _, size := range sizes {
		b.tell("holding Down at %dx%d", size.Cols, size.Rows)
		theirs, err := hold(exec.CommandContext(ctx, small, "-n", strconv.Itoa(smallRows)), size)
		if err != nil {
			return err
		}
		ours, err := hold(exec.CommandContext(ctx, console, args...), size)
		if err != nil {
			return err
		}
		b.compare(size, ours, theirs)
	}
	return b.tour(exec.CommandContext(ctx, console, args...))
}

// compare adds what holding a key has shown.
func (b *bench) compare(size pty.Winsize, ours, theirs held) {
	ratio := ours.perKey() / theirs.perKey()
	b.add(row{
		what: fmt.Sprintf("bytes per key, holding Down at %dx%d", size.Cols, size.Rows), ours: fmt.Sprintf("%.0f", ours.perKey()),
		baseline: fmt.Sprintf("%.0f", theirs.perKey()), ratio: fmt.Sprintf("%.2fx", ratio), target: "<= 2.0x", verdict: verdict(ratio <= 2),
	})
	b.atMost("  from a press to its frame, median", ours.took.median(), theirs.took.median(), 0)
	slowest, least := ours.took.at(0.99), theirs.took.at(0.99)
	b.add(row{
		what: "  the 99th percentile", ours: short(slowest), baseline: short(least), ratio: fmt.Sprintf("%.2fx", float64(slowest)/float64(least)),
		target: "<= " + short(mostFrame), verdict: verdict(slowest <= mostFrame),
	})
	b.atMost("  the 5th, which hardly waits for the renderer's clock", ours.took.at(0.05), theirs.took.at(0.05), 0)
	b.add(row{what: "  what that clock adds at most", ours: short(consoleTick), baseline: short(smallTick)})
	b.atMost("  processor per key", ours.processor/presses, theirs.processor/presses, 0)
	b.add(row{
		what: "  resident memory after it", ours: megabytes(ours.rss), baseline: megabytes(theirs.rss),
		target: fmt.Sprintf("< %d MB", mostMB), verdict: verdict(ours.rss < mostMB<<10),
	})
}

// echo tells what the machine and its terminals take for themselves: the time
// until cat has written a key back.
func (b *bench) echo(ctx context.Context) error {
	t, err := begin(exec.CommandContext(ctx, "cat"), sizes[0])
	if err != nil {
		return err
	}
	if err := t.raw(); err != nil {
		return errors.Join(err, t.kill())
	}
	var took times
	for range presses {
		d, _, err := t.press(".")
		if err != nil {
			return errors.Join(err, t.kill())
		}
		took = append(took, d)
		t.settle(5 * time.Millisecond)
	}
	slices.Sort(took)
	b.add(row{what: "an echo through a terminal, median", ours: short(took.median())})
	b.add(row{what: "  the 99th percentile", ours: short(took.at(0.99))})
	if took.at(0.99) > mostEcho {
		b.tell("this machine is busy: an echo takes up to %s, and so does every frame besides its own time", short(took.at(0.99)))
	}
	return t.kill()
}

// hold runs a program in a terminal and presses Down as a keyboard repeats it.
func hold(cmd *exec.Cmd, size pty.Winsize) (h held, err error) {
	t, err := begin(cmd, size)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, t.quit()) }()
	if err := t.painted(); err != nil {
		return h, err
	}
	t.settle(time.Second) // what comes after the first frame: the counters, the page ahead
	start, err := processor(cmd.Process.Pid)
	if err != nil {
		return h, err
	}
	for range presses {
		took, n, err := t.press(down)
		if err != nil {
			return h, err
		}
		h.took = append(h.took, took)
		h.bytes += n + t.settle(time.Duration(25+rand.IntN(15))*time.Millisecond)
	}
	end, err := processor(cmd.Process.Pid)
	if err != nil {
		return h, err
	}
	h.processor = end - start
	slices.Sort(h.took)
	h.rss, err = memory(cmd.Process.Pid, "VmRSS")
	return h, err
}

// stop is one thing that is done with a console, by its keys.
type stop struct {
	what string
	keys []string
}

// itinerary is all that a console does with a store, whatever is in it.
func itinerary(address string) []stop {
	const (
		pageDown, pageUp = "\x1b[6~", "\x1b[5~"
		end, home        = "\x1b[F", "\x1b[H"
		right, esc       = "\x1b[C", "\x1b"
	)
	filter := func(field int, n int) []string {
		return slices.Concat([]string{"f"}, slices.Repeat([]string{down}, field), slices.Repeat([]string{right}, n), []string{"\r"})
	}
	stops := []stop{
		{"holding Down", slices.Repeat([]string{down}, 300)},
		{"holding PgDn", slices.Repeat([]string{pageDown}, 300)},
		{"End", []string{end}},
		{"holding PgUp", slices.Repeat([]string{pageUp}, 100)},
		{"Home", []string{home}},
		{"End and Home", slices.Repeat([]string{end, home}, 10)},
		{"a search", slices.Concat([]string{"/"}, strings.Split(address, ""), []string{"\r"})},
		{"back", []string{esc, esc}},
		{"a card", []string{"\r", esc}},
	}
	for field, name := range []string{"permission", "list", "source", "rating"} {
		for n := range 3 {
			stops = append(stops, stop{"a filter by " + name, filter(field, n+1)}, stop{"its last page", []string{end, pageUp, home}}, stop{"clearing it", []string{"F"}})
		}
	}
	stops = append(stops, stop{"a filter by list", filter(1, 2)}, stop{"and by rating", filter(3, 2)}, stop{"its last page", []string{end, home}}, stop{"clearing it", []string{"F"}})
	stops = append(stops, stop{"sorting by id", []string{"o", end, home}}, stop{"sorting by activity", []string{"o"}})
	for i, name := range []string{"the outbox", "the requests", "the audit", "the overview", "the mailbox"} {
		stops = append(stops, stop{name, []string{strconv.Itoa(i + 2), down, down, end}})
	}
	return append(stops, stop{"the contacts again", []string{"1", down}})
}

// tour does all of it, and tells the most memory that it took, and what was slowest.
func (b *bench) tour(cmd *exec.Cmd) (err error) {
	var first strings.Builder
	if err := sample.Write(&first, 1, 1, sampleTime); err != nil {
		return err
	}
	_, rest, _ := strings.Cut(first.String(), "\n")
	address, _, _ := strings.Cut(rest, ",")
	b.tell("going through the console")
	t, err := begin(cmd, sizes[1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.quit()) }()
	if err := t.painted(); err != nil {
		return err
	}
	t.settle(time.Second)
	var slowest time.Duration
	var at string
	for _, s := range itinerary(address) {
		for _, key := range s.keys {
			took, err := t.answered(key)
			if err != nil {
				return err
			}
			if took > slowest {
				slowest, at = took, s.what
			}
		}
		t.settle(200 * time.Millisecond)
	}
	peak, err := memory(cmd.Process.Pid, "VmHWM")
	if err != nil {
		return err
	}
	b.add(row{
		what: fmt.Sprintf("most memory while every screen and filter is used, %d contacts", b.n), ours: megabytes(peak),
		target: fmt.Sprintf("< %d MB", mostMB), verdict: verdict(peak < mostMB<<10),
	})
	b.add(row{what: "  the slowest answer to a key: " + at, ours: short(slowest)})
	return nil
}
