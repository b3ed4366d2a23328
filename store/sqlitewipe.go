package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
)

// wipe moves the write-ahead log into the database and cuts it to nothing, so
// that no earlier image of a row stays in it; secure_delete has overwritten
// the rows themselves. It reports false when a reader held on to the log for
// as long as patience lasts: call it again later.
func (e *sqliteEngine) wipe(ctx context.Context, patience time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	owed := e.owed()
	for {
		var busy, logged, moved int
		// The long part, moving the log, lets others write; what they write meanwhile is moved in its place.
		err := moveMost(wipeRest, func() (int, error) { return moveOn(ctx, e.read.db.QueryRowContext) })
		if err != nil && ctx.Err() == nil {
			return false, fmt.Errorf("wiping the write-ahead log: %w", mapSQLite(err))
		}
		err = e.write.hold(ctx, func() error {
			shortly, cancel := context.WithTimeout(ctx, wipeHold)
			defer cancel()
			err := mapSQLite(e.write.conn.QueryRowContext(shortly, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved))
			if err != nil && shortly.Err() != nil {
				err = ErrBusy
			}
			return err
		})
		switch {
		case err == nil && busy == 0:
			e.paid(owed)
			return true, nil
		case ctx.Err() != nil:
			return false, nil
		case err != nil && !errors.Is(err, ErrBusy):
			return false, fmt.Errorf("wiping the write-ahead log: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wipeHold / 2):
		}
	}
}

// owedPath is an empty file that is there while a wipe is owed: after a kill,
// whoever opens the store next sees so without looking through the log.
func (e *sqliteEngine) owedPath() string { return e.path + "-wipe" }

// owe implements engine. On a disk that is full there is no note, and the
// clock wipes the log all the same.
func (e *sqliteEngine) owe() { _ = os.WriteFile(e.owedPath(), nil, 0o600) }

// owed is the note; nil when no wipe is owed.
func (e *sqliteEngine) owed() os.FileInfo {
	info, err := os.Stat(e.owedPath())
	if err != nil {
		return nil
	}
	return info
}

// paid takes a note away; a later erasure's stays.
func (e *sqliteEngine) paid(note os.FileInfo) {
	if now := e.owed(); note != nil && now != nil && now.ModTime().Equal(note.ModTime()) {
		_ = os.Remove(e.owedPath())
	}
}

// payOff wipes the log when a wipe is owed and nobody is in the way: where
// others are at work, it is theirs or the clock's.
func (e *sqliteEngine) payOff() error {
	note := e.owed()
	if note == nil {
		return nil
	}
	return e.write.conn.Raw(func(c any) error {
		raw := c.(driver.Conn).Raw()
		err := raw.BusyHandler(nil)
		if busy, _ := firstText(raw, "PRAGMA wal_checkpoint(TRUNCATE)"); busy == "0" {
			e.paid(note)
		}
		return mapSQLite(errors.Join(err, raw.BusyHandler(waitTurn)))
	})
}
