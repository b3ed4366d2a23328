package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kartotek/flows"
)

// erasures is how many people are erased one by one.
const erasures = 400

// erase compares an erasure with the SQL of the same rows in one transaction,
// on another store of the same people.
func (b *bench) erase(ctx context.Context) error {
	n := erasures + erasures/10 + 1
	csv := filepath.Join(b.tmp, "erase.csv")
	var text strings.Builder
	text.WriteString("email,first_name\n")
	for i := range n {
		fmt.Fprintf(&text, "p%d@example.com,Marie\n", i)
	}
	if err := os.WriteFile(csv, []byte(text.String()), 0o600); err != nil {
		return err
	}
	var places [2]place
	for i, name := range []string{"erase", "erase-bare"} {
		var err error
		if places[i], err = b.fresh(ctx, name); err != nil {
			return err
		}
		s, desk, err := openStore(ctx, places[i])
		if err != nil {
			return err
		}
		_, err = desk.Import(ctx, staff, csv, flows.ImportOptions{List: importList, Confirmed: true}, nil)
		if err = errors.Join(err, s.Close()); err != nil {
			return err
		}
	}
	s, desk, err := openStore(ctx, places[0])
	if err != nil {
		return err
	}
	defer s.Close()
	bare, err := openBare(places[1], writePragmas)
	if err != nil {
		return err
	}
	defer bare.Close()
	ids, err := bareIDs(ctx, bare)
	if err != nil {
		return err
	}
	b.tell("erasing")
	took, err := alternate(erasures,
		func(r int) error {
			_, err := desk.Erase(ctx, staff, fmt.Sprintf("p%d@example.com", r), "asked for it")
			return err
		},
		func(r int) error { return eraseBare(ctx, bare, ids[r], int64(1_000_000+r)) })
	if err != nil {
		return err
	}
	b.atMost("erase one person, against the SQL of the same rows", took[0].median(), took[1].median(), 3)
	return nil
}

func bareIDs(ctx context.Context, db *sql.DB) ([]int64, error) {
	rows, err := db.QueryContext(ctx, `SELECT subscriber_id FROM contacts ORDER BY subscriber_id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// eraseBare writes the rows of an erasure: the tombstone, its evidence, the
// audit row, the leaves of both, the journal's rows and the counters.
func eraseBare(ctx context.Context, db *sql.DB, id, n int64) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	key, sealed := make([]byte, 32), make([]byte, 160)
	rand.Read(key)
	rand.Read(sealed)
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`UPDATE contacts SET mobile_key = NULL, permission = 4, email_masked = '', mobile_masked = '', source = NULL, rating = 0, deleted_at = ?, last_seen_at = ?, sealed = NULL, version = version + 1 WHERE subscriber_id = ?`, []any{n, n, id}},
		{`DELETE FROM memberships WHERE subscriber_id = ?`, []any{id}},
		{`DELETE FROM tokens WHERE subscriber_id = ?`, []any{id}},
		{`DELETE FROM outbox WHERE subscriber_id = ?`, []any{id}},
		{`DELETE FROM activity WHERE subscriber_id = ?`, []any{id}},
		{`DELETE FROM mailbox WHERE address_key = ?`, []any{key}},
		{`INSERT INTO evidence (subscriber_id, n, kind, at, sealed, batch_id, place) VALUES (?, 3, 3, ?, ?, 0, 0)`, []any{id, n, sealed}},
		{`INSERT INTO audit (audit_id, at, actor, role, door, act, subscriber_id, why, salt, batch_id, place) VALUES (?, ?, 'bench', 'owner', 'bench', 'erase', ?, 'asked for it', ?, 0, 0)`, []any{n, n, id, key}},
		{`INSERT INTO batches (batch_id, leaves, mac) VALUES (?, ?, ?)`, []any{n, sealed[:64], sealed[:16]}},
		{`INSERT INTO unplaced (batch_id) VALUES (?)`, []any{n}},
		{`INSERT INTO erasures (journal_id, n, subscriber_id, address_key, at) VALUES (?, ?, ?, ?, ?)`, []any{sealed[:16], n, id, key, n}},
		{`UPDATE journals SET n = n + 1, chain = ?`, []any{key}},
		{`UPDATE counters SET n = n - 1 WHERE name = 'permission/confirmed' AND shard = 0`, nil},
		{`UPDATE counters SET n = n + 1 WHERE name = 'permission/deleted' AND shard = 0`, nil},
		{`UPDATE counters SET n = n - 1 WHERE name = 'list/1/subscribed' AND shard = 0`, nil},
		{`UPDATE counters SET n = n - 1 WHERE name = 'source/Import' AND shard = 0`, nil},
		{`UPDATE counters SET n = n - 1 WHERE name = 'rating/average' AND shard = 0`, nil},
		{`UPDATE counters SET n = n + 1 WHERE name = 'act/erased' AND shard = 0`, nil},
	} {
		if _, err := tx.ExecContext(ctx, q.query, q.args...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}
