package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// shared is what the transactions of a group write together at its end, once
// instead of once each: the ids that they took, how the counters change, and
// the letters that they put into the outbox.
type shared struct {
	engine  engine
	taken   map[string]*taken
	deltas  map[Day]map[string]int64
	letters []newLetter // that aren't written yet
	whose   int         // how many of them are of those that have run
	wrote   bool        // the one that runs has changed something
	day     Day
	turn    map[string]int64 // what the one that runs adds to the counters
}

// taken is how far ids of a sequence were taken.
type taken struct {
	next  int64
	fresh bool // there is no row of it yet
	moved bool
}

func newShared(e engine) *shared {
	return &shared{engine: e, taken: map[string]*taken{}, deltas: map[Day]map[string]int64{}}
}

// nextIDs takes n ids. Those of a transaction that fails stay a gap, unless all fail.
func (s *shared) nextIDs(ctx context.Context, q queries, sequence string, n int) (int64, error) {
	t := s.taken[sequence]
	if t == nil {
		t = &taken{}
		err := q.get(ctx, []any{&t.next}, `SELECT next_id FROM sequences WHERE name = ?`, sequence)
		if errors.Is(err, ErrNotFound) {
			t.next, t.fresh, err = 1, true, nil
		}
		if err != nil {
			return 0, err
		}
		s.taken[sequence] = t
	}
	t.next += int64(n)
	t.moved = t.moved || n > 0
	return t.next - int64(n), nil
}

// count takes down what the transaction that runs adds to the counters.
func (s *shared) count(day Day, deltas map[string]int64) { s.day, s.turn = day, deltas }

// keep takes over what the transaction that has run leaves.
func (s *shared) keep() {
	if s.deltas[s.day] == nil {
		s.deltas[s.day] = map[string]int64{}
	}
	for name, n := range s.turn {
		s.deltas[s.day][name] += n
	}
	s.whose = len(s.letters)
	s.drop()
}

// drop forgets it.
func (s *shared) drop() { s.turn, s.wrote, s.letters = nil, false, s.letters[:s.whose] }

// enqueue takes down a letter.
func (s *shared) enqueue(ctx context.Context, q queries, l newLetter) error {
	s.letters = append(s.letters, l)
	if len(s.letters) < rowsAtOnce {
		return nil
	}
	return s.flushLetters(ctx, q)
}

// beforeAsking writes the letters before a statement that may look at them.
func (s *shared) beforeAsking(ctx context.Context, q queries, query string) error {
	if s == nil || len(s.letters) == 0 || !strings.Contains(query, "outbox") && !strings.Contains(query, "bodies") {
		return nil
	}
	return s.flushLetters(ctx, q)
}

// flushLetters writes the letters.
func (s *shared) flushLetters(ctx context.Context, q queries) error {
	letters := s.letters
	s.letters, s.whose = nil, 0
	return insertLetters(ctx, &Tx{queries: q, engine: s.engine}, letters)
}

// flush writes all of it.
func (s *shared) flush(ctx context.Context, q queries) error {
	if err := s.flushLetters(ctx, q); err != nil {
		return err
	}
	q.shared = nil
	for _, name := range slices.Sorted(maps.Keys(s.taken)) {
		t := s.taken[name]
		switch {
		case !t.moved:
			continue
		case t.fresh:
			if err := q.fresh(ctx, `INSERT INTO sequences (name, next_id) VALUES (?, ?)`, name, t.next); err != nil {
				return err
			}
		default:
			if err := q.one(ctx, `UPDATE sequences SET next_id = ? WHERE name = ?`, t.next, name); err != nil {
				return err
			}
		}
	}
	for _, day := range slices.Sorted(maps.Keys(s.deltas)) {
		tx := &Tx{queries: q, deltas: s.deltas[day], day: day}
		if err := tx.flushCounters(ctx); err != nil {
			return err
		}
	}
	return nil
}
