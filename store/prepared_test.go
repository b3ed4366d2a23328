package store

import (
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// TestPreparedOnce: a prepared query keeps its plan when it is run again, also
// one whose limit is a parameter, which SQLite would plan anew each time.
func TestPreparedOnce(t *testing.T) {
	db, err := driver.Open("file:"+filepath.Join(t.TempDir(), "x.db"), setup("", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(raw any) error {
		c, ok := raw.(interface{ Raw() *sqlite3.Conn })
		if !ok {
			t.Fatalf("the driver gives a %T", raw)
		}
		if err := c.Raw().Exec(`CREATE TABLE t (a INTEGER, b INTEGER); CREATE INDEX ab ON t (a, b); INSERT INTO t VALUES (1, 1), (1, 2)`); err != nil {
			return err
		}
		stmt, _, err := c.Raw().Prepare(`SELECT b FROM t WHERE a = ? ORDER BY b LIMIT ?`)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for limit := range 3 {
			if err := stmt.BindInt(1, 1); err != nil {
				return err
			}
			if err := stmt.BindInt(2, limit); err != nil {
				return err
			}
			for stmt.Step() {
			}
			if err := stmt.Reset(); err != nil {
				return err
			}
		}
		if n := stmt.Status(sqlite3.STMTSTATUS_REPREPARE, false); n != 0 {
			t.Errorf("a query was prepared again %d times", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
