package sample

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// ActivityColumns are the columns that WriteActivity writes, in its order.
const ActivityColumns = "email,kind,at,city,country"

// activityFor is how far back WriteActivity goes.
const activityFor = 26 * 7 * 24 * time.Hour

// WriteActivity writes what the contacts of a file of Write did with their
// mail in the half year before now, as CSV: those of a good rating something
// every week, others more rarely, and up to their last activity. The same
// contacts, seed and now give the same file.
func WriteActivity(w io.Writer, contacts io.Reader, seed uint64, now time.Time) error {
	in := csv.NewReader(contacts)
	head, err := in.Read()
	if err != nil {
		return fmt.Errorf("read the sample: %w", err)
	}
	at := func(name string) int { return slices.Index(head, name) }
	email, rating, confirmed, active, city, country := at("email"), at("rating"), at("confirmed_at"), at("last_activity_at"), at("city"), at("country")
	if slices.Contains([]int{email, rating, confirmed, active, city, country}, -1) {
		return errors.New("read the sample: these are not the columns of one")
	}
	out := bufio.NewWriterSize(w, 256<<10)
	g := &generator{rnd: rand.New(rand.NewPCG(seed, 0x6163746976697479)), now: now.UTC().Truncate(time.Second)}
	if _, err := out.WriteString(ActivityColumns + "\n"); err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	for {
		r, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the sample: %w", err)
		}
		last, err := time.Parse(time.RFC3339, r[active])
		if err != nil {
			continue // never did anything
		}
		first, err := time.Parse(time.RFC3339, r[confirmed])
		if err != nil {
			return fmt.Errorf("read the sample: %w", err)
		}
		if _, err := out.WriteString(g.activity(r[email], r[city]+","+r[country], slices.Index(ratings, r[rating]), first, last)); err != nil {
			return fmt.Errorf("write the sample: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	return nil
}

// activity are the lines of one contact, the last event first.
func (g *generator) activity(email, place string, keen int, from, last time.Time) string {
	if limit := g.now.Add(-activityFor); from.Before(limit) {
		from = limit
	}
	var b strings.Builder
	line := func(kind string, at time.Time) {
		fmt.Fprintf(&b, "%s,%s,%s,%s\n", email, kind, at.Format(time.RFC3339), place)
	}
	pause := 7 * 24 * time.Hour << max(0, len(ratings)-1-keen) // a week for the best, then two, four …
	for at := last; at.After(from); at = at.Add(-pause/2 - time.Duration(g.rnd.Int64N(int64(pause)))).Truncate(time.Second) {
		line("open", at)
		if click := at.Add(time.Duration(5+g.rnd.IntN(90)) * time.Second); g.rnd.IntN(5) == 0 && !click.After(last) {
			line("click", click)
		}
		if g.rnd.IntN(30) == 0 {
			line("update", at)
		}
	}
	return b.String()
}
