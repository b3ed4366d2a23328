package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kartotek/flows"
	"kartotek/flows/sample"
	"kartotek/store"
)

// sampleTime is when the samples' last acts were: the same file every time.
var sampleTime = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// csvFile writes n sample contacts, once per cache; another seed gives others.
func (b *bench) csvFile(n int, seed uint64) (string, error) {
	path := filepath.Join(b.dir, fmt.Sprintf("sample-%d-%d.csv", n, seed))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(filepath.Join(b.tmp, "sample.csv"))
	if err != nil {
		return "", err
	}
	if err := errors.Join(sample.Write(f, n, seed, sampleTime), f.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

// large is the place of the large store; it is made when it isn't there.
func (b *bench) large(ctx context.Context) (place, error) {
	p, err := b.largePlace(ctx)
	if err != nil {
		return p, err
	}
	if _, err := os.Stat(p.dir()); !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if times := b.n / imported; times > 1 {
		return p, b.multiply(ctx, p, times)
	}
	fresh, err := b.fresh(ctx, "large")
	if err != nil {
		return p, err
	}
	b.tell("making the store of %d contacts; it is kept for the next run", b.n)
	if err := b.importInto(ctx, fresh, b.n); err != nil {
		return p, err
	}
	return p, errors.Join(b.keep(ctx, fresh, p), b.drop(ctx, fresh))
}

// largePlace names the large store by the schema of what is large in it and by
// what is in it, so that another makes a new one; the rest is brought up to
// date when it is opened. Its directory is there when it is whole.
func (b *bench) largePlace(ctx context.Context) (place, error) {
	probe := embedded(filepath.Join(b.tmp, "probe"))
	s, _, err := openStore(ctx, probe)
	if err != nil {
		return probe, err
	}
	if err := errors.Join(s.Close()); err != nil {
		return probe, err
	}
	db, err := openBare(probe, readPragmas)
	if err != nil {
		return probe, err
	}
	defer db.Close()
	h := sha256.New()
	fmt.Fprintln(h, changes(0, 0))
	err = each(ctx, db, `SELECT COALESCE(sql, '') FROM sqlite_schema WHERE tbl_name IN ('contacts', 'memberships', 'evidence') ORDER BY name`, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		fmt.Fprintln(h, text)
		return err
	})
	name := fmt.Sprintf("%d-%s", b.n, hex.EncodeToString(h.Sum(nil))[:12])
	if b.engine == sqlite {
		return embedded(filepath.Join(b.dir, "store-"+name)), err
	}
	p := embedded(filepath.Join(b.dir, "keys-"+name))
	p.URL = b.url("large_" + strings.ReplaceAll(name, "-", "_"))
	return p, err
}

// querier is a database, or one connection to it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func each(ctx context.Context, db querier, query string, scan func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// keep makes an imported store the large one: with lists of several sizes,
// permissions and a rare source, as years of use would leave it.
func (b *bench) keep(ctx context.Context, fresh, large place) error {
	s, desk, err := openStore(ctx, fresh)
	if err != nil {
		return err
	}
	for _, l := range spreadLists {
		if _, err := desk.AddList(ctx, staff, l.name); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := spread(ctx, fresh); err != nil {
		return err
	}
	if fresh.onServer() {
		if err := b.moveTables(ctx, databaseOf(fresh), databaseOf(large)); err != nil {
			return err
		}
	}
	return os.Rename(fresh.dir(), large.dir())
}

// importList is the list that everybody is imported onto; one in each of the
// others' share is on them as well.
const importList = "News"

var spreadLists = []struct {
	name  string
	share int
}{{"Offers", 3}, {"Events", 20}, {"Board", 5000}}

// rareSource is the source of about one contact in 5,000.
const rareSource = "Resubscribed"

// spreadStep is how many contacts are changed in one transaction: the driver
// keeps what a transaction changes in its own memory, which has an end.
const spreadStep = 20_000

func spread(ctx context.Context, p place) error {
	db, err := openBare(p, writePragmas)
	if err != nil {
		return err
	}
	defer db.Close()
	var last int
	if err := db.QueryRowContext(ctx, `SELECT MAX(subscriber_id) FROM contacts`).Scan(&last); err != nil {
		return err
	}
	again, err := withoutIndexes(ctx, db, p)
	if err != nil {
		return err
	}
	for from := 0; from <= last; from += spreadStep {
		if err := inTx(ctx, db, changes(from, from+spreadStep)...); err != nil {
			return fmt.Errorf("spreading the store: %w", err)
		}
	}
	if err := again(); err != nil {
		return err
	}
	const counter = `INSERT INTO counters (name, shard, n) SELECT `
	return inTx(ctx, db, `DELETE FROM days`, `DELETE FROM counters`,
		counter+`CONCAT('permission/', CASE permission WHEN 1 THEN 'pending' WHEN 2 THEN 'confirmed' ELSE 'unsubscribed' END), 0, COUNT(*) FROM contacts GROUP BY permission`,
		counter+`CONCAT('rating/', CASE rating WHEN 1 THEN 'dormant' WHEN 2 THEN 'low' WHEN 3 THEN 'average' WHEN 4 THEN 'high' ELSE 'VIP' END), 0, COUNT(*) FROM contacts WHERE rating > 0 GROUP BY rating`,
		counter+`CONCAT('source/', source), 0, COUNT(*) FROM contacts GROUP BY source`,
		counter+`CONCAT('list/', list_id, CASE status WHEN 1 THEN '/pending' WHEN 2 THEN '/subscribed' ELSE '/unsubscribed' END), 0, COUNT(*) FROM memberships GROUP BY list_id, status`)
}

// changes are the statements that spread the contacts from one id to another.
func changes(from, to int) []string {
	var out []string
	for _, l := range spreadLists {
		out = append(out, fmt.Sprintf(`INSERT INTO memberships (subscriber_id, list_id, status, since, last_seen_at)
 SELECT c.subscriber_id, l.list_id, 2, c.confirmed_at, c.last_seen_at FROM contacts c, lists l
 WHERE l.name = '%s' AND c.subscriber_id %% %d = 1 AND c.subscriber_id >= %d AND c.subscriber_id < %d`, l.name, l.share, from, to))
	}
	for _, change := range []string{
		fmt.Sprintf(`contacts SET permission = %d, withdrawn_at = last_seen_at WHERE subscriber_id %% 12 = 5`, store.Unsubscribed),
		`memberships SET status = 3 WHERE subscriber_id % 12 = 5`,
		fmt.Sprintf(`contacts SET permission = %d, confirmed_at = 0 WHERE subscriber_id %% 200 = 41`, store.Pending),
		`memberships SET status = 1 WHERE subscriber_id % 200 = 41`,
		`contacts SET source = '` + rareSource + `' WHERE subscriber_id % 4999 = 7`,
		`memberships SET rating = (SELECT c.rating FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id),
 source = (SELECT c.source FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id),
 found_as = COALESCE((SELECT c.permission FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id AND c.permission = memberships.status), 0) WHERE TRUE`,
	} {
		out = append(out, fmt.Sprintf(`UPDATE %s AND subscriber_id >= %d AND subscriber_id < %d`, change, from, to))
	}
	return out
}

func inTx(ctx context.Context, db *sql.DB, statements ...string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// importInto imports n sample contacts into a new store.
func (b *bench) importInto(ctx context.Context, to place, n int) error {
	path, err := b.csvFile(n, 1)
	if err != nil {
		return err
	}
	s, desk, err := openStore(ctx, to)
	if err != nil {
		return err
	}
	_, err = desk.Import(ctx, staff, path, flows.ImportOptions{List: importList, Confirmed: true}, nil)
	return errors.Join(err, s.Close())
}
