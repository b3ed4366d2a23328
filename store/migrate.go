package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
)

//go:embed schema.sql
var schema string

// newerSchema refuses a store that a newer version of the program has changed.
func newerSchema(has, known int64) error {
	return fmt.Errorf("the store was written by a newer kartotek (schema %d, this one knows %d): use that version", has, known)
}

// steps are the schema's statements, in the words of an engine: its integer
// primary key, what keeps a table in the order of its primary key, and what
// ends the making of every table.
func steps(id, clustered, tail string) []string {
	text := strings.NewReplacer("{{id}}", id, "{{clustered}}", clustered).Replace(schema)
	var out []string
	for _, s := range strings.Split(text, ";\n") {
		s = strings.TrimSpace(s)
		if strings.Contains(s, "CREATE TABLE") {
			s += tail
		}
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

func sqliteSteps() []string { return steps("INTEGER PRIMARY KEY", "WITHOUT ROWID", "") }

// migrate brings the schema up to date, in one transaction, and refuses one
// that is newer.
func (e *sqliteEngine) migrate(ctx context.Context) error {
	all := sqliteSteps()
	done, err := e.schemaVersion(ctx)
	switch {
	case err != nil:
		return err
	case done > int64(len(all)):
		return newerSchema(done, int64(len(all)))
	case done == int64(len(all)):
		return nil
	}
	return e.write.inTx(ctx, func(q queries) error {
		done, err := userVersion(ctx, q) // another process may have been first
		if err != nil {
			return err
		}
		q.changes()
		for _, step := range all[min(done, int64(len(all))):] {
			if _, err := e.write.conn.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("making the schema: %w", mapSQLite(err))
			}
		}
		_, err = e.write.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", max(done, int64(len(all)))))
		return mapSQLite(err)
	})
}

func (e *sqliteEngine) schemaVersion(ctx context.Context) (int64, error) {
	return userVersion(ctx, e.reader())
}

func userVersion(ctx context.Context, q queries) (int64, error) {
	var n int64
	err := q.get(ctx, []any{&n}, `PRAGMA user_version`)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return n, err
}
