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

// steps are the schema's statements, in the words of the engine.
func steps() []string {
	text := strings.NewReplacer("{{id}}", "INTEGER PRIMARY KEY", "{{clustered}}", "WITHOUT ROWID").Replace(schema)
	var out []string
	for _, s := range strings.Split(text, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// migrate brings the schema up to date, and refuses one that is newer.
func (s *Store) migrate(ctx context.Context) error {
	all := steps()
	done, err := s.schemaSteps(ctx)
	switch {
	case err != nil:
		return err
	case done > int64(len(all)):
		return fmt.Errorf("the store was written by a newer kartotek (schema %d, this one knows %d): use that version", done, len(all))
	case done == int64(len(all)):
		return nil
	}
	return s.write.inTx(ctx, func(q queries) error {
		done, err := s.schemaStepsIn(ctx, q) // another process may have been first
		if err != nil {
			return err
		}
		for _, step := range all[min(done, int64(len(all))):] {
			if _, err := s.write.conn.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("making the schema: %w", mapError(err))
			}
		}
		_, err = s.write.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", max(done, int64(len(all)))))
		return mapError(err)
	})
}

// SchemaVersion is how many steps of the schema the store has had.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) { return s.schemaSteps(ctx) }

func (s *Store) schemaSteps(ctx context.Context) (int64, error) {
	return s.schemaStepsIn(ctx, s.queries)
}

func (s *Store) schemaStepsIn(ctx context.Context, q queries) (int64, error) {
	var n int64
	err := q.get(ctx, []any{&n}, `PRAGMA user_version`)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return n, err
}
