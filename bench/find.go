package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"kartotek/store"
)

// finds is how many searches are timed.
const finds = 4000

// find compares a search by full address with the SQL and the hash behind it,
// and with the one SELECT that finds the row.
func (b *bench) find(ctx context.Context) error {
	large, err := b.large(ctx)
	if err != nil {
		return err
	}
	addresses, err := b.addresses()
	if err != nil {
		return err
	}
	s, desk, err := openStore(ctx, large)
	if err != nil {
		return err
	}
	defer s.Close()
	bare, err := newBareFind(large)
	if err != nil {
		return err
	}
	defer bare.db.Close()
	write, err := bareWrite(ctx, large)
	if err != nil {
		return err
	}
	defer write.Close()
	b.tell("searching")
	at := func(round, of int) string { return addresses[(round*3+of)%len(addresses)] }
	took, err := alternate(b.rounds(finds),
		func(r int) error {
			f, err := desk.Find(ctx, staff, at(r, 0))
			if err == nil && len(f.Cards) == 0 {
				err = errors.New("nobody was found")
			}
			return err
		},
		func(r int) error { return errors.Join(bare.whole(ctx, s.Keys(), at(r, 1)), write.do(ctx, r)) })
	if err != nil {
		return err
	}
	b.atMost(fmt.Sprintf("search by address in %d, against its SQL, hash and one durable write", b.n), took[0].median(), took[1].median(), 2)
	keys, err := bare.keys(ctx, s.Keys(), addresses) // only the look-up itself is timed
	if err != nil {
		return err
	}
	if took, err = alternate(b.rounds(finds),
		func(r int) error {
			_, err := s.ByAddress(ctx, keys[2*r%len(keys)])
			return err
		},
		func(r int) error {
			_, err := bare.one(ctx, keys[(2*r+1)%len(keys)])
			return err
		}); err != nil {
		return err
	}
	b.atMost("look-up by address key, against a bare prepared SELECT", took[0].median(), took[1].median(), 1.5)
	b.atMost("  its 99th percentile against its median", took[0].at(0.99), took[0].median(), 3)
	b.atMost("  likewise of the bare SELECT", took[1].at(0.99), took[1].median(), 0)
	return nil
}

// rounds is how often something is timed: less often on a small store.
func (b *bench) rounds(most int) int { return min(most, max(100, b.n/20)) }

// durable makes small writes by the driver alone: the audit has a row of each
// search before it is answered.
type durable struct {
	*sql.DB
}

func bareWrite(ctx context.Context, p place) (durable, error) {
	db, err := openBare(p, writePragmas)
	if err != nil {
		return durable{}, err
	}
	_, err = db.ExecContext(ctx, `INSERT INTO settings (name, value) SELECT 'bench', '' FROM (SELECT 1 AS one) AS once WHERE NOT EXISTS (SELECT 1 FROM settings WHERE name = 'bench')`)
	return durable{db}, err
}

func (d durable) do(ctx context.Context, round int) error {
	_, err := d.ExecContext(ctx, `UPDATE settings SET value = ? WHERE name = 'bench'`, fmt.Sprint(round))
	return err
}

// addresses picks some out of the sample, from all over it.
func (b *bench) addresses() ([]string, error) {
	path, err := b.csvFile(min(b.n, imported), 1)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	lines := bufio.NewScanner(f)
	every := max(1, min(b.n, imported)/3/finds)
	for i := 0; lines.Scan(); i++ {
		email, _, _ := strings.Cut(lines.Text(), ",")
		if _, err := store.ParseAddress(email); err == nil && i%every == 0 {
			out = append(out, email)
		}
	}
	for i := range out { // in an order that no index has
		k := (i * 7919) % len(out)
		out[i], out[k] = out[k], out[i]
	}
	return out, lines.Err()
}

// bareFind holds the prepared statements of a search.
type bareFind struct {
	db          *sql.DB
	card, lists *sql.Stmt
}

func newBareFind(p place) (*bareFind, error) {
	db, err := openBare(p, readPragmas)
	if err != nil {
		return nil, err
	}
	f := &bareFind{db: db}
	for st, query := range map[**sql.Stmt]string{
		&f.card:  `SELECT ` + cardColumns + ` FROM contacts WHERE address_key = ? ORDER BY subscriber_id DESC`,
		&f.lists: `SELECT m.list_id, l.name, m.status, m.since FROM memberships m JOIN lists l ON l.list_id = m.list_id WHERE m.subscriber_id = ? ORDER BY m.list_id`,
	} {
		if *st, err = db.Prepare(query); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return f, nil
}

// cardColumns are those that a card shows.
const cardColumns = `subscriber_id, address_key, mobile_key, permission, frozen, email_masked, mobile_masked, COALESCE(source, ''), rating, opens, clicks,
 updates, signed_up_at, confirmed_at, withdrawn_at, deleted_at, forget_at, last_seen_at, predecessor, successor, acts, version`

// cardInto is room for cardColumns.
type cardInto struct {
	key, mobile           []byte
	email, number, source string
	numbers               [17]int64
	at                    int
}

func (c *cardInto) next() *int64 { c.at++; return &c.numbers[c.at-1] }

func (c *cardInto) fields() []any {
	c.at = 0
	out := []any{c.next(), &c.key, &c.mobile, c.next(), c.next(), &c.email, &c.number, &c.source}
	for c.at < len(c.numbers) {
		out = append(out, c.next())
	}
	return out
}

// whole does all that a search does.
func (f *bareFind) whole(ctx context.Context, keys *store.Keys, address string) error {
	a, err := store.ParseAddress(address)
	if err != nil {
		return err
	}
	id, err := f.one(ctx, keys.AddressKey(a))
	if err != nil {
		return err
	}
	return f.memberships(ctx, id)
}

// keys are the address keys of cards, each read once: a percentile would else
// be the disk's, where a page was never read before.
func (f *bareFind) keys(ctx context.Context, keys *store.Keys, addresses []string) ([][]byte, error) {
	out := make([][]byte, len(addresses))
	for i, text := range addresses {
		a, err := store.ParseAddress(text)
		if err != nil {
			return nil, err
		}
		out[i] = keys.AddressKey(a)
		if _, err := f.one(ctx, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// one reads the card's row by its address key.
func (f *bareFind) one(ctx context.Context, addressKey []byte) (int64, error) {
	rows, err := f.card.QueryContext(ctx, addressKey)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var c cardInto
	for rows.Next() {
		if err := rows.Scan(c.fields()...); err != nil {
			return 0, err
		}
	}
	return c.numbers[0], rows.Err()
}

func (f *bareFind) memberships(ctx context.Context, id int64) error {
	rows, err := f.lists.QueryContext(ctx, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var list, status, since int64
		var name string
		if err := rows.Scan(&list, &name, &status, &since); err != nil {
			return err
		}
	}
	return rows.Err()
}
