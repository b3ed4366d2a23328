package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Severity tells how bad a finding is.
type Severity string

// The severities. Only Bad ones make a doctor fail.
const (
	Good Severity = "ok"
	Note Severity = "note" // works, and could be better
	Bad  Severity = "bad"  // loses data, or will
)

// Finding is what an examination found: what was looked at, how it is, and
// what to do about it.
type Finding struct {
	What     string   `json:"what"`
	Severity Severity `json:"severity"`
	Words    string   `json:"words"`
	Mend     string   `json:"mend,omitempty"`
}

func found(what string, s Severity, mend, format string, a ...any) Finding {
	return Finding{What: what, Severity: s, Words: fmt.Sprintf(format, a...), Mend: mend}
}

// Examine looks at what the store stands on: the database and its settings,
// indexes, keys, journal, clock and disk. It changes nothing.
func (s *Store) Examine(ctx context.Context) ([]Finding, error) {
	all, err := s.engine.examine(ctx)
	if err != nil {
		return nil, err
	}
	version, err := s.SchemaVersion(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, found("schema", Good, "", "version %d, which is this program's", version))
	for _, look := range []func(context.Context) (Finding, error){s.examineIndexes, s.examineKeys, s.examineJournal, s.examineClock, s.examineDisk} {
		f, err := look(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func (s *Store) examineIndexes(ctx context.Context) (Finding, error) {
	there, err := s.engine.indexes(ctx)
	if err != nil {
		return Finding{}, err
	}
	var missing []string
	all := makesIndex.FindAllStringSubmatch(strings.Join(ahead(sqliteSteps(), 0), ";"), -1)
	for _, m := range all {
		if !slices.Contains(there, m[1]) {
			missing = append(missing, m[1])
		}
	}
	if under, _, err := s.loading(ctx); err != nil || under && len(missing) > 0 {
		return found("indexes", Note, "wait for the import's end, which makes them", "%d are not there while a large import goes on", len(missing)), err
	}
	if len(missing) > 0 {
		return found("indexes", Bad, "restore a backup, or make them again as store/schema.sql has them", "missing: %q", missing), nil
	}
	return found("indexes", Good, "", "all %d are there", len(all)), nil
}

// keyAge is how long a sealing key may be in use before it is worth a word.
const keyAge = 365 * 24 * time.Hour

func (s *Store) examineKeys(context.Context) (Finding, error) {
	keys := s.raw.keys
	if err := keys.reload(); err != nil {
		return Finding{}, err
	}
	now := keys.now.Load()
	info, err := os.Stat(keys.path)
	if err != nil {
		return Finding{}, fmt.Errorf("looking at the key file: %w", err)
	}
	age := s.now().Sub(now.timesOf(now.primary()).Created)
	words := fmt.Sprintf("%s, mode %o; the sealing key is %d days old", keys.path, info.Mode().Perm(), int(age.Hours()/24))
	switch dir := filepath.Dir(keys.path); {
	case now.unfinished():
		return found("key file", Note, "run kartotek keys rotate, which goes on where it stopped", "%s; a rotation was broken off", words), nil
	case now.next() != 0 || now.nextPepper:
		return found("key file", Note, "copy the key file to all machines, then run kartotek keys rotate (or keys pepper add) again", "%s; a new key waits to be used", words), nil
	case s.engine.dir("") == filepath.Join(dir, filepath.Base(s.engine.dir(""))):
		return found("key file", Note, "keep it in another place (--keys), so that no backup of the store's directory takes it along", "%s; it lies beside the store", words), nil
	case age > keyAge:
		return found("key file", Note, "run kartotek keys rotate", "%s", words), nil
	}
	return found("key file", Good, "", "%s; a copy of it belongs in a safe place", words), nil
}

func (s *Store) examineJournal(ctx context.Context) (Finding, error) {
	j, err := s.Journal(ctx)
	if errors.Is(err, ErrJournal) {
		return found("erasure journal", Bad, "put the newest copy of it back", "%v", err), nil
	}
	if err != nil {
		return Finding{}, err
	}
	machines := 0
	if err := s.get(ctx, []any{&machines}, `SELECT COUNT(*) FROM journals`); err != nil {
		return Finding{}, err
	}
	return found("erasure journal", Good, "", "%s, %d records, whole; %d machine(s) keep one", j.Path, j.Records, machines), nil
}

// examineClock compares the clock with what was written last, and asks the
// system whether it keeps time.
func (s *Store) examineClock(ctx context.Context) (Finding, error) {
	last, err := s.Audit(ctx, AuditQuery{Limit: 1})
	if err != nil {
		return Finding{}, err
	}
	const mend = "set the clock, and let a time service keep it: evidence is worth as much as its times"
	if len(last) > 0 && last[0].At.Time().After(s.now().Add(time.Minute)) {
		return found("clock", Bad, mend, "it is behind the newest act in the audit, of %s", last[0].At.Time().Format(time.RFC3339)), nil
	}
	if !timeKept() {
		return found("clock", Note, mend, "%s; no time service keeps it", s.now().UTC().Format(time.RFC3339)), nil
	}
	return found("clock", Good, "", "%s", s.now().UTC().Format(time.RFC3339)), nil
}

// diskLow is how little free space is worth a word: an import writes as much.
const diskLow = 1 << 30

func (s *Store) examineDisk(context.Context) (Finding, error) {
	dir := s.engine.dir("journal")
	free, network, err := diskOf(dir)
	if err != nil {
		return Finding{}, fmt.Errorf("looking at the disk: %w", err)
	}
	words := fmt.Sprintf("%s free under %s", humanize.IBytes(free), dir)
	if network != "" {
		return found("disk", Bad, "keep the store on a disk of this machine, or on a database server", "%s, which is on %s: it loses data when two use it", words, network), nil
	}
	if free < diskLow {
		return found("disk", Note, "make room: a full disk stops every act, though it loses none", "%s", words), nil
	}
	return found("disk", Good, "", "%s", words), nil
}

// snapshot reads in one transaction of its own connection, which sees the
// store as it was when it began.
func snapshot(ctx context.Context, db *sql.DB, told func(error) error, begin []string, fn func(queries) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return told(err)
	}
	one := &session{conn: conn, stmts: map[string]*sql.Stmt{}, born: time.Now()}
	defer one.close()
	for _, b := range begin {
		if _, err := conn.ExecContext(ctx, b); err != nil {
			return told(err)
		}
	}
	err = fn(queries{stmt: one.stmt, told: told})
	_, end := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	for _, st := range one.stmts {
		end = errors.Join(end, st.Close())
	}
	return errors.Join(err, told(end))
}
