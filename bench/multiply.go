package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// imported is how many contacts of a large store come by an import. A larger
// one takes them several times, by SQL alone: other SubscriberIDs and address
// keys, so that a copy is paged through and counted, but doesn't open.
const imported = 1_000_000

// multiply makes a store of the large one's contacts, several times each.
func (b *bench) multiply(ctx context.Context, large place, times int) error {
	small := *b
	small.n = imported
	from, err := small.large(ctx)
	if err != nil {
		return err
	}
	b.tell("making the store of %d contacts out of that; it is kept for the next run", b.n)
	to, err := b.twin(ctx, from)
	if err != nil {
		return err
	}
	db, err := openBare(to, "PRAGMA temp_store=FILE; PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-64000")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := b.fill(ctx, db, to, times); err != nil {
		return err
	}
	if to.onServer() {
		if err := b.moveTables(ctx, databaseOf(to), databaseOf(large)); err != nil {
			return err
		}
	} else if _, err := db.ExecContext(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return err
	}
	return errors.Join(db.Close(), os.Rename(to.dir(), large.dir()))
}

// twin is a copy of a store as it is at one moment.
func (b *bench) twin(ctx context.Context, from place) (place, error) {
	to, err := b.fresh(ctx, "multiplied")
	if err != nil {
		return to, err
	}
	if !to.onServer() {
		return to, errors.Join(copyFile(from.Keys, to.Keys), duplicate(ctx, from, to))
	}
	db, err := openBare(from, "")
	if err != nil {
		return to, err
	}
	defer db.Close()
	var copies []string
	err = each(ctx, db, "SHOW TABLES", func(rows *sql.Rows) error {
		var table string
		err := rows.Scan(&table)
		into := databaseOf(to) + "." + table
		copies = append(copies, "CREATE TABLE "+into+" LIKE "+table, "INSERT INTO "+into+" SELECT * FROM "+table)
		return err
	})
	return to, errors.Join(err, do(ctx, db, copies...), os.CopyFS(to.dir(), os.DirFS(from.dir())), os.Chmod(to.Keys, 0o600))
}

// duplicate copies an embedded store.
func duplicate(ctx context.Context, from, to place) error {
	s, _, err := openStore(ctx, from)
	if err != nil {
		return err
	}
	return errors.Join(s.Backup(ctx, dbPath(to.dir())), s.Close())
}

// fill multiplies what a store holds.
func (b *bench) fill(ctx context.Context, db *sql.DB, to place, times int) error {
	tables, bytes := filled, "randomblob(32)"
	if to.onServer() { // the evidence of a copy doesn't open, and no page reads it
		tables, bytes = filled[:2], "RANDOM_BYTES(32)"
	}
	again, err := unindexed(ctx, db, to)
	if err != nil {
		return err
	}
	var last int
	if err := db.QueryRowContext(ctx, `SELECT MAX(subscriber_id) FROM contacts`).Scan(&last); err != nil {
		return err
	}
	for k := 1; k < times; k++ {
		b.tell("%d of %d", k+1, times)
		for _, table := range tables {
			if err := another(ctx, db, table, bytes, k*last, last); err != nil {
				return err
			}
		}
	}
	b.tell("making the indexes")
	if err := again(); err != nil {
		return err
	}
	return do(ctx, db,
		fmt.Sprintf(`UPDATE counters SET n = n * %d WHERE name LIKE 'permission/%%' OR name LIKE 'rating/%%' OR name LIKE 'source/%%' OR name LIKE 'list/%%'`, times),
		fmt.Sprintf(`UPDATE sequences SET next_id = %d WHERE name = 'contacts'`, times*last+1))
}

// unindexed drops the indexes of what is multiplied, and returns what makes
// them again.
func unindexed(ctx context.Context, db *sql.DB, p place) (again func() error, err error) {
	if !p.onServer() {
		return without(ctx, db, `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('contacts', 'memberships') AND sql IS NOT NULL`)
	}
	drops, adds := map[string][]string{}, map[string][]string{}
	err = each(ctx, db, `SELECT table_name, index_name, MIN(non_unique), GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics
 WHERE table_schema = DATABASE() AND table_name IN ('contacts', 'memberships') AND index_name <> 'PRIMARY' GROUP BY table_name, index_name`, func(rows *sql.Rows) error {
		var table, name, columns string
		var several bool
		err := rows.Scan(&table, &name, &several, &columns)
		kind := "UNIQUE INDEX"
		if several {
			kind = "INDEX"
		}
		drops[table] = append(drops[table], "DROP INDEX "+name)
		adds[table] = append(adds[table], "ADD "+kind+" "+name+" ("+columns+")")
		return err
	})
	alter := func(changes map[string][]string) error {
		for table, all := range changes {
			if err := do(ctx, db, "ALTER TABLE "+table+" "+strings.Join(all, ", ")); err != nil {
				return err
			}
		}
		return nil
	}
	return func() error { return alter(adds) }, errors.Join(err, alter(drops))
}

// another inserts the rows of the first contacts again, under other ids and
// random keys.
func another(ctx context.Context, db *sql.DB, table, bytes string, by, last int) error {
	var columns []string
	if err := each(ctx, db, `SELECT * FROM `+table+` LIMIT 1`, func(rows *sql.Rows) (err error) {
		columns, err = rows.Columns()
		return err
	}); err != nil {
		return err
	}
	values := slices.Clone(columns)
	for i, name := range columns {
		switch name {
		case "subscriber_id":
			values[i] = fmt.Sprintf("subscriber_id + %d", by)
		case "address_key":
			values[i] = bytes
		case "mobile_key":
			values[i] = "CASE WHEN mobile_key IS NULL THEN NULL ELSE " + bytes + " END"
		}
	}
	_, err := db.ExecContext(ctx, `INSERT INTO `+table+` (`+strings.Join(columns, ", ")+`) SELECT `+strings.Join(values, ", ")+` FROM `+table+` WHERE subscriber_id <= ? ORDER BY subscriber_id`, last)
	return err
}
