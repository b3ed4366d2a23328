package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	to := embedded(filepath.Join(b.tmp, "multiplied"))
	b.tell("making the store of %d contacts out of that; it is kept for the next run", b.n)
	if err := errors.Join(os.MkdirAll(to.dir(), 0o700), copyFile(from.Keys, to.Keys)); err != nil {
		return err
	}
	if err := duplicate(ctx, from, to); err != nil {
		return err
	}
	db, err := openBare(to, "PRAGMA temp_store=FILE; PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-64000")
	if err != nil {
		return err
	}
	defer db.Close()
	again, err := without(ctx, db, `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('contacts', 'memberships') AND sql IS NOT NULL`)
	if err != nil {
		return err
	}
	var last int
	if err := db.QueryRowContext(ctx, `SELECT MAX(subscriber_id) FROM contacts`).Scan(&last); err != nil {
		return err
	}
	for k := 1; k < times; k++ {
		b.tell("%d of %d", k+1, times)
		for _, table := range filled {
			if err := another(ctx, db, table, k*last, last); err != nil {
				return err
			}
		}
	}
	b.tell("making the indexes")
	if err := again(); err != nil {
		return err
	}
	if err := do(ctx, db,
		fmt.Sprintf(`UPDATE counters SET n = n * %d WHERE name LIKE 'permission/%%' OR name LIKE 'rating/%%' OR name LIKE 'source/%%' OR name LIKE 'list/%%'`, times),
		fmt.Sprintf(`UPDATE sequences SET next_id = %d WHERE name = 'contacts'`, times*last+1),
		"PRAGMA journal_mode=WAL"); err != nil {
		return err
	}
	return errors.Join(db.Close(), os.Rename(to.dir(), large.dir()))
}

// duplicate copies an embedded store as it is at one moment.
func duplicate(ctx context.Context, from, to place) error {
	s, _, err := openStore(ctx, from)
	if err != nil {
		return err
	}
	return errors.Join(s.Backup(ctx, dbPath(to.dir())), s.Close())
}

// another inserts the rows of the first contacts again, under other ids.
func another(ctx context.Context, db *sql.DB, table string, by, last int) error {
	columns, values, err := columnsOf(ctx, db, table)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `INSERT INTO `+table+` (`+columns+`) SELECT `+values+` FROM `+table+` WHERE subscriber_id <= ? ORDER BY subscriber_id`, by, last)
	return err
}

// columnsOf are a table's columns, and what they are of another contact.
func columnsOf(ctx context.Context, db *sql.DB, table string) (columns, values string, err error) {
	err = each(ctx, db, `SELECT name FROM pragma_table_info('`+table+`')`, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		value := name
		switch name {
		case "subscriber_id":
			value = "subscriber_id + ?"
		case "address_key":
			value = "randomblob(32)"
		case "mobile_key":
			value = "CASE WHEN mobile_key IS NULL THEN NULL ELSE randomblob(32) END"
		}
		if columns != "" {
			columns, values = columns+", ", values+", "
		}
		columns, values = columns+name, values+value
		return err
	})
	return columns, values, err
}
