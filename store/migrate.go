package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed schema.sql
var schema string

// steps are the schema's statements, in the words of an engine: its integer
// primary key, what keeps a table in the order of its primary key, which
// contacts a change is about, and what ends the making of every table.
func steps(id, clustered, some, tail string) []string {
	text := strings.NewReplacer("{{id}}", id, "{{clustered}}", clustered, "{{some}}", some).Replace(schema)
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

var (
	makesIndex = regexp.MustCompile(`CREATE (?:UNIQUE )?INDEX (\w+)`)
	dropsIndex = regexp.MustCompile(`DROP INDEX (?:IF EXISTS )?(\w+)(?: ON \w+)?`)
)

// ahead are the steps that a store still has to take. A new one doesn't make
// the indexes that a later step drops.
func ahead(all []string, done int64) []string {
	if done > 0 {
		return all[min(done, int64(len(all))):]
	}
	dropped := map[string]bool{}
	for _, step := range all {
		if m := dropsIndex.FindStringSubmatch(step); m != nil {
			dropped[m[1]] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(step string) bool {
		m := makesIndex.FindStringSubmatch(step)
		return m != nil && dropped[m[1]] || dropsIndex.MatchString(step)
	})
}

// sqliteSteps are the schema's statements. A load may have dropped an index.
func sqliteSteps() []string {
	all := steps("INTEGER PRIMARY KEY", "WITHOUT ROWID", "subscriber_id > 0", "")
	for i, step := range all {
		all[i] = dropsIndex.ReplaceAllString(step, "DROP INDEX IF EXISTS $1")
	}
	return all
}

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
	if done > 0 {
		if err := announce(ctx, e, len(all)); err != nil {
			return err
		}
	}
	return e.sorting(ctx, func() error { return e.migrateFrom(ctx, all) })
}

func (e *sqliteEngine) migrateFrom(ctx context.Context, all []string) error {
	return e.write.inTx(ctx, func(q queries) error {
		done, err := userVersion(ctx, q) // another process may have been first
		if err != nil {
			return err
		}
		q.changes()
		for _, step := range ahead(all, done) {
			if _, err := e.write.conn.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("making the schema: %w", mapSQLite(err))
			}
		}
		_, err = e.write.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", max(done, int64(len(all)))))
		return mapSQLite(err)
	})
}

// sorting runs fn while indexes are sorted in files.
func (e *sqliteEngine) sorting(ctx context.Context, fn func() error) error {
	set := func(ctx context.Context, pragmas string) error {
		return e.write.hold(ctx, func() error {
			_, err := e.write.conn.ExecContext(ctx, pragmas)
			return mapSQLite(err)
		})
	}
	if err := set(ctx, sortPragmas); err != nil {
		return err
	}
	return errors.Join(fn(), set(context.WithoutCancel(ctx), unsort))
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
