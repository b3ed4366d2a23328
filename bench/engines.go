package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kartotek/store/mariadb"
)

// The engines that can be measured.
const (
	sqlite  = "sqlite"
	mariaDB = "mariadb"
)

// serverSettings are those of a server that has this machine to itself, as
// docs/server.md recommends: with room for a store of a million contacts and for
// what an import of them logs, and every commit on the disk.
var serverSettings = []string{
	"--innodb-buffer-pool-size=4G", "--innodb-log-file-size=2G", "--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=O_DIRECT",
}

// timingSettings let a server time what it is asked to.
var timingSettings = []string{"--performance-schema=ON", "--performance-schema-instrument=%=OFF"}

// startServer starts the MariaDB that is measured, on the disk, as a part wants
// it. Its data are kept for the next run.
func (b *bench) startServer(timed bool) error {
	if b.server != nil && b.timed == timed {
		return nil
	}
	if err := mariadb.Installed(); err != nil {
		return err
	}
	if b.server != nil {
		b.server.Stop()
	}
	settings := serverSettings
	if timed {
		settings = slices.Concat(settings, timingSettings)
	}
	b.tell("starting a private MariaDB")
	var err error
	b.server, err = mariadb.Start(mariadb.Options{Data: filepath.Join(b.dir, "mariadb"), Settings: settings})
	b.timed = timed
	return err
}

// fresh is the place of a new store on the engine that is measured. It is gone
// after the run.
func (b *bench) fresh(ctx context.Context, name string) (place, error) {
	p := embedded(filepath.Join(b.tmp, name))
	if err := os.MkdirAll(p.dir(), 0o700); err != nil || b.engine == sqlite {
		return p, err
	}
	id := make([]byte, 8)
	rand.Read(id)
	database := "run_" + hex.EncodeToString(id)
	if err := b.onServer(ctx, "CREATE DATABASE "+database); err != nil {
		return p, err
	}
	b.databases = append(b.databases, database)
	p.URL = b.url(database)
	return p, nil
}

func (b *bench) url(database string) string { return "mysql://" + b.server.Address + "/" + database }

// onServer runs statements on the server.
func (b *bench) onServer(ctx context.Context, statements ...string) error {
	db, err := sql.Open("mysql", b.server.DSN(""))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func databaseOf(p place) string { return p.URL[strings.LastIndexByte(p.URL, '/')+1:] }

// drop takes away a store of this run.
func (b *bench) drop(ctx context.Context, p place) error {
	err := os.RemoveAll(p.dir())
	if p.onServer() {
		err = errors.Join(err, b.onServer(ctx, "DROP DATABASE IF EXISTS "+databaseOf(p)))
	}
	return err
}

// moveTables moves what a database holds into a new one.
func (b *bench) moveTables(ctx context.Context, from, to string) error {
	db, err := sql.Open("mysql", b.server.DSN(from))
	if err != nil {
		return err
	}
	defer db.Close()
	statements := []string{"DROP DATABASE IF EXISTS " + to, "CREATE DATABASE " + to}
	if err := each(ctx, db, "SHOW TABLES", func(rows *sql.Rows) error {
		var table string
		err := rows.Scan(&table)
		statements = append(statements, fmt.Sprintf("RENAME TABLE %s.%s TO %s.%s", from, table, to, table))
		return err
	}); err != nil {
		return err
	}
	return b.onServer(ctx, statements...)
}

// clear takes away what a run made, and ends the server.
func (b *bench) clear(ctx context.Context) error {
	err := os.RemoveAll(b.tmp)
	for _, database := range b.databases {
		err = errors.Join(err, b.onServer(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+database))
	}
	if b.server != nil {
		b.server.Stop()
	}
	return err
}
