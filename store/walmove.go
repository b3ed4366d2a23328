package store

import (
	"context"
	"database/sql"
	"math"
	"sync"
)

const (
	// walPages is how many pages the write-ahead log holds before it is moved into the database: 16 MB. An import comes
	// back to the same pages of its indexes, and by SQLite's usual 4 MB would write them there with nearly every chunk.
	walPages = 4000
	// loadPages is that of a load, 128 MB: it writes all the time, so that each move holds it up while the last pages are
	// moved and synced.
	loadPages = 32000
	// walRest is how many pages are moved while nobody can write, at most, unless they come about nearly as fast as they are moved.
	walRest = 500
)

// mover moves the write-ahead log into the database, beside those who write:
// left to the commit that finds it full, that and all behind it would wait for
// some hundred milliseconds.
type mover struct {
	full chan struct{} // told when the log is
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func (e *sqliteEngine) startMover() {
	ctx, stop := context.WithCancel(context.Background())
	e.mover = &mover{full: e.write.full, stop: stop}
	e.mover.wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-e.mover.full:
				e.moveLog(ctx)
			}
		}
	})
}

func (m *mover) end() {
	m.stop()
	m.wg.Wait()
}

// moveLog moves most of it beside the writer, and what came about meanwhile in
// its place, so that the log can begin anew. Where that fails, the next commit
// asks for it again.
func (e *sqliteEngine) moveLog(ctx context.Context) {
	if err := moveMost(walRest, func() (int, error) { return moveOn(ctx, e.read.db.QueryRowContext) }); err != nil {
		return
	}
	_ = e.write.hold(ctx, func() error {
		_, err := moveOn(ctx, e.write.conn.QueryRowContext)
		return err
	})
}

// moveMost moves the log beside the writer, until no more than some pages have
// come about meanwhile, or they come about nearly as fast as they are moved.
func moveMost(rest int, move func() (pages int, err error)) error {
	for had, before := 0, math.MaxInt; ; {
		pages, err := move()
		came := pages - had
		if err != nil || came <= rest || came > before/2 {
			return err
		}
		had, before = pages, came
	}
}

// moveOn moves what is in the log when it begins, and tells how many pages that
// are, with those that were moved before.
func moveOn(ctx context.Context, ask func(context.Context, string, ...any) *sql.Row) (pages int, err error) {
	var busy, moved int
	err = ask(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved)
	return pages, err
}
