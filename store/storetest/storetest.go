// Package storetest gives tests a fresh store on each engine: SQLite always,
// and a private MariaDB that ends with the test process. It knows nothing of
// the store but its address, and no program imports it.
package storetest

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kartotek/store/mariadb"
)

// ServerVariable, in the environment, names a MySQL server to test on instead
// of a private one: USER:PASS@HOST:PORT of a user who may make databases. The
// nodes of a cluster are told with commas between them.
const ServerVariable = "KARTOTEK_TEST_MYSQL"

// The engines.
const (
	SQLite = "SQLite"
	MySQL  = "MySQL"
)

// Place is where a store of a test lies, for store.Options.
type Place struct{ URL, Keys, Files string }

// Engine is the one that tests run on now.
var Engine = SQLite

// Both runs all tests of a package on each engine, one after the other, and
// returns the exit code. Fuzzing needs one only.
func Both(m *testing.M) int {
	flag.Parse()
	engines := []string{SQLite, MySQL}
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		engines = engines[:1]
	}
	for _, Engine = range engines {
		if code := m.Run(); code != 0 {
			fmt.Fprintf(os.Stderr, "these tests failed on %s\n", Engine)
			return code
		}
	}
	return 0
}

// Embedded skips a test that is about the embedded store alone.
func Embedded(t testing.TB) {
	t.Helper()
	if Engine != SQLite {
		t.Skip("this is about SQLite alone")
	}
}

// At is the place of the store of a directory, on the engine that tests run
// on now. It is gone after the test.
func At(t testing.TB, dir string) Place {
	t.Helper()
	p := Place{URL: "sqlite:" + filepath.Join(dir, "k.db"), Keys: filepath.Join(dir, "keys.json"), Files: dir}
	if Engine == SQLite {
		return p
	}
	placesMu.Lock()
	defer placesMu.Unlock()
	if places[dir] == "" {
		places[dir] = On(t, shared(t))
	}
	p.URL = places[dir]
	return p
}

var (
	placesMu sync.Mutex
	places   = map[string]string{} // the database of each directory
)

// On makes an empty database on a server, and returns the address of a store
// there.
func On(t testing.TB, server string) string {
	t.Helper()
	name := make([]byte, 8)
	rand.Read(name)
	database := "kartotek_test_" + hex.EncodeToString(name)
	Do(t, server, "CREATE DATABASE "+database)
	t.Cleanup(func() { Do(t, server, "DROP DATABASE IF EXISTS "+database) })
	url := "mysql://" + server + "/" + database
	if !strings.Contains(server, "@127.0.0.1:") {
		url += "?tls=preferred" // a network of the tests' own may have no certificates
	}
	return url
}

// databaseOf parts the address of a store, without its options.
func databaseOf(url string) (server, database string) {
	url, _, _ = strings.Cut(strings.TrimPrefix(url, "mysql://"), "?")
	server, database, _ = strings.Cut(url, "/")
	return server, database
}

// Do runs statements on a server, USER:PASS@HOST:PORT.
func Do(t testing.TB, server string, statements ...string) {
	t.Helper()
	db, err := sql.Open("mysql", mariadb.DSN(server, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	once   sync.Once
	server *mariadb.Server
	failed error
)

// shared is the server that the tests of this process share.
func shared(t testing.TB) string {
	t.Helper()
	if given := os.Getenv(ServerVariable); given != "" {
		return given
	}
	Need(t)
	once.Do(func() { server, failed = mariadb.Start(mariadb.Options{}) })
	if failed != nil {
		t.Fatalf("starting a private MariaDB: %v", failed)
	}
	return server.Address
}

// StartFor starts a server for one test alone, with settings such as --innodb-buffer-pool-size=1G.
func StartFor(t testing.TB, settings ...string) *mariadb.Server {
	t.Helper()
	Need(t)
	s, err := mariadb.Start(mariadb.Options{Settings: settings})
	if err != nil {
		t.Fatalf("starting a private MariaDB: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Restart kills a server and brings it up again.
func Restart(t testing.TB, s *mariadb.Server) {
	t.Helper()
	s.Kill()
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
}

// Need skips a test where MariaDB isn't installed; with CI=true it fails.
func Need(t testing.TB) {
	t.Helper()
	switch err := mariadb.Installed(); {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// Snapshot copies all tables of a store's database beside it, and returns what
// puts them back as they were.
func Snapshot(t testing.TB, url string) (restore func()) {
	t.Helper()
	address, database := databaseOf(url)
	copied := database + "_copy"
	Do(t, address, "CREATE DATABASE "+copied)
	t.Cleanup(func() { Do(t, address, "DROP DATABASE IF EXISTS "+copied) })
	db, err := sql.Open("mysql", mariadb.DSN(address, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", database)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var back []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		from, to := database+"."+table, copied+"."+table
		Do(t, address, "CREATE TABLE "+to+" LIKE "+from, "INSERT INTO "+to+" SELECT * FROM "+from)
		back = append(back, "DELETE FROM "+from, "INSERT INTO "+from+" SELECT * FROM "+to)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return func() { t.Helper(); Do(t, address, back...) }
}
