package store

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
)

func (e *sqliteEngine) snapshot(ctx context.Context, fn func(queries) error) error {
	if err := e.still(); err != nil {
		return err
	}
	return snapshot(ctx, e.read.db, mapSQLite, []string{"BEGIN"}, fn)
}

func (e *sqliteEngine) indexes(ctx context.Context) ([]string, error) {
	var out []struct{ Name string }
	q := e.reader()
	err := q.all(ctx, &out, `SELECT name FROM sqlite_master WHERE type = 'index'`)
	names := make([]string, len(out))
	for i, o := range out {
		names[i] = o.Name
	}
	return names, err
}

func (e *sqliteEngine) examine(ctx context.Context) ([]Finding, error) {
	info, err := os.Stat(e.path)
	if err != nil {
		return nil, fmt.Errorf("looking at the store: %w", err)
	}
	var version, mode string
	var synchronous, deletes int
	err = e.write.hold(ctx, func() error {
		for query, into := range map[string]any{"SELECT sqlite_version()": &version, "PRAGMA journal_mode": &mode, "PRAGMA synchronous": &synchronous, "PRAGMA secure_delete": &deletes} {
			if err := e.write.conn.QueryRowContext(ctx, query).Scan(into); err != nil {
				return mapSQLite(err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	log := int64(0)
	if wal, err := os.Stat(e.path + "-wal"); err == nil {
		log = wal.Size()
	}
	all := []Finding{
		found("engine", Good, "", "SQLite %s, %s in %s, log %s", version, humanize.IBytes(uint64(info.Size())), e.path, humanize.IBytes(uint64(log))),
		found("encryption at rest", Good, "", "the whole file (Adiantum), and the personal data in it besides"),
	}
	if _, err := os.Lstat(e.path + beforeRestore); err == nil {
		all = append(all, found("restore", Bad, "restore again, which owns up in the log to what is lost, once that file is removed, or moved away if you still need it: no erasure reaches into it",
			"it was broken off: %s is the store as it was before", e.path+beforeRestore))
	}
	if !strings.EqualFold(mode, "wal") || synchronous != 2 || deletes != 1 {
		return append(all, found("durability", Bad, "report this: the program sets it at every start", "journal_mode %s, synchronous %d, secure_delete %d", mode, synchronous, deletes)), nil
	}
	all = append(all, found("durability", Good, "", "every act is on the disk before it counts (WAL, synchronous=FULL), and what is erased is overwritten"))
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return append(all, found("rights", Note, "run chmod 600 on it", "the file can be read by others (%o)", perm)), nil
	}
	return all, nil
}
