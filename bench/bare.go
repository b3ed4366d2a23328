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

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // as the store has it

	"kartotek/flows"
	"kartotek/store"
)

// The pragmas of the store's own connections (store/sqlite.go).
const (
	readPragmas  = "PRAGMA temp_store=MEMORY; PRAGMA query_only=ON; PRAGMA cache_size=-8000"
	writePragmas = "PRAGMA temp_store=MEMORY; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA cache_size=-32000; PRAGMA wal_autocheckpoint=4000"
)

func dbPath(dir string) string   { return filepath.Join(dir, "kartotek.db") }
func keysPath(dir string) string { return filepath.Join(dir, "keys.json") }

// openBare opens the database of a directory by the driver alone.
func openBare(dir, pragmas string) (*sql.DB, error) {
	data, err := os.ReadFile(keysPath(dir))
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
	db, err := driver.Open("file:"+dbPath(dir)+"?vfs=adiantum", func(c *sqlite3.Conn) error {
		return c.Exec("PRAGMA hexkey='" + hex.EncodeToString(key) + "'; PRAGMA busy_timeout=30000; " + pragmas)
	})
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// openStore opens the store of a directory, with the flows on it.
func openStore(ctx context.Context, dir string) (*store.Store, *flows.Service, error) {
	s, err := store.Open(ctx, store.Options{URL: "sqlite:" + dbPath(dir), Keys: keysPath(dir)})
	if err != nil {
		return nil, nil, err
	}
	return s, flows.New(s, flows.Config{PublicURL: "http://127.0.0.1", Company: "Bench"}), nil
}

// staff is who does what is measured.
var staff = flows.Actor{Name: "bench", Role: flows.Owner, From: "bench"}
