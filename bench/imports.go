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
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"kartotek/flows"
)

// childWord makes the program a child that does one job: peak memory can only
// be told of a process that did nothing else.
const childWord = "child"

// job is what a child does, and what it found.
type job struct {
	Bare bool   // insert the rows of From, instead of importing File
	Dir  string // of the new store
	File string
	From string
}

type outcome struct {
	Rows int64
	Took time.Duration
}

// importChunk is flows' own: rows in one transaction.
const importChunk = 500

// imports compares the import with a bare insert of the rows that it sealed,
// and its peak memory at two sizes.
func (b *bench) imports(ctx context.Context) error {
	small := b.n / 10
	var peaks []int64
	for _, n := range []int{small, b.n} {
		b.tell("importing %d rows, then inserting them bare", n)
		ours, bare := filepath.Join(b.tmp, fmt.Sprint("import-", n)), filepath.Join(b.tmp, fmt.Sprint("bare-", n))
		file, err := b.csvFile(n, 1)
		if err != nil {
			return err
		}
		imported, peak, err := child(ctx, job{Dir: ours, File: file})
		if err != nil {
			return err
		}
		inserted, _, err := child(ctx, job{Bare: true, Dir: bare, From: ours})
		if err != nil {
			return err
		}
		peaks = append(peaks, peak)
		b.addImport(n, imported, inserted)
		if err := errors.Join(b.keepIfNone(ctx, ours, n), os.RemoveAll(ours), os.RemoveAll(bare)); err != nil {
			return err
		}
	}
	b.addPeaks(small, peaks)
	return nil
}

// flatFrom is how many rows fill the caches that an import may have.
const flatFrom = 100_000

func (b *bench) addPeaks(small int, peaks []int64) {
	ratio := float64(peaks[1]) / float64(peaks[0])
	r := row{what: fmt.Sprintf("peak memory, %d rows against %d", b.n, small), ours: megabytes(peaks[1]), baseline: megabytes(peaks[0]), ratio: fmt.Sprintf("%.2fx", ratio)}
	if small >= flatFrom {
		r.target, r.verdict = "within 20 %", verdict(math.Abs(ratio-1) <= 0.2)
	}
	b.rows = append(b.rows, r)
}

func (b *bench) addImport(n int, imported, inserted outcome) {
	ours, bare := float64(imported.Rows)/imported.Took.Seconds(), float64(inserted.Rows)/inserted.Took.Seconds()
	b.rows = append(b.rows, row{
		what: fmt.Sprintf("import with sealing, %d rows", n), ours: fmt.Sprintf("%.0f rows/s", ours), baseline: fmt.Sprintf("%.0f rows/s", bare),
		ratio: fmt.Sprintf("%.0f %%", 100*ours/bare), target: ">= 40 %", verdict: verdict(ours >= 0.4*bare),
	})
}

func megabytes(kb int64) string { return fmt.Sprintf("%.1f MB", float64(kb)/1024) }

// keepIfNone makes the imported store the large one, where there is none yet.
func (b *bench) keepIfNone(ctx context.Context, imported string, n int) error {
	dir, err := b.largeDir(ctx)
	if err != nil || n != b.n {
		return err
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return b.keep(ctx, imported, dir)
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
	return out, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss, json.Unmarshal(found.Bytes(), &out)
}

func (j job) run(ctx context.Context, w io.Writer) error {
	do := j.importFile
	if j.Bare {
		do = j.insertBare
	}
	out, err := do(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(out)
}

func (j job) importFile(ctx context.Context) (outcome, error) {
	s, desk, err := openStore(ctx, j.Dir)
	if err != nil {
		return outcome{}, err
	}
	start := time.Now()
	res, err := desk.Import(ctx, staff, j.File, flows.ImportOptions{List: importList, Confirmed: true}, nil)
	return outcome{res.Read, time.Since(start)}, errors.Join(err, s.Close())
}

// insertBare inserts the sealed rows of another store into a new one of the
// same keys, schema and chunks. Reading them doesn't count.
func (j job) insertBare(ctx context.Context) (out outcome, err error) {
	keys, err := os.ReadFile(keysPath(j.From))
	if err != nil {
		return out, err
	}
	if err := errors.Join(os.MkdirAll(j.Dir, 0o700), os.WriteFile(keysPath(j.Dir), keys, 0o600)); err != nil {
		return out, err
	}
	s, _, err := openStore(ctx, j.Dir) // makes the schema
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
	to, err := openBare(j.Dir, writePragmas)
	if err != nil {
		return out, err
	}
	defer to.Close()
	in := inserter{from: from, to: to, inserts: map[string]*sql.Stmt{}}
	for {
		n, took, err := in.chunk(ctx)
		if err != nil || n == 0 {
			return out, err
		}
		out.Rows += int64(n)
		out.Took += took
	}
}

// inserter copies chunk after chunk by prepared statements.
type inserter struct {
	from, to *sql.DB
	inserts  map[string]*sql.Stmt
	last     int64 // SubscriberID
}

// filled are the tables that an import fills.
var filled = []string{"contacts", "memberships", "evidence"}

func (in *inserter) chunk(ctx context.Context) (n int, took time.Duration, err error) {
	var end int64
	if err := in.from.QueryRowContext(ctx, `SELECT COALESCE(MAX(subscriber_id), 0) FROM (SELECT subscriber_id FROM contacts WHERE subscriber_id > ? ORDER BY subscriber_id LIMIT ?)`,
		in.last, importChunk).Scan(&end); err != nil || end == 0 {
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
	tx, err := in.to.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, err
	}
	defer tx.Rollback()
	for _, table := range filled {
		st := tx.StmtContext(ctx, in.inserts[table])
		for _, values := range rows[table] {
			if _, err := st.ExecContext(ctx, values...); err != nil {
				return 0, 0, err
			}
		}
	}
	err = tx.Commit()
	return len(rows["contacts"]), time.Since(start), err
}

// read reads the chunk's rows of a table, and prepares their insert.
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
	if in.inserts[table] == nil {
		if in.inserts[table], err = in.to.PrepareContext(ctx, `INSERT INTO `+table+` VALUES (?`+strings.Repeat(", ?", len(columns)-1)+`)`); err != nil {
			return nil, err
		}
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
