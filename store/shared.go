package store

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// shared is what the transactions of a group write together at its end, once
// instead of once each: the ids that they took, and how the counters change.
type shared struct {
	taken  map[string]*taken
	deltas map[Day]map[string]int64
	wrote  bool // the one that runs has changed something
	day    Day
	turn   map[string]int64 // what the one that runs adds to the counters
}

// taken is how far ids of a sequence were taken.
type taken struct {
	next  int64
	fresh bool // there is no row of it yet
	moved bool
}

func newShared() *shared {
	return &shared{taken: map[string]*taken{}, deltas: map[Day]map[string]int64{}}
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
	s.drop()
}

// drop forgets it.
func (s *shared) drop() { s.turn, s.wrote = nil, false }

// flush writes all of it.
func (s *shared) flush(ctx context.Context, q queries) error {
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
