package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kartotek/store/mariadb"
	"kartotek/store/storetest"
)

// loading is a store on a server of its own, with two tables that are alike.
type loading struct {
	*Store
	t      testing.TB
	server *mariadb.Server
	db     *sql.DB
}

func newLoading(t testing.TB, settings ...string) *loading {
	t.Helper()
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database server")
	}
	own, dir := storetest.StartFor(t, settings...), t.TempDir()
	url := storetest.On(t, own.Address)
	db, err := sql.Open("mysql", mariadb.DSN(own.Address, url[strings.LastIndexByte(url, '/')+1:]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := Open(t.Context(), Options{URL: url, Keys: filepath.Join(dir, "keys.json"), Files: dir, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	l := &loading{s, t, own, db}
	for _, table := range []string{"given", "loaded"} {
		l.do(`CREATE TABLE ` + table + ` (id BIGINT NOT NULL PRIMARY KEY, a VARBINARY(300), b VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, c DOUBLE, d MEDIUMBLOB, e SMALLINT NOT NULL)`)
	}
	return l
}

func (l *loading) do(statement string) {
	l.t.Helper()
	if _, err := l.db.Exec(statement); err != nil {
		l.t.Fatal(err)
	}
}

func (l *loading) number(query string) (n int) {
	l.t.Helper()
	var name, value string
	if err := l.db.QueryRow(query).Scan(&name, &value); err != nil {
		l.t.Fatal(err)
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// files is how many were given to the server so far.
func (l *loading) files() int {
	l.t.Helper()
	return l.number("SHOW GLOBAL STATUS LIKE 'Com_load'")
}

func (l *loading) insert(table string, rows [][]any) error {
	l.t.Helper()
	return l.InTx(l.t.Context(), func(tx *Tx) error {
		return tx.insertAll(l.t.Context(), `INSERT INTO `+table+` (id, a, b, c, d, e)`, rows)
	})
}

// nasty are values that a file could be read otherwise for.
var nasty = []string{"", "\\", "\\N", "NULL", "\t", "\n", "\r\n", "\x00", "a\\", "\\\n", "\x1a", "'", `"`, "\\t", "ø\u202e中😀", ",", " "}

func nastyRows(n int) [][]any {
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([][]any, n)
	for i := range rows {
		b := make([]byte, random.IntN(300))
		for k := range b {
			b[k] = byte(random.Uint32())
		}
		rows[i] = []any{int64(i), b, nasty[i%len(nasty)], random.NormFloat64() * math.Pow(10, float64(random.IntN(600)-300)), bytes.Repeat(b, 200), Confirmed}
		switch i % 7 {
		case 0:
			rows[i][1], rows[i][2], rows[i][3], rows[i][4] = nil, nil, nil, nil
		case 1:
			rows[i][1], rows[i][4], rows[i][5] = []byte(nasty[i%len(nasty)]), []byte(nasty[i%len(nasty)]), true
		}
	}
	return rows
}

// TestRowsAsFile: rows that a server is given as a file are the same as those
// that it is given with statements, whatever is in them.
func TestRowsAsFile(t *testing.T) {
	l := newLoading(t)
	rows := nastyRows(10 * loadedFrom)
	before := l.files()
	if err := l.insert("loaded", rows); err != nil || l.files() != before+1 {
		t.Fatalf("%d files: %v", l.files()-before, err)
	}
	for len(rows) > 0 {
		n := min(len(rows), loadedFrom-1)
		if err := l.insert("given", rows[:n]); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if l.files() != before+1 {
		t.Error("a few rows are given as a file")
	}
	if given, loaded := l.number("CHECKSUM TABLE given"), l.number("CHECKSUM TABLE loaded"); given != loaded {
		t.Errorf("the rows of a file are others: checksum %d, not %d", loaded, given)
	}
}

// TestRowsAmiss: of rows that can't all be kept as they are, none is kept, and
// what is said is the same as with statements. A server that takes no files is
// given statements.
func TestRowsAmiss(t *testing.T) {
	l := newLoading(t)
	l.do("INSERT INTO loaded (id, e) VALUES (5, 1)")
	amiss := func(what string, want error, change func(rows [][]any)) {
		t.Helper()
		rows := nastyRows(loadedFrom)
		for i, r := range rows {
			r[0] = int64(1000 + i)
		}
		change(rows)
		err := l.InTx(t.Context(), func(tx *Tx) error {
			if _, err := tx.exec(t.Context(), `INSERT INTO given (id, e) VALUES (1, 1)`); err != nil {
				return err
			}
			return tx.engine.insertAll(t.Context(), tx, `INSERT INTO loaded (id, a, b, c, d, e)`, rows)
		})
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
		var n, m int
		if err := l.db.QueryRow("SELECT (SELECT COUNT(*) FROM loaded), (SELECT COUNT(*) FROM given)").Scan(&n, &m); err != nil || n != 1 || m != 0 {
			t.Fatalf("%s: %d rows, and %d of before, are left: %v", what, n, m, err)
		}
	}
	before := l.files()
	amiss("a row that is there", ErrTaken, func(rows [][]any) { rows[9][0] = int64(5) })
	amiss("a row twice", ErrTaken, func(rows [][]any) { rows[9][0] = rows[8][0] })
	amiss("a text that is too long", ErrTooLong, func(rows [][]any) { rows[9][2] = strings.Repeat("x", 101) })
	amiss("a text that is none", nil, func(rows [][]any) { rows[9][2] = "\xff\xfe" })
	amiss("a number that is too large", nil, func(rows [][]any) { rows[9][5] = int64(70_000) })
	amiss("nothing where something must be", nil, func(rows [][]any) { rows[9][5] = nil })
	if l.files() == before {
		t.Error("no file was tried")
	}
	l.do("SET GLOBAL local_infile = 0")
	if err := l.insert("loaded", nastyRows(4)[:4]); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		rows := nastyRows(loadedFrom)
		for k, r := range rows {
			r[0] = int64(1000*(i+1) + k)
		}
		if err := l.insert("loaded", rows); err != nil {
			t.Fatalf("on a server that takes no files: %v", err)
		}
	}
	var n int
	if err := l.db.QueryRow("SELECT COUNT(*) FROM loaded").Scan(&n); err != nil || n != 1+4+2*loadedFrom {
		t.Errorf("%d rows: %v", n, err)
	}
	if !l.engine.(*mysqlEngine).noFiles.Load() {
		t.Error("the server's refusal is not remembered")
	}
}

// BenchmarkInsert compares the ways of giving a server the rows of an import:
// 500 contacts with their memberships and evidence in each transaction. CPU time
// tells most: of the server, and of this process.
func BenchmarkInsert(b *testing.B) {
	for name, without := range map[string]bool{"file": false, "statements": true} {
		b.Run(name, func(b *testing.B) {
			l := newLoading(b, "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M")
			l.engine.(*mysqlEngine).noFiles.Store(without)
			const rows = 500
			var server, client time.Duration
			b.ResetTimer()
			for n := range b.N {
				b.StopTimer()
				put := l.chunk(int64(n)*rows, rows)
				server, client = server-l.cpu(), client-ownCPU(b)
				b.StartTimer()
				if err := l.InTx(b.Context(), put); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				server, client = server+l.cpu(), client+ownCPU(b)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(server.Microseconds())/float64(b.N*rows), "server-µs/row")
			b.ReportMetric(float64(client.Microseconds())/float64(b.N*rows), "client-µs/row")
		})
	}
}

// chunk makes the rows of an import's transaction, and returns what puts them in.
func (l *loading) chunk(after int64, n int) func(*Tx) error {
	l.t.Helper()
	var contacts []*Contact
	var places []*Membership
	var acts []*Evidence
	for i := range int64(n) {
		address, err := ParseAddress(fmt.Sprintf("person.%d@example.com", after+i))
		if err != nil {
			l.t.Fatal(err)
		}
		c := &Contact{SubscriberID: after + i + 1, Permission: Confirmed, Source: "Import", SignedUpAt: 1, ConfirmedAt: 2, LastSeenAt: Micros(rand.Int64N(1e9))}
		key, err := l.Keys().EvidenceKey(address)
		if err := errors.Join(err, l.Seal(c, Person{Email: address.Canonical(), Mobile: fmt.Sprintf("+4520%06d", after+i), FirstName: "Anna", LastName: "Jensen"})); err != nil {
			l.t.Fatal(err)
		}
		for _, kind := range []Kind{SignedUp, Confirmation} {
			acts = append(acts, key.Prepare(c, kind, 1, EvidenceAct{IP: "192.0.2.7", List: "News", Note: "imported"}))
		}
		contacts, places = append(contacts, c), append(places, &Membership{SubscriberID: c.SubscriberID, ListID: 1, Status: Subscribed, Since: 2})
	}
	return func(tx *Tx) error {
		if err := tx.AddContacts(l.t.Context(), contacts); err != nil {
			return err
		}
		if err := tx.AddMemberships(l.t.Context(), contacts, places); err != nil {
			return err
		}
		return tx.InsertEvidences(l.t.Context(), acts)
	}
}

func (l *loading) cpu() time.Duration {
	l.t.Helper()
	d, err := l.server.CPU()
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

func ownCPU(t testing.TB) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
