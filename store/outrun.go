package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// settingGoal is how many steps of the schema a store has had, or is to have:
// it is told before the first of them is taken.
const settingGoal = "schema_goal"

// ErrNewer: a newer version of the program has changed the store, or does now.
var ErrNewer = errors.New("the store was written by a newer kartotek")

// newerSchema refuses a store that a newer version of the program has changed.
func newerSchema(has, known int64) error {
	return fmt.Errorf("%w (schema %d, this one knows %d): use that version", ErrNewer, has, known)
}

// knownSteps is how many steps of the schema this version of the program knows.
var knownSteps = sync.OnceValue(func() int64 { return int64(len(sqliteSteps())) })

// announce tells those who have the store open that its schema is about to
// change, and waits until none of them writes any more: what they know of it
// would leave rows half filled.
func announce(ctx context.Context, e engine, goal int) error {
	err := e.inTx(ctx, func(q queries) error {
		told, err := q.Setting(ctx, settingGoal)
		if err != nil {
			return err
		}
		if told == "" {
			return q.fresh(ctx, `INSERT INTO settings (name, value) VALUES (?, ?)`, settingGoal, strconv.Itoa(goal))
		}
		if n, err := strconv.Atoi(told); err != nil || n >= goal {
			return err
		}
		_, err = q.exec(ctx, `UPDATE settings SET value = ? WHERE name = ? AND value = ?`, strconv.Itoa(goal), settingGoal, told)
		return err
	})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * agreeEvery):
		return nil
	}
}

// notOutrun refuses a store whose schema a newer version of the program changes,
// or has changed since it was opened.
func (s *Store) notOutrun(ctx context.Context) error {
	if err := s.outrun(); err != nil {
		return err
	}
	told, err := s.raw.Setting(ctx, settingGoal)
	if err != nil || told == "" {
		return err
	}
	goal, err := strconv.ParseInt(told, 10, 64)
	if err != nil {
		return ErrDamaged
	}
	if goal > knownSteps() {
		s.newer.Store(goal)
	}
	return s.outrun()
}

// outrun is the refusal of a store that is known to be a newer version's.
func (s *Store) outrun() error {
	if has := s.newer.Load(); has != 0 {
		return newerSchema(has, knownSteps())
	}
	return nil
}
