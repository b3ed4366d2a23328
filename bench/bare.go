package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // as the store has it

	"kartotek/flows"
	"kartotek/flows/letters"
	"kartotek/store"
	"kartotek/store/mariadb"
)

// The pragmas of the store's own connections (store/sqlite.go).
const (
	readPragmas  = "PRAGMA temp_store=MEMORY; PRAGMA query_only=ON; PRAGMA cache_size=-3000"
	writePragmas = "PRAGMA temp_store=MEMORY; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA cache_size=-32000; PRAGMA wal_autocheckpoint=4000"
)

// place is where a store of the bench lies.
type place struct{ URL, Keys string }

func (p place) onServer() bool { return strings.HasPrefix(p.URL, "mysql://") }

// dir is the directory of an embedded store, and of the keys of any.
func (p place) dir() string { return filepath.Dir(p.Keys) }

func dbPath(dir string) string { return filepath.Join(dir, "kartotek.db") }

// embedded is the place of an embedded store in a directory.
func embedded(dir string) place {
	return place{URL: "sqlite:" + dbPath(dir), Keys: filepath.Join(dir, "keys.json")}
}

// openBare opens the database of a place by the driver alone.
func openBare(p place, pragmas string) (*sql.DB, error) {
	open := bareSQLite
	if p.onServer() {
		open = bareMariaDB
	}
	db, err := open(p, pragmas)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func bareMariaDB(p place, _ string) (*sql.DB, error) {
	server, database, _ := strings.Cut(strings.TrimPrefix(p.URL, "mysql://"), "/")
	return sql.Open("mysql", mariadb.DSN(server, database))
}

func bareSQLite(p place, pragmas string) (*sql.DB, error) {
	data, err := os.ReadFile(p.Keys)
	if err != nil {
		return nil, err
	}
	var f struct {
		Peppers []string `json:"peppers"`
	}
	if err := json.Unmarshal(data, &f); err != nil || len(f.Peppers) == 0 {
		return nil, errors.Join(err, errors.New("no pepper in the key file"))
	}
	pepper, err := hex.DecodeString(f.Peppers[0])
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, pepper, nil, "kartotek database file", 32)
	if err != nil {
		return nil, err
	}
	return driver.Open("file:"+dbPath(p.dir())+"?vfs=adiantum", func(c *sqlite3.Conn) error {
		return c.Exec("PRAGMA hexkey='" + hex.EncodeToString(key) + "'; PRAGMA busy_timeout=30000; " + pragmas)
	})
}

// openStore opens the store of a place, with the flows on it.
func openStore(ctx context.Context, p place) (*store.Store, *flows.Service, error) {
	s, err := store.Open(ctx, store.Options{URL: p.URL, Keys: p.Keys, Files: p.dir(), Migrate: true})
	if err != nil {
		return nil, nil, err
	}
	return s, flows.New(s, flows.Config{PublicURL: "http://127.0.0.1", Company: "Bench", From: letters.Sender{Address: "news@" + signingDomain}}), nil
}

// staff is who does what is measured.
var staff = flows.Actor{Name: "bench", Role: flows.Owner, From: "bench"}
