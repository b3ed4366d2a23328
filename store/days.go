package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// Day is a day in UTC, counted from 1970-01-01.
type Day int64

const dayLength = 24 * time.Hour

// DayOf is the day that a time falls on.
func DayOf(t time.Time) Day { return Day(floorDiv(t.UnixMicro(), dayLength.Microseconds())) }

// Start is the first moment of the day.
func (d Day) Start() time.Time { return time.Unix(int64(d)*int64(dayLength/time.Second), 0).UTC() }

// floorDiv rounds down, before 1970 too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// The names of counters that only grow: what they grew by from the end of one
// day to the end of the next is that day's number.
const (
	CountAsked        = "act/asked"        // confirmation mails that went out
	CountGiven        = "act/given"        // confirmations by the person's click
	CountErased       = "act/erased"       // tombstones, those of unknown addresses included
	CountResubscribed = "act/resubscribed" // people who came back by their own click
	CountDelivered    = "mail/delivered"
	CountDeferred     = "mail/deferred" // attempts that are to be repeated
	CountRefused      = "mail/refused"
	CountReturned     = "mail/returned" // handed over, and came back later
)

// countLetters begins the names of the counters of letters by their state,
// which go up and down.
const countLetters = "outbox/"

// beginDay changes a counter for the first time on a day: the number that the
// day begins with, which is the one that every day since the last change ended
// with, is kept. So the history is exact whether or not anything ran meanwhile.
// The counter is changed first, which keeps others from changing it until the
// day has begun.
func (tx *Tx) beginDay(ctx context.Context, name string, delta int64) error {
	n, err := tx.exec(ctx, `UPDATE counters SET n = n + ?, day = ? WHERE name = ? AND shard = 0 AND day < ?`, delta, tx.day, name, tx.day)
	if err != nil {
		return err
	}
	after := delta
	if n == 0 { // it is new, or somebody else began the day just now
		err = tx.fresh(ctx, `INSERT INTO counters (name, shard, n, day) VALUES (?, 0, ?, ?)`, name, delta, tx.day)
	} else {
		err = tx.get(ctx, []any{&after}, `SELECT n FROM counters WHERE name = ? AND shard = 0`, name)
	}
	if err != nil || strings.HasPrefix(name, "source/") { // a source may be one person's alone, and goes with them
		return err
	}
	return tx.fresh(ctx, `INSERT INTO days (day, name, n) VALUES (?, ?, ?)`, tx.day, name, after-delta)
}

// History is what the counters stood at on the evenings of some days.
type History struct {
	From, To Day
	evenings map[string][]int64 // by name: the evening before From, then each day's up to To
}

// At is what a counter stood at at the end of a day, from the one before From
// to To; of To, as it stands now.
func (h History) At(name string, d Day) int64 {
	if e := h.evenings[name]; e != nil && d >= h.From-1 && d <= h.To {
		return e[d-h.From+1]
	}
	return 0
}

// On is what a counter grew by on a day.
func (h History) On(name string, d Day) int64 { return h.At(name, d) - h.At(name, d-1) }

// lastDay stands for a counter's present number among the mornings.
const lastDay Day = 1<<63 - 1

const historyQuery = `SELECT day, name, n FROM days WHERE day >= ? UNION ALL SELECT CAST(? AS SIGNED), name, SUM(n) FROM counters GROUP BY name ORDER BY 1, 2`

// History reads the days from one to another, which is today or later, in one
// look: its cost is that of the changes in these days, not of what is counted.
func (q queries) History(ctx context.Context, from, to Day) (History, error) {
	h := History{From: from, To: to, evenings: map[string][]int64{}}
	next := map[string]Day{} // the first day whose evening is not known yet
	err := q.each(ctx, func(rows *sql.Rows) error {
		var morning Day
		var name string
		var n int64
		if err := rows.Scan(&morning, &name, &n); err != nil {
			return err
		}
		if h.evenings[name] == nil {
			h.evenings[name], next[name] = make([]int64, to-from+2), from-1
		}
		for d := next[name]; d < morning && d <= to; d++ { // the morning tells of the evenings before it
			h.evenings[name][d-from+1] = n
		}
		next[name] = max(next[name], morning)
		return nil
	}, historyQuery, from, lastDay)
	return h, err
}
