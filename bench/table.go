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
	what, ours, baseline, ratio, target, verdict string
}

func (b *bench) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "what\tours\tbaseline\tratio\ttarget\t\n")
	for _, r := range b.rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.ours, r.baseline, r.ratio, r.target, r.verdict)
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
	b.rows = append(b.rows, r)
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

func median(ds []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(ds))
	return s[len(s)/2]
}

// alternate runs some things in turn, so that whatever else the machine does
// slows all of them alike, and returns the median time of each.
func alternate(rounds int, things ...func(round int) error) ([]time.Duration, error) {
	took := make([][]time.Duration, len(things))
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
	out := make([]time.Duration, len(things))
	for i := range took {
		out[i] = median(took[i])
	}
	return out, nil
}
