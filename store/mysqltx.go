package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"
)

const (
	// mysqlLanes is how many transactions a process has under way before others
	// wait to share the next ones: of many that come at once each would wait for
	// the counters until the one before it is on the disk.
	mysqlLanes = 3
	// mysqlGroup is how many share one at most, and mysqlPatience how long one
	// waits for a lane before it begins without.
	mysqlGroup    = 32
	mysqlPatience = 50 * time.Millisecond
)

// act is one transaction over all its attempts.
type act struct {
	key    []byte // written by it: who finds it there was kept
	unsure bool   // the answer to a commit was lost
}

func newAct() *act {
	a := &act{key: appliedKey(time.Now())}
	rand.Read(a.key[8:])
	return a
}

var (
	// errApplied: an earlier attempt was kept.
	errApplied = errors.New("the transaction was kept before")
	// errApart: those that share a transaction have to be run each by itself.
	errApart = errors.New("the transactions have to be run one by one")
)

func (e *mysqlEngine) inTx(ctx context.Context, fn func(queries) error) error {
	patience := time.NewTimer(mysqlPatience)
	defer patience.Stop()
	return e.line.wait(newTurn(ctx, fn), e.lanes, patience.C, e.serve)
}

// serve runs those that wait as a group, in one transaction; where that can't
// be kept, each by itself.
func (e *mysqlEngine) serve() {
	first := e.line.next()
	if first == nil {
		return // another has run ours
	}
	group, kept := e.together(first)
	for _, t := range group {
		if !kept {
			e.alone(t)
		}
		close(t.done)
	}
}

func (e *mysqlEngine) alone(t *turn) {
	t.panics = nil
	t.err = e.untilKept(t.ctx, newAct(), func(q queries) error {
		if t.run(q); t.panics != nil {
			return errApart // it ends the transaction
		}
		return t.err
	})
}

// together runs one that waits, and those that wait meanwhile, in one
// transaction. It reports false when nothing of it was kept, and each is to be
// run by itself: as in the embedded store's writer, one that fails after it has
// written ends it for all.
func (e *mysqlEngine) together(first *turn) (group []*turn, kept bool) {
	whole := context.WithoutCancel(first.ctx)
	group = []*turn{first}
	begun := false // then nobody joins it any more
	all := func(q queries) error {
		q.shared = newShared(e)
		until := time.Now().Add(groupTime)
		for i := 0; i < len(group); i++ {
			if t := group[i]; !t.within(q) {
				begun = true
				return errApart
			}
			if i+1 == len(group) && !begun && len(group) < mysqlGroup && time.Now().Before(until) {
				if next := e.line.next(); next != nil {
					group = append(group, next)
				}
			}
		}
		begun = true
		return q.shared.flush(whole, q)
	}
	a := newAct()
	err := e.attempt(whole, a, all)
	if a.unsure {
		e.dropIdle()
		err = e.untilKept(whole, a, all)
	}
	if errors.Is(err, ErrUnsure) {
		for _, t := range group {
			if t.err == nil {
				t.err = err
			}
		}
		return group, true
	}
	return group, err == nil
}

// untilKept runs fn in one transaction, again where it can be repeated.
func (e *mysqlEngine) untilKept(ctx context.Context, a *act, fn func(queries) error) error {
	end := time.Now().Add(busyFor)
	for attempt := 1; ; attempt++ {
		err := e.attempt(ctx, a, fn)
		switch {
		case errors.Is(err, errApplied):
			return nil
		case errors.Is(err, ErrAway):
			e.dropIdle()
		}
		if repeatable(err) && time.Now().Before(end) && backOff(ctx, attempt, 2*awayPause) {
			continue
		}
		switch {
		case a.unsure:
			return ErrUnsure
		case errors.Is(err, errConflict):
			return ErrBusy
		}
		return err
	}
}

// attempt runs fn in one transaction. The key is written first: where an
// earlier attempt was kept, fn must not run again, and where one is being kept
// at this moment, the key waits for it.
func (e *mysqlEngine) attempt(ctx context.Context, a *act, fn func(queries) error) error {
	s, err := e.take(ctx)
	if err != nil {
		return err
	}
	whole := false // also when fn panics: ending the connection rolls back
	defer func() { e.give(s, whole) }()
	if s.cluster { // elsewhere the first statement begins it
		if _, err := s.conn.ExecContext(ctx, "BEGIN"); err != nil {
			return mapMySQL(err)
		}
	}
	var broken error // what ended the transaction, whatever fn made of it
	q := queries{
		stmt: func(ctx context.Context, query string) (*sql.Stmt, error) {
			if broken != nil { // the server has ended the transaction: a statement would be kept by itself
				return nil, broken
			}
			return s.stmt(ctx, query)
		},
		told: func(err error) error {
			err = mapMySQL(err)
			if broken == nil && (repeatable(err) || errors.Is(err, ErrFull)) {
				broken = err
			}
			return err
		},
	}
	if !s.cluster { // there, a file may be kept in several transactions
		q.files = func() (*sql.Conn, error) { return s.conn, broken }
	}
	err = e.apply(ctx, q, a, fn)
	if err == nil && s.cluster {
		err = inOnePiece(ctx, q, a.key)
	}
	if broken != nil {
		err = broken
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		whole = !errors.Is(err, ErrAway) && s.rollback(ctx)
		return err
	}
	// From here on the answer must be the commit's own, so it can't be cancelled.
	_, err = s.conn.ExecContext(context.WithoutCancel(ctx), "COMMIT")
	if err = mapMySQL(err); err != nil {
		a.unsure = errors.Is(err, ErrAway)
		return err
	}
	whole = true
	return nil
}

func (e *mysqlEngine) apply(ctx context.Context, q queries, a *act, fn func(queries) error) error {
	_, err := q.exec(ctx, `INSERT INTO applied (applied_key) VALUES (?)`, a.key)
	if errors.Is(err, ErrTaken) {
		return errApplied
	}
	if err != nil {
		return err
	}
	a.unsure = false // it was not kept, or the key would be there
	return fn(q)
}

// inOnePiece makes sure, by its key, that a transaction holds all that was
// done in it. A node of a Galera cluster that gives way to another while it
// prepares a statement has answered already: it goes back without a word, and
// what follows would be kept without what came before.
func inOnePiece(ctx context.Context, q queries, key []byte) error {
	var n int
	err := q.get(ctx, []any{&n}, `SELECT COUNT(*) FROM applied WHERE applied_key = ?`, key)
	if err == nil && n == 0 {
		err = errConflict
	}
	return err
}

func (s *session) rollback(ctx context.Context) bool {
	_, err := s.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return err == nil
}
