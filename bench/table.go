package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	engine                                       string
	what, ours, baseline, ratio, target, verdict string
}

// add adds a line about the engine that is measured.
func (b *bench) add(r row) {
	r.engine = b.engine
	b.rows = append(b.rows, r)
}

func (b *bench) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "engine\twhat\tours\tbaseline\tratio\ttarget\t\n")
	for _, r := range b.rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.engine, r.what, r.ours, r.baseline, r.ratio, r.target, r.verdict)
	}
	t.Flush()
}

// atMost adds a line whose ratio of times may not exceed a target; a target of
// 0 makes it a line to read only.
func (b *bench) atMost(what string, ours, baseline time.Duration, target float64) {
	ratio := float64(ours) / float64(baseline)
	r := row{what: what, ours: short(ours), baseline: short(baseline), ratio: fmt.Sprintf("%.2fx", ratio)}
	if target > 0 {
		r.target, r.verdict = fmt.Sprintf("<= %.1fx", target), verdict(ratio <= target)
	}
	b.add(r)
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "over"
}

func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
}

// times are how long something took, round by round, from the shortest.
type times []time.Duration

// at is the time that a share of the rounds took at most.
func (t times) at(share float64) time.Duration { return t[int(share*float64(len(t)-1))] }

func (t times) median() time.Duration { return t.at(0.5) }

// alternate runs some things in turn, so that whatever else the machine does
// slows all of them alike.
func alternate(rounds int, things ...func(round int) error) ([]times, error) {
	took := make([]times, len(things))
	for r := range rounds + rounds/10 + 1 {
		for i := range things {
			k := (i + r) % len(things) // none always comes first
			start := time.Now()
			if err := things[k](r); err != nil {
				return nil, err
			}
			if r > rounds/10 { // those before warm up
				took[k] = append(took[k], time.Since(start))
			}
		}
	}
	for _, t := range took {
		slices.Sort(t)
	}
	return took, nil
}
