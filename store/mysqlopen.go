package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// What the engine itself keeps among the settings.
const (
	settingSchema   = "schema"    // how many steps the schema has had
	settingKeyCheck = "key_check" // tells the store's key file from others'
)

// mysqlSteps are the schema's statements. Each is harmless when it was done
// before: the server keeps each by itself, so a migration may stop anywhere,
// and two may run at once.
func mysqlSteps() []string {
	return steps("BIGINT NOT NULL PRIMARY KEY", "", someContacts, " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
}

// openMySQL opens a store. Its schema, and the key file with it, is made by
// o.Migrate only: several machines share it.
func openMySQL(ctx context.Context, o Options) (engine, *Keys, bool, error) {
	m, err := parseMySQL(o.URL)
	if err != nil {
		return nil, nil, false, err
	}
	configs, err := m.configs()
	if err != nil {
		return nil, nil, false, err
	}
	connector := newNodes(configs)
	e := &mysqlEngine{
		url: m, write: sql.OpenDB(connector), lanes: make(chan struct{}, mysqlLanes), slots: make(chan struct{}, mysqlWriters), closed: make(chan struct{}),
		read: &cachedDB{db: sql.OpenDB(connector), stmts: map[string]*sql.Stmt{}},
	}
	e.write.SetMaxIdleConns(0) // sessions are kept by the engine
	e.read.db.SetMaxOpenConns(mysqlReaders)
	e.read.db.SetMaxIdleConns(mysqlReaders)
	e.read.db.SetConnMaxLifetime(connectionLife)
	e.ids.start(e.write)
	keys, created, err := e.open(ctx, o, configs)
	if err != nil {
		return nil, nil, false, errors.Join(err, e.close())
	}
	e.files, e.own = o.Files, "mysql-"+keys.checkValue()[:12]
	return e, keys, created, nil
}

func (e *mysqlEngine) open(ctx context.Context, o Options, configs []*mysql.Config) (*Keys, bool, error) {
	var version string
	if err := e.read.db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return nil, false, e.url.openingError(err)
	}
	e.words = nameOf(version, e.url.database)
	if o.Migrate {
		if err := e.migrate(ctx, configs); err != nil {
			return nil, false, err
		}
	}
	done, err := e.schemaVersion(ctx)
	if err != nil {
		return nil, false, err
	}
	check, err := e.setting(ctx, settingKeyCheck)
	if err != nil {
		return nil, false, err
	}
	switch all := int64(len(mysqlSteps())); {
	case done > all:
		return nil, false, newerSchema(done, all)
	case done == 0, check == "" && !o.Migrate:
		return nil, false, fmt.Errorf("the database %q holds no store yet: run kartotek migrate once to make it", e.url.database)
	case done < all:
		return nil, false, fmt.Errorf("the database %q was made by an older kartotek: run kartotek migrate once to bring it up to date", e.url.database)
	}
	return e.openKeys(ctx, o, check)
}

// openKeys loads the key file and refuses another store's; for a store that is
// new as well it makes one.
func (e *mysqlEngine) openKeys(ctx context.Context, o Options, check string) (*Keys, bool, error) {
	keys, created, err := loadOrCreate(o.Keys, check != "", strings.Join(e.url.hosts, ", "))
	if err != nil {
		return nil, false, err
	}
	if check == "" {
		if check, err = e.keep(ctx, settingKeyCheck, keys.checkValue()); err != nil {
			return nil, false, err
		}
	}
	if check != keys.checkValue() {
		return nil, false, fmt.Errorf("the key file %s is another store's, not that of the database %q: give the right one with --keys; nothing was changed", keys.path, e.url.database)
	}
	return keys, created, nil
}

// keep keeps a setting unless there is one already, and returns what is kept:
// of two that do so at once, one wins.
func (e *mysqlEngine) keep(ctx context.Context, name, value string) (string, error) {
	err := e.inTx(ctx, func(q queries) error {
		return q.fresh(ctx, `INSERT INTO settings (name, value) SELECT ?, ? FROM (SELECT 1 AS one) AS once WHERE NOT EXISTS (SELECT 1 FROM settings WHERE name = ?)`, name, value, name)
	})
	if err != nil {
		return "", err
	}
	return e.setting(ctx, name)
}

// setting reads what may not be there, nor its table.
func (e *mysqlEngine) setting(ctx context.Context, name string) (string, error) {
	var value string
	err := e.read.db.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = ?`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) || errorNumber(err) == errNoTable {
		return "", nil
	}
	return value, mapMySQL(err)
}

func (e *mysqlEngine) schemaVersion(ctx context.Context) (int64, error) {
	value, err := e.setting(ctx, settingSchema)
	if err != nil || value == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, ErrDamaged
	}
	return n, nil
}

// migrate brings the schema up to date. A step may take long on a large store,
// so its connection waits without limit.
func (e *mysqlEngine) migrate(ctx context.Context, configs []*mysql.Config) error {
	all := mysqlSteps()
	done, err := e.schemaVersion(ctx)
	if err != nil || done >= int64(len(all)) {
		return err
	}
	if done > 0 {
		if err := announce(ctx, e, len(all)); err != nil {
			return err
		}
	}
	patient := make([]*mysql.Config, len(configs))
	for i, c := range configs {
		patient[i] = c.Clone()
		patient[i].ReadTimeout = 0
	}
	db := sql.OpenDB(newNodes(patient))
	defer db.Close()
	for _, step := range ahead(all, done) {
		err := e.takeStep(ctx, db, step)
		switch errorNumber(err) {
		case errTableThere, errColumnThere, errIndexThere, errIndexGone: // an earlier run stopped after it
			err = nil
		}
		if err != nil {
			return fmt.Errorf("making the schema: %w", mapMySQL(err))
		}
	}
	return e.inTx(ctx, func(q queries) error {
		version := strconv.Itoa(len(all))
		n, err := q.exec(ctx, `UPDATE settings SET value = ? WHERE name = ? AND CAST(value AS SIGNED) <= ?`, version, settingSchema, len(all))
		if err != nil || n == 1 {
			return err
		}
		if _, err = q.exec(ctx, `INSERT INTO settings (name, value) VALUES (?, ?)`, settingSchema, version); errors.Is(err, ErrTaken) {
			return nil // a newer version of the program was faster
		}
		return err
	})
}

// someContacts is the condition of a step that goes from chunk to chunk: one
// transaction over all contacts would hold up every node of a cluster.
const (
	someContacts = "subscriber_id > ? AND subscriber_id <= ?"
	stepChunk    = 1000
)

var changesTable = regexp.MustCompile(`UPDATE (\w+) SET`)

// takeStep runs a step of the schema, which may be run again.
func (e *mysqlEngine) takeStep(ctx context.Context, db *sql.DB, step string) error {
	if !strings.HasSuffix(step, someContacts) {
		_, err := db.ExecContext(ctx, step)
		return err
	}
	table := changesTable.FindStringSubmatch(step)[1]
	for from := int64(0); ; {
		var to sql.NullInt64
		if err := db.QueryRowContext(ctx, `SELECT MAX(subscriber_id) FROM (SELECT subscriber_id FROM `+table+` WHERE subscriber_id > ? ORDER BY subscriber_id LIMIT ?) AS chunk`,
			from, stepChunk).Scan(&to); err != nil || !to.Valid {
			return err
		}
		if err := e.inTx(ctx, func(q queries) error {
			_, err := q.exec(ctx, step, from, to.Int64)
			return err
		}); err != nil {
			return err
		}
		from = to.Int64
	}
}
