package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// settingCopying tells of a store that is being copied into: which store from,
// and how many of its tables are whole. Nothing else may be done with it.
const settingCopying = "copying"

// ErrCopying: the store was only partly copied.
var ErrCopying = errors.New("the store is a copy that was broken off: run the same kartotek copy again, which goes on where it stopped")

// Copied tells what a copy moved.
type Copied struct {
	Tables   int   `json:"tables"`
	Rows     int64 `json:"rows"`
	Contacts int64 `json:"contacts"`
}

// table is a table of the schema, as a copy needs it.
type table struct {
	name    string
	columns []column
	key     []string // one or two columns
}

type column struct{ name, kind string }

var (
	tableName   = regexp.MustCompile(`CREATE TABLE IF NOT EXISTS (\w+)`)
	addedColumn = regexp.MustCompile(`ALTER TABLE (\w+) ADD COLUMN (\w+) ([A-Z]+)`)
	columnLine  = regexp.MustCompile(`(?m)^  (\w+) ([A-Z]+|\{\{id\}\})(.*?),?$`)
	keyLine     = regexp.MustCompile(`(?m)^  PRIMARY KEY \((\w+)(?:, (\w+))?\)`)
)

// tables are those of the schema that a copy moves. The keys of acts that were
// applied are the server's own.
func tables() []table {
	var out []table
	for _, step := range strings.Split(schema, ";\n") {
		if added := addedColumn.FindStringSubmatch(step); added != nil {
			i := slices.IndexFunc(out, func(t table) bool { return t.name == added[1] })
			out[i].columns = append(out[i].columns, column{added[2], added[3]})
		}
		name := tableName.FindStringSubmatch(step)
		if name == nil || name[1] == "applied" {
			continue
		}
		t := table{name: name[1]}
		for _, c := range columnLine.FindAllStringSubmatch(step, -1) {
			if c[1] == "PRIMARY" {
				continue
			}
			t.columns = append(t.columns, column{c[1], c[2]})
			if c[2] == "{{id}}" || strings.Contains(c[3], "PRIMARY KEY") {
				t.key = []string{c[1]}
			}
		}
		if k := keyLine.FindStringSubmatch(step); k != nil {
			t.key = slices.DeleteFunc(k[1:], func(s string) bool { return s == "" })
		}
		out = append(out, t)
	}
	return out
}

func (t table) names() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// value makes what a driver returned what the column holds: some return texts
// as bytes.
func (c column) value(v any) any {
	switch v := v.(type) {
	case []byte:
		if c.kind == "VARCHAR" || c.kind == "TEXT" {
			return string(v)
		}
		return append([]byte{}, v...) // nil would be NULL
	case float32:
		return float64(v)
	}
	return v
}

// after is the condition for the rows that follow one, in the order of the key.
func (t table) after(last []any) (string, []any) {
	switch {
	case last == nil:
		return "", nil
	case len(t.key) == 1:
		return " WHERE " + t.key[0] + " > ?", last
	}
	return " WHERE " + t.key[0] + " >= ? AND (" + t.key[0] + " > ? OR " + t.key[1] + " > ?)", []any{last[0], last[0], last[1]}
}

// page reads the next rows of a table.
func (t table) page(ctx context.Context, q queries, last []any, n int) ([][]any, error) {
	where, args := t.after(last)
	var out [][]any
	err := q.each(ctx, func(rows *sql.Rows) error {
		row, into := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, c := range t.columns {
			row[i] = c.value(row[i])
		}
		out = append(out, row)
		return nil
	}, `SELECT `+t.names()+` FROM `+t.name+where+` ORDER BY `+strings.Join(t.key, ", ")+` LIMIT ?`, append(args, n)...)
	return out, err
}

// keyOf is the key of a row.
func (t table) keyOf(row []any) []any {
	out := make([]any, len(t.key))
	for i, k := range t.key {
		out[i] = row[slices.IndexFunc(t.columns, func(c column) bool { return c.name == k })]
	}
	return out
}

// last is the key of a table's last row; nil when it is empty.
func (t table) last(ctx context.Context, q queries) ([]any, error) {
	row, into := make([]any, len(t.key)), make([]any, len(t.key))
	for i := range row {
		into[i] = &row[i]
	}
	err := q.get(ctx, into, `SELECT `+strings.Join(t.key, ", ")+` FROM `+t.name+` ORDER BY `+strings.Join(t.key, " DESC, ")+` DESC LIMIT 1`)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	for i, k := range t.key {
		c := t.columns[slices.IndexFunc(t.columns, func(c column) bool { return c.name == k })]
		row[i] = c.value(row[i])
	}
	return row, err
}

// own are the settings that belong to a database rather than to the store in it.
func ownSetting(row []any) bool {
	return row[0] == settingSchema || row[0] == settingGoal || row[0] == settingKeyCheck || row[0] == settingCopying || row[0] == settingLoading
}

// sum is a checksum of rows in any order: a XOR of theirs.
type sum struct {
	rows int64
	hash [sha256.Size]byte
}

func (s *sum) add(row []any) {
	h := sha256.New()
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			h.Write([]byte{0})
		case int64:
			h.Write(binary.BigEndian.AppendUint64([]byte{1}, uint64(v)))
		case float64:
			h.Write(binary.BigEndian.AppendUint64([]byte{2}, math.Float64bits(v)))
		case string:
			h.Write(append(binary.BigEndian.AppendUint64([]byte{3}, uint64(len(v))), v...))
		case []byte:
			h.Write(append(binary.BigEndian.AppendUint64([]byte{3}, uint64(len(v))), v...))
		default:
			fmt.Fprintf(h, "%T %v", v, v)
		}
	}
	s.rows++
	for i, b := range h.Sum(nil) {
		s.hash[i] ^= b
	}
}

// sumOf reads a whole table.
func (t table) sumOf(ctx context.Context, q queries) (s sum, err error) {
	var last []any
	for {
		rows, err := t.page(ctx, q, last, copyChunk)
		if err != nil || len(rows) == 0 {
			return s, err
		}
		for _, r := range rows {
			if t.name != "settings" || !ownSetting(r) {
				s.add(r)
			}
		}
		last = t.keyOf(rows[len(rows)-1])
	}
}

// copyChunk is how many rows one transaction copies.
const copyChunk = 1000

// CopyFrom makes the store a copy of another, which has the same key file and
// which nobody writes to meanwhile: in chunks, going on where it was broken
// off, and compared by counts and checksums at its end. It has to be new, or a
// copy of the same store that was broken off. Close it after that.
func (s *Store) CopyFrom(ctx context.Context, from *Store, progress func(done, total int64)) (Copied, error) {
	name, err := from.Setting(ctx, settingStore)
	if err != nil {
		return Copied{}, err
	}
	all := tables()
	whole, err := s.beginCopy(ctx, name, len(all))
	if err != nil {
		return Copied{}, err
	}
	if err := s.attempt(ctx, func(tx *Tx) error { return s.dropIndexes(ctx, tx) }, func(*Tx) error { return nil }); err != nil {
		return Copied{}, err
	}
	c := &copying{to: s, from: from, progress: progress}
	for _, t := range all {
		var n int64
		if err := from.get(ctx, []any{&n}, `SELECT COUNT(*) FROM `+t.name); err != nil {
			return Copied{}, err
		}
		c.total += 2 * n // copied, and read back
	}
	for i, t := range all {
		if i < whole {
			continue
		}
		if err := c.table(ctx, t); err != nil {
			return Copied{}, fmt.Errorf("copying %s: %w", t.name, err)
		}
		if err := s.noteCopying(ctx, name+" "+strconv.Itoa(i+1)); err != nil {
			return Copied{}, err
		}
	}
	if err := s.makeIndexes(ctx, func(int) error { return nil }); err != nil {
		return Copied{}, err
	}
	done := Copied{Tables: len(all)}
	for _, t := range all {
		n, err := c.compare(ctx, t)
		if err != nil {
			return Copied{}, err
		}
		if done.Rows += n; t.name == "contacts" {
			done.Contacts = n
		}
	}
	return done, s.endCopy(ctx)
}

// CopyBegun tells whether the store holds a part of a copy of that one.
func (s *Store) CopyBegun(ctx context.Context, from *Store) (bool, error) {
	name, err := from.Setting(ctx, settingStore)
	if err != nil {
		return false, err
	}
	mark, err := s.raw.Setting(ctx, settingCopying)
	return strings.HasPrefix(mark, name+" "), err
}

// beginCopy makes sure that the store is empty or a copy of that one, and
// tells how many tables are whole.
func (s *Store) beginCopy(ctx context.Context, name string, all int) (whole int, err error) {
	mark, err := s.raw.Setting(ctx, settingCopying)
	if err != nil {
		return 0, err
	}
	if mark != "" {
		of, n, _ := strings.Cut(mark, " ")
		whole, err := strconv.Atoi(n)
		if of != name || err != nil || whole > all {
			return 0, errors.New("the store to copy to holds a part of another store: name an empty one")
		}
		return whole, nil
	}
	for _, t := range []string{"contacts", "audit", "lists"} {
		var n int
		if err := s.raw.get(ctx, []any{&n}, `SELECT COUNT(*) FROM `+t); err != nil {
			return 0, err
		}
		if n > 0 {
			return 0, errors.New("the store to copy to is in use: name an empty one")
		}
	}
	if err := s.noteCopying(ctx, name+" 0"); err != nil {
		return 0, err
	}
	// What opening it has put there goes.
	return 0, s.attempt(ctx, func(tx *Tx) error {
		for _, t := range tables() {
			where := ""
			if t.name == "settings" {
				where = ` WHERE name NOT IN ('` + settingSchema + `', '` + settingGoal + `', '` + settingKeyCheck + `', '` + settingCopying + `', '` + settingProbe + `')`
			}
			if _, err := tx.exec(ctx, `DELETE FROM `+t.name+where); err != nil {
				return err
			}
		}
		return nil
	}, func(*Tx) error { return nil })
}

func (s *Store) noteCopying(ctx context.Context, mark string) error {
	return s.attempt(ctx, func(tx *Tx) error { return tx.SetSetting(ctx, settingCopying, mark) }, func(*Tx) error { return nil })
}

type copying struct {
	to, from    *Store
	progress    func(done, total int64)
	done, total int64
}

func (c *copying) tell(n int) {
	if c.done += int64(n); c.progress != nil {
		c.progress(min(c.done, c.total), c.total)
	}
}

// table copies what a table lacks at its end.
func (c *copying) table(ctx context.Context, t table) error {
	var last []any
	var err error
	if t.name != "settings" {
		if last, err = t.last(ctx, c.to.raw); err != nil {
			return err
		}
	}
	for {
		rows, err := t.page(ctx, c.from.queries, last, copyChunk)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := c.to.attempt(ctx, func(tx *Tx) error {
			if t.name == "settings" {
				return tx.copySettings(ctx, rows)
			}
			return tx.insertAll(ctx, `INSERT INTO `+t.name+` (`+t.names()+`)`, rows)
		}, func(*Tx) error { return nil }); err != nil {
			return err
		}
		last = t.keyOf(rows[len(rows)-1])
		c.tell(len(rows))
	}
}

// copySettings takes over the store's settings, its own name among them.
func (tx *Tx) copySettings(ctx context.Context, rows [][]any) error {
	for _, r := range rows {
		name, _ := r[0].(string)
		value, _ := r[1].(string)
		if ownSetting(r) {
			continue
		}
		if err := tx.SetSetting(ctx, name, value); err != nil {
			return err
		}
	}
	return nil
}

// compare reads a table in both stores.
func (c *copying) compare(ctx context.Context, t table) (int64, error) {
	a, err := t.sumOf(ctx, c.from.queries)
	if err != nil {
		return 0, err
	}
	b, err := t.sumOf(ctx, c.to.raw)
	if err != nil {
		return 0, err
	}
	c.tell(int(a.rows))
	if a != b {
		return 0, fmt.Errorf("the copy of %s differs (%d rows, and %d in the copy): somebody wrote to the store meanwhile. Stop every Kartotek on it, empty the copy, and copy again", t.name, a.rows, b.rows)
	}
	return a.rows, nil
}

// endCopy makes the copy a store that can be opened. This machine begins a
// journal of it then, with everybody whom the store knows as erased.
func (s *Store) endCopy(ctx context.Context) error {
	return s.attempt(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM settings WHERE name = ?`, settingCopying)
		return err
	}, func(*Tx) error { return nil })
}
