package storetest

import (
	"crypto/hkdf"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // embedded stores are encrypted

	"kartotek/store/mariadb"
)

// SQL opens the database of a store past the store, as somebody would who
// tampers with it.
func SQL(t testing.TB, p Place) *sql.DB {
	t.Helper()
	open := func() (*sql.DB, error) {
		server, database := databaseOf(p.URL)
		return sql.Open("mysql", mariadb.DSN(server, database))
	}
	if path, ok := strings.CutPrefix(p.URL, "sqlite:"); ok {
		open = func() (*sql.DB, error) {
			key := fileKey(t, p.Keys)
			return driver.Open("file:"+path+"?vfs=adiantum", func(c *sqlite3.Conn) error {
				return c.Exec("PRAGMA hexkey='" + key + "'; PRAGMA busy_timeout=30000")
			})
		}
	}
	db, err := open()
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// fileKey is the key of an encrypted database file, out of its key file.
func fileKey(t testing.TB, keys string) string {
	t.Helper()
	var f struct{ Peppers []string }
	data, err := os.ReadFile(keys)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil || len(f.Peppers) == 0 {
		t.Fatalf("reading %s: %v", keys, err)
	}
	pepper, err := hex.DecodeString(f.Peppers[0])
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, pepper, nil, "kartotek database file", 32)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(key)
}
