//go:build soak

package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

const (
	hourOfKeys  = 36_000 // ten a second
	soakStore   = 50_000
	soakSamples = 60

	// What an hour may leave behind, in bytes, after its first fifth. A console
	// that kept only 80 bytes of each key press would keep 2.3 MB of the rest. What
	// is resident moves more: the database's caches fill up to their bound.
	mostHeapGrowth     = 2 << 20
	mostResidentGrowth = 6 << 20
)

// soakSizes come in turn, so that each fifth of the samples has them all: a
// screen is memory too.
var soakSizes = []pty.Winsize{{Rows: 24, Cols: 80}, {Rows: 40, Cols: 140}, {Rows: 20, Cols: 100}, {Rows: 50, Cols: 160}}

// rounds are what somebody does in a console over and over, none of which
// changes a contact. Each ends on the first screen, nothing open.
func rounds(address string) [][]string {
	const (
		up, left         = "\x1b[A", "\x1b[D"
		pageDown, pageUp = "\x1b[6~", "\x1b[5~"
		home             = "\x1b[H"
	)
	many := func(n int, key string) []string { return slices.Repeat([]string{key}, n) }
	all := [][]string{
		many(120, down), many(60, up), many(40, pageDown), many(40, pageUp),
		{end, up, up, home},
		{home},
		{enter, down, down, pageDown, esc},
		{down, down, enter, pageDown, esc, enter, esc},
		{" ", down, " ", up, " ", down, " "},
		{"o", end, up, home, "o"},
		{"?", down, down, esc},
		{":", "a", "u", "d", esc},
		{"!", esc},
		{"f", right, left, esc},
		slices.Concat([]string{"/"}, strings.Split(address, ""), []string{enter, enter, esc, esc, esc}),
	}
	for field := range 4 {
		all = append(all, slices.Concat([]string{"f"}, many(field, down), []string{right, enter}, many(30, down), []string{end, home, "F"}))
	}
	for screen := 2; screen <= 6; screen++ {
		all = append(all, slices.Concat([]string{strconv.Itoa(screen)}, many(12, down), many(6, up), []string{enter, esc, "1"}))
	}
	return all
}

// TestSoakConsole presses an hour's worth of keys in the real console, as fast
// as they are answered: through every screen, on terminals that change their
// size. What it holds in memory after the first fifth, it holds at the end.
func TestSoakConsole(t *testing.T) {
	m := newMachine(t)
	csv, _ := m.run(0, "sample", strconv.Itoa(soakStore))
	m.write("sample.csv", csv)
	m.run(0, "import", "sample.csv", "--list", "News", "--confirmed")
	_, rest, _ := strings.Cut(csv, "\n")
	address, _, _ := strings.Cut(rest, ",")

	site := m.hold()
	cmd := m.command("--web", site)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	f := &fast{t: t, tty: tty, wrote: make(chan struct{}, 1)}
	go io.Copy(f, tty) // ends when the program does
	hour(t, f, "http://"+site+"/metrics", rounds(address))
	f.answered("q")
	if err := cmd.Wait(); err != nil {
		t.Errorf("the console: %v", err)
	}
	tty.Close()
}

// fast is a terminal on which nobody looks.
type fast struct {
	t     *testing.T
	tty   *os.File
	wrote chan struct{}
}

// Write takes a part of a frame.
func (f *fast) Write(p []byte) (int, error) {
	select {
	case f.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

// hour presses the keys of the rounds, in any order of them.
func hour(t *testing.T, term *fast, url string, all [][]string) {
	t.Helper()
	var heap, resident, goroutines []int64
	random := rand.New(rand.NewPCG(1, 1)) // the same way every time
	start, pressed := time.Now(), 0
	for pressed < hourOfKeys {
		for _, key := range all[random.IntN(len(all))] {
			term.answered(key)
			pressed++
		}
		if pressed*soakSamples/hourOfKeys > len(heap) {
			numbers := metrics(t, url)
			heap = append(heap, numbers["go_memstats_next_gc_bytes"])
			goroutines = append(goroutines, numbers["go_goroutines"])
			resident = append(resident, numbers["process_resident_memory_bytes"])
			term.resize(soakSizes[len(heap)%len(soakSizes)])
		}
	}
	t.Logf("%d keys in %v, %v a key", pressed, time.Since(start).Round(time.Second), (time.Since(start) / time.Duration(pressed)).Round(100*time.Microsecond))
	flat(t, "the heap", heap, mostHeapGrowth)
	flat(t, "resident memory", resident, mostResidentGrowth)
	flat(t, "goroutines", goroutines, 20) // those of messages that are still to fade
}

// answered presses a key, and waits for its frame; some keys have none.
func (f *fast) answered(key string) {
	f.t.Helper()
	for len(f.wrote) > 0 {
		<-f.wrote
	}
	if _, err := io.WriteString(f.tty, key); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-f.wrote:
	case <-time.After(30 * time.Millisecond):
	}
}

// resize makes the terminal another size.
func (f *fast) resize(size pty.Winsize) {
	f.t.Helper()
	if err := pty.Setsize(f.tty, &size); err != nil {
		f.t.Fatal(err)
	}
}

// flat fails when the median of the last fifth of the samples is more than a
// bound above that of the second fifth: the first one warms up.
func flat(t *testing.T, what string, samples []int64, most int64) {
	t.Helper()
	fifth := len(samples) / 5
	median := func(part []int64) int64 {
		part = slices.Sorted(slices.Values(part))
		return part[len(part)/2]
	}
	early, late := median(samples[fifth:2*fifth]), median(samples[len(samples)-fifth:])
	t.Logf("%s: %d at first, %d in the end, at most %d", what, early, late, slices.Max(samples))
	if late > early+most {
		t.Errorf("%s grew from %d to %d, by more than %d: %v", what, early, late, most, samples)
	}
}

// metrics are the numbers that a process tells of itself, by name.
func metrics(t *testing.T, url string) map[string]int64 {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := map[string]int64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] = int64(f)
		}
	}
	for _, name := range []string{"go_memstats_next_gc_bytes", "go_goroutines", "process_resident_memory_bytes"} {
		if out[name] == 0 {
			t.Fatal(fmt.Errorf("%s does not tell %s: %w", url, name, os.ErrNotExist))
		}
	}
	return out
}
