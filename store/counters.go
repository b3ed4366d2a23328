package store

import (
	"context"
	"database/sql"
	"sort"
	"strconv"
	"strings"
)

// Counters are kept up to date by the transactions that change what they
// count, so that no screen has to count rows.
type Counters struct {
	ByPermission map[Permission]int64
	BySource     map[string]int64
	ByRating     map[Rating]int64
	ByList       map[int64]map[string]int64
	Letters      map[string]int64 // by the word of their state: due, sending, deferred, held
	Undelivered  int64            // letters that were refused or came back, ever
	OpenRequests int64            // that wait for an answer
}

func (tx *Tx) add(name string, n int64) { tx.deltas[name] += n }

func (tx *Tx) count(p Permission, source string, r Rating, n int64) {
	tx.add("permission/"+p.String(), n)
	tx.countRating(r, n)
	if source != "" {
		tx.add("source/"+source, n)
	}
}

// countRating counts the MailRating of contacts; tombstones have none.
func (tx *Tx) countRating(r Rating, n int64) {
	if r != 0 {
		tx.add(ratingCounter(r), n)
	}
}

func ratingCounter(r Rating) string { return "rating/" + r.String() }

// flushCounters writes the changes in the order of their names: two
// transactions then never wait for each other crosswise. Those of a group are
// written once, at its end.
func (tx *Tx) flushCounters(ctx context.Context) error {
	if tx.shared != nil {
		tx.shared.count(tx.day, tx.deltas)
		return nil
	}
	names := make([]string, 0, len(tx.deltas))
	for name, n := range tx.deltas {
		if n != 0 {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		n, err := tx.exec(ctx, `UPDATE counters SET n = n + ? WHERE name = ? AND shard = 0 AND day >= ?`, tx.deltas[name], name, tx.day)
		if err == nil && n == 0 {
			err = tx.beginDay(ctx, name, tx.deltas[name])
		}
		if err == nil && strings.HasPrefix(name, "source/") && tx.deltas[name] < 0 {
			// A source is a text from outside, and goes with the last one who has it.
			_, err = tx.exec(ctx, `DELETE FROM counters WHERE name = ? AND n = 0`, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// OpenLetters is how many letters are on their way.
func (c Counters) OpenLetters() int64 {
	return c.Letters[LetterDue.String()] + c.Letters[LetterSending.String()] + c.Letters[LetterDeferred.String()]
}

// Counters reads them all: a row each for the permissions, sources and lists.
func (q queries) Counters(ctx context.Context) (Counters, error) {
	c := Counters{ByPermission: map[Permission]int64{}, BySource: map[string]int64{}, ByRating: map[Rating]int64{}, ByList: map[int64]map[string]int64{}, Letters: map[string]int64{}}
	err := q.each(ctx, func(rows *sql.Rows) error {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil || n == 0 {
			return err
		}
		kind, rest, _ := strings.Cut(name, "/")
		switch kind {
		case "permission":
			p, err := ParsePermission(rest)
			if err != nil {
				return err
			}
			c.ByPermission[p] = n
		case "source":
			c.BySource[rest] = n
		case "rating":
			c.ByRating[ParseRating(rest)] = n
		case "list":
			number, status, _ := strings.Cut(rest, "/")
			id, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return err
			}
			if c.ByList[id] == nil {
				c.ByList[id] = map[string]int64{}
			}
			c.ByList[id][status] = n
		case "outbox":
			c.Letters[rest] = n
		case "mail":
			if name == CountRefused || name == CountReturned {
				c.Undelivered += n
			}
		case "requests":
			c.OpenRequests = n
		}
		return nil
	}, `SELECT name, SUM(n) FROM counters GROUP BY name`)
	return c, err
}
