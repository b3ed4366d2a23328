package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// idSource hands out the ids of sequences on a server, where the row of a
// sequence must not be held until a transaction ends: all others would wait.
// It takes them in blocks, each by a statement of its own. What is left of a
// block after blockLife is given up, so that ids of several processes stand in
// the order of time, within that.
type idSource struct {
	db     *sql.DB
	turn   chan struct{}
	conn   *session
	blocks map[string]*idBlock
}

const (
	blockLife = time.Second
	blockMost = 512
)

type idBlock struct {
	next, end int64
	size      int64 // of the next one: it doubles when it was used up in time
	until     time.Time
}

func (s *idSource) start(db *sql.DB) {
	s.db, s.turn, s.blocks = db, make(chan struct{}, 1), map[string]*idBlock{}
}

func (s *idSource) close() {
	s.turn <- struct{}{}
	s.drop()
	<-s.turn
}

func (s *idSource) drop() {
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
}

func (e *mysqlEngine) nextIDs(ctx context.Context, tx *Tx, sequence string, n int) (int64, error) {
	if n == 0 {
		next := int64(1)
		err := tx.get(ctx, []any{&next}, `SELECT next_id FROM sequences WHERE name = ?`, sequence)
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return next, err
	}
	select {
	case e.ids.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-e.ids.turn }()
	return e.ids.next(ctx, sequence, int64(n), time.Now())
}

// returnIDs keeps the gap: the row of the sequence would be held.
func (e *mysqlEngine) returnIDs(context.Context, *Tx, string, int64, int64) error { return nil }

func (s *idSource) next(ctx context.Context, sequence string, n int64, now time.Time) (int64, error) {
	if n > 1 { // who takes many knows how many it needs
		return s.take(ctx, sequence, n)
	}
	b := s.blocks[sequence]
	if b == nil {
		b = &idBlock{size: 1}
		s.blocks[sequence] = b
	}
	if now.After(b.until) {
		b.next, b.size = b.end, 1
	}
	if b.next == b.end {
		first, err := s.take(ctx, sequence, b.size)
		if err != nil {
			return 0, err
		}
		b.next, b.end, b.until = first, first+b.size, now.Add(blockLife)
		b.size = min(2*b.size, blockMost)
	}
	b.next++
	return b.next - 1, nil
}

// take takes n ids for good. Where an answer is lost, they stay a gap.
func (s *idSource) take(ctx context.Context, sequence string, n int64) (int64, error) {
	for attempt := 1; ; attempt++ {
		next, err := s.advance(ctx, sequence, n)
		if err == nil {
			return next - n, nil
		}
		s.drop()
		if !repeatable(err) || attempt > int(busyFor/awayPause) || !backOff(ctx, attempt, 2*awayPause) {
			return 0, err
		}
	}
}

func (s *idSource) advance(ctx context.Context, sequence string, n int64) (int64, error) {
	if s.conn == nil || time.Since(s.conn.born) > connectionLife {
		s.drop()
		var err error
		if s.conn, err = newSession(ctx, s.db); err != nil {
			return 0, err
		}
	}
	q := queries{stmt: s.conn.stmt, told: mapMySQL}
	st, err := q.stmt(ctx, `UPDATE sequences SET next_id = LAST_INSERT_ID(next_id + ?) WHERE name = ?`)
	if err != nil {
		return 0, mapMySQL(err)
	}
	res, err := st.ExecContext(ctx, n, sequence)
	if err != nil {
		return 0, mapMySQL(err)
	}
	if changed, err := res.RowsAffected(); err != nil || changed == 0 {
		return 1 + n, errors.Join(err, q.fresh(ctx, `INSERT INTO sequences (name, next_id) VALUES (?, ?)`, sequence, 1+n))
	}
	next, err := res.LastInsertId()
	return next, mapMySQL(err)
}
