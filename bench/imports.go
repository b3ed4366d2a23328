package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"kartotek/flows"
)

// childWord makes the program a child that does one job: peak memory can only
// be told of a process that did nothing else.
const childWord = "child"

// job is what a child does, and what it found.
type job struct {
	Bare bool  // insert the rows of From, instead of importing File
	N    int   // how many those are
	To   place // a new store
	File string
	From place
	Sink string // where to send the letters of To, instead
	Put  int    // how many letters to put into To, instead
}

type outcome struct {
	Rows int64
	Took time.Duration
	Peak int64 // the most memory that the child took, in kilobytes
}

// What flows has: rows in one transaction, and in one of a load.
const (
	importChunk = 500
	loadChunk   = 4000
	loadFrom    = 20_000
)

// imports compares the import with a bare insert of the rows that it sealed,
// and its peak memory at two sizes.
func (b *bench) imports(ctx context.Context) error {
	small := b.n / 10
	var peaks []int64
	for _, n := range []int{small, b.n} {
		peak, err := b.importing(ctx, n)
		if err != nil {
			return err
		}
		peaks = append(peaks, peak)
	}
	b.addPeaks(small, peaks)
	return nil
}

func (b *bench) importing(ctx context.Context, n int) (peak int64, err error) {
	b.tell("importing %d rows, then inserting them bare", n)
	ours, err := b.fresh(ctx, fmt.Sprint("import-", n))
	if err != nil {
		return 0, err
	}
	bare, err := b.fresh(ctx, fmt.Sprint("bare-", n))
	if err != nil {
		return 0, err
	}
	file, err := b.csvFile(n, 1)
	if err != nil {
		return 0, err
	}
	imported, peak, err := child(ctx, job{To: ours, File: file})
	if err != nil {
		return 0, err
	}
	inserted, _, err := child(ctx, job{Bare: true, N: n, To: bare, From: ours})
	if err != nil {
		return 0, err
	}
	b.addImport(n, imported, inserted)
	if n == b.n {
		if err := b.keepIfNone(ctx, ours); err != nil {
			return 0, err
		}
	}
	return peak, errors.Join(b.drop(ctx, ours), b.drop(ctx, bare))
}

// flatFrom is how many rows fill the caches that an import may have.
const flatFrom = 100_000

func (b *bench) addPeaks(small int, peaks []int64) {
	ratio := float64(peaks[1]) / float64(peaks[0])
	r := row{what: fmt.Sprintf("peak memory, %d rows against %d", b.n, small), ours: megabytes(peaks[1]), baseline: megabytes(peaks[0]), ratio: fmt.Sprintf("%.2fx", ratio)}
	if small >= flatFrom {
		r.target, r.verdict = "within 20 %", verdict(math.Abs(ratio-1) <= 0.2)
	}
	b.add(r)
}

func (b *bench) addImport(n int, imported, inserted outcome) {
	ours, bare := float64(imported.Rows)/imported.Took.Seconds(), float64(inserted.Rows)/inserted.Took.Seconds()
	b.add(row{
		what: fmt.Sprintf("import with sealing, %d rows", n), ours: fmt.Sprintf("%.0f rows/s", ours), baseline: fmt.Sprintf("%.0f rows/s", bare),
		ratio: fmt.Sprintf("%.0f %%", 100*ours/bare), target: ">= 50 %", verdict: verdict(ours >= 0.5*bare),
	})
}

func megabytes(kb int64) string { return fmt.Sprintf("%.1f MB", float64(kb)/1024) }

// keepIfNone makes the imported store the large one, where there is none yet.
func (b *bench) keepIfNone(ctx context.Context, imported place) error {
	large, err := b.largePlace(ctx)
	if err != nil {
		return err
	}
	if _, err := os.Stat(large.dir()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return b.keep(ctx, imported, large)
}

// child runs a job in a process of its own; peak is in kilobytes.
func child(ctx context.Context, j job) (out outcome, peak int64, err error) {
	self, err := os.Executable()
	if err != nil {
		return out, 0, err
	}
	order, err := json.Marshal(j)
	if err != nil {
		return out, 0, err
	}
	cmd := exec.CommandContext(ctx, self, childWord, string(order))
	var found bytes.Buffer
	cmd.Stdout, cmd.Stderr = &found, os.Stderr
	if err := cmd.Run(); err != nil {
		return out, 0, err
	}
	err = json.Unmarshal(found.Bytes(), &out)
	return out, out.Peak, err
}

// ownPeak is the most memory that this process took, in kilobytes. What its
// parent tells of it (getrusage) begins at what that had itself.
func ownPeak() (kilobytes int64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscan(rest, &kilobytes)
	return kilobytes, err
}

func (j job) run(ctx context.Context, w io.Writer) error {
	do := j.importFile
	switch {
	case j.Bare:
		do = j.insertBare
	case j.Sink != "":
		do = j.send
	case j.Put > 0:
		do = j.putLetters
	}
	out, err := do(ctx)
	if err != nil {
		return err
	}
	if out.Peak, err = ownPeak(); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(out)
}

func (j job) importFile(ctx context.Context) (outcome, error) {
	s, desk, err := openStore(ctx, j.To)
	if err != nil {
		return outcome{}, err
	}
	start := time.Now()
	res, err := desk.Import(ctx, staff, j.File, flows.ImportOptions{List: importList, Confirmed: true}, nil)
	return outcome{Rows: res.Read, Took: time.Since(start)}, errors.Join(err, s.Close())
}

// insertBare inserts the sealed rows of another store into a new one of the
// same keys, schema and chunks. Reading them doesn't count.
func (j job) insertBare(ctx context.Context) (out outcome, err error) {
	if err := errors.Join(os.MkdirAll(j.To.dir(), 0o700), copyFile(j.From.Keys, j.To.Keys)); err != nil {
		return out, err
	}
	s, _, err := openStore(ctx, j.To) // makes the schema
	if err != nil {
		return out, err
	}
	if err := s.Close(); err != nil {
		return out, err
	}
	from, err := openBare(j.From, readPragmas)
	if err != nil {
		return out, err
	}
	defer from.Close()
	to, err := openBare(j.To, writePragmas)
	if err != nil {
		return out, err
	}
	defer to.Close()
	conn, err := to.Conn(ctx)
	if err != nil {
		return out, err
	}
	defer conn.Close()
	in := inserter{from: from, to: conn, atOnce: 1, chunkOf: importChunk, inserts: map[string]*sql.Stmt{}}
	if j.To.onServer() {
		in.atOnce = importChunk
	}
	if j.N >= loadFrom {
		in.chunkOf = loadChunk
	}
	again, err := withoutIndexes(ctx, conn, j.To)
	if err != nil {
		return out, err
	}
	for {
		n, took, err := in.chunk(ctx)
		if err != nil {
			return out, err
		}
		if n == 0 {
			break
		}
		out.Rows += int64(n)
		out.Took += took
	}
	start := time.Now()
	err = again()
	out.Took += time.Since(start)
	return out, err
}

// withoutIndexes drops the indexes of an embedded store that a large import
// makes at its end, and returns what makes them again.
func withoutIndexes(ctx context.Context, db querier, p place) (again func() error, err error) {
	if p.onServer() {
		return func() error { return nil }, nil
	}
	return without(ctx, db, `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('contacts', 'memberships') AND sql LIKE 'CREATE INDEX %' AND name NOT LIKE '%_id'`)
}

// without drops the indexes that a query lists, and returns what makes them again.
func without(ctx context.Context, db querier, query string) (again func() error, err error) {
	statements := []string{"PRAGMA temp_store=FILE; PRAGMA cache_size=-8000"}
	var drops []string
	err = each(ctx, db, query, func(rows *sql.Rows) error {
		var name, text string
		err := rows.Scan(&name, &text)
		drops, statements = append(drops, "DROP INDEX "+name), append(statements, text)
		return err
	})
	if err == nil {
		err = do(ctx, db, drops...)
	}
	return func() error { return do(ctx, db, statements...) }, err
}

func do(ctx context.Context, db querier, statements ...string) error {
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// inserter copies chunk after chunk by prepared statements.
type inserter struct {
	from    *sql.DB
	to      *sql.Conn
	atOnce  int // rows of one statement
	chunkOf int // contacts of one transaction
	inserts map[string]*sql.Stmt
	last    int64 // SubscriberID
}

// filled are the tables that an import fills.
var filled = []string{"contacts", "memberships", "evidence"}

func (in *inserter) chunk(ctx context.Context) (n int, took time.Duration, err error) {
	var end int64
	if err := in.from.QueryRowContext(ctx, `SELECT COALESCE(MAX(subscriber_id), 0) FROM (SELECT subscriber_id FROM contacts WHERE subscriber_id > ? ORDER BY subscriber_id LIMIT ?) AS chunk`,
		in.last, in.chunkOf).Scan(&end); err != nil || end == 0 {
		return 0, 0, err
	}
	rows := map[string][][]any{}
	for _, table := range filled {
		if rows[table], err = in.read(ctx, table, end); err != nil {
			return 0, 0, err
		}
	}
	in.last = end
	const addressKey = 2 // the column by which a chunk is sorted, as the import does
	slices.SortFunc(rows["contacts"], func(a, b []any) int { return bytes.Compare(a[addressKey].([]byte), b[addressKey].([]byte)) })
	start := time.Now()
	if _, err := in.to.ExecContext(ctx, "BEGIN"); err != nil {
		return 0, 0, err
	}
	for _, table := range filled {
		for some := range slices.Chunk(rows[table], in.atOnce) {
			if err := in.insert(ctx, table, some); err != nil {
				return 0, 0, err
			}
		}
	}
	_, err = in.to.ExecContext(ctx, "COMMIT")
	return len(rows["contacts"]), time.Since(start), err
}

// insert inserts rows with one statement.
func (in *inserter) insert(ctx context.Context, table string, rows [][]any) error {
	one := `(?` + strings.Repeat(`, ?`, len(rows[0])-1) + `)`
	query := `INSERT INTO ` + table + ` VALUES ` + one + strings.Repeat(`, `+one, len(rows)-1)
	if in.inserts[query] == nil {
		st, err := in.to.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		in.inserts[query] = st
	}
	_, err := in.inserts[query].ExecContext(ctx, slices.Concat(rows...)...)
	return err
}

// read reads the chunk's rows of a table.
func (in *inserter) read(ctx context.Context, table string, end int64) ([][]any, error) {
	rows, err := in.from.QueryContext(ctx, `SELECT * FROM `+table+` WHERE subscriber_id > ? AND subscriber_id <= ? ORDER BY subscriber_id`, in.last, end)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out [][]any
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, values)
	}
	return out, rows.Err()
}
