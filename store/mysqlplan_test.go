package store

import (
	"database/sql"
	"fmt"
	"testing"

	"kartotek/store/storetest"
)

// TestRowsReadForAPage counts what MariaDB reads for each page under every
// filter: a page of each stretch, wherever it lies, of thousands.
func TestRowsReadForAPage(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("SQLite's plans are read")
	}
	s := open(t, t.TempDir())
	s.crowd(t, 20_000)
	for b := range everyFilter() {
		most := 400 + 160*len(b.permissions())*len(b.ratings()) // temporary tables, too
		if b.SeenFrom != 0 {
			b.SeenFrom, b.SeenBefore = 5_000, 15_000
		}
		for name, from := range map[string]BrowseQuery{
			"first": {From: Place{1 << 62, 1 << 62}}, "middle": {From: Place{10_000, 10_000}},
			"back": {From: Place{10_000, 10_000}, Backwards: true}, "end": {FromEnd: true, Backwards: true},
		} {
			b := b
			b.From, b.FromEnd, b.Backwards, b.Limit = from.From, from.FromEnd, from.Backwards, 51
			t.Run(b.title()+", "+name, func(t *testing.T) {
				query, args := b.sql()
				if n := s.rowsRead(t, query, args); n > most {
					t.Errorf("%d rows are read", n)
				}
			})
		}
	}
}

// crowd fills the tables that are browsed, by the server alone.
func (s *Store) crowd(t *testing.T, n int) {
	t.Helper()
	db := s.engine.(*mysqlEngine).write
	for _, query := range []string{
		fmt.Sprintf(`INSERT INTO contacts (subscriber_id, newest, address_key, permission, source, rating, last_seen_at, version)
 SELECT seq, 1, UNHEX(SHA2(seq, 256)), CASE WHEN seq %% 10 < 2 THEN 1 WHEN seq %% 10 < 8 THEN 2 ELSE 3 END, IF(seq %% 100 = 0, 'Rare', 'Webform'), 1 + (seq * 7) %% 11 DIV 2 %% 5, (seq * 7919) %% %d, 1 FROM seq_1_to_%d`, n, n),
		`INSERT INTO memberships (subscriber_id, list_id, status, since, last_seen_at, rating, source, found_as)
 SELECT subscriber_id, 1, permission, 1, last_seen_at, rating, source, permission FROM contacts WHERE subscriber_id % 3 < 2`,
	} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(t.Context(), "ANALYZE TABLE contacts, memberships"); err != nil {
		t.Fatal(err)
	}
}

// rowsRead is how many rows, of tables and indexes, a query makes the server read.
func (s *Store) rowsRead(t *testing.T, query string, args []any) (n int) {
	t.Helper()
	ctx := t.Context()
	conn, err := s.engine.(*mysqlEngine).write.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "FLUSH STATUS"); err != nil {
		t.Fatal(err)
	}
	count := func(query string, each func(*sql.Rows) error, args ...any) {
		rows, err := conn.QueryContext(ctx, query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := each(rows); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	page := 0
	count(query, func(*sql.Rows) error { page++; return nil }, args...)
	if page == 0 {
		t.Fatal("the page is empty")
	}
	count("SHOW SESSION STATUS LIKE 'Handler_read%'", func(rows *sql.Rows) error {
		var name string
		var reads int
		err := rows.Scan(&name, &reads)
		n += reads
		return err
	})
	return n
}
