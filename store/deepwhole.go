package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What is looked at of the store as a whole, after each card by itself.

// addresses checks that an address has one live card, and one that is newest.
func (d *deep) addresses(ctx context.Context) error {
	return d.each(ctx, func(rows *sql.Rows) error {
		var first, n int64
		err := rows.Scan(&first, &n)
		d.fault("addresses", "card %d and %d more are live under one address", first, n-1)
		return err
	}, `SELECT MIN(subscriber_id), COUNT(*) FROM contacts WHERE permission <> ? GROUP BY address_key HAVING COUNT(*) > 1`, Deleted)
}

// orphans looks for rows whose card, list or letter is gone, and for copies that
// say something else than their cards.
func (d *deep) orphans(ctx context.Context) error {
	type look struct{ kind, words, query string }
	looks := []look{
		{faultCopies, "memberships that say something else than their cards", `SELECT COUNT(*) FROM memberships m JOIN contacts c ON c.subscriber_id = m.subscriber_id WHERE ` + wrongCopies},
		{"rows", "memberships of no list", `SELECT COUNT(*) FROM memberships m LEFT JOIN lists l ON l.list_id = m.list_id WHERE l.list_id IS NULL`},
		{"rows", "letters on their way without a body", `SELECT COUNT(*) FROM outbox o LEFT JOIN bodies b ON b.letter_id = o.letter_id WHERE o.done_at = 0 AND b.letter_id IS NULL`},
	}
	for _, o := range orphanKinds {
		looks = append(looks, look{faultOrphans, o.words, `SELECT COUNT(*) FROM ` + o.table + ` WHERE ` + o.gone})
	}
	for _, l := range looks {
		var n int64
		if err := d.get(ctx, []any{&n}, l.query); err != nil {
			return err
		}
		if n > 0 {
			d.fault(l.kind, "%d %s", n, l.words)
		}
	}
	return nil
}

// sealed opens what is sealed beside the cards.
func (d *deep) sealed(ctx context.Context) error {
	for _, t := range sealedTables[1:] {
		err := d.each(ctx, func(rows *sql.Rows) error {
			var key any
			var sealed []byte
			if err := rows.Scan(&key, &sealed); err != nil {
				return err
			}
			if _, err := d.keys.openBytes(t.kind, t.placeOf(key), sealed); err != nil {
				if t.kind == sealToken {
					key = "a link"
				}
				d.fault("sealed values", "%s in %s does not open", fmt.Sprint(key), t.name)
				return nil
			}
			d.values++
			return nil
		}, `SELECT `+t.key+`, sealed FROM `+t.name+` WHERE LENGTH(sealed) > 0`)
		if err != nil {
			return err
		}
	}
	return nil
}

// letters counts the outbox by state.
func (d *deep) letters(ctx context.Context) error {
	all, damaged, err := d.readLeases(ctx)
	if err != nil {
		return err
	}
	for _, lease := range damaged {
		d.fault(faultLeases, "lease %d can't be read, so that no letter leaves", lease)
	}
	leased, err := d.leasedLetters(ctx, all, all.finder(), 0, 0)
	if err != nil {
		return err
	}
	for _, l := range leased {
		d.counts[l.row.state.counter()]--
		d.counts[LetterSending.counter()]++
	}
	return d.each(ctx, func(rows *sql.Rows) error {
		var state LetterState
		var n int64
		err := rows.Scan(&state, &n)
		if name := state.counter(); name != "" {
			d.counts[name] += n
		}
		return err
	}, `SELECT state, COUNT(*) FROM outbox WHERE done_at = 0 GROUP BY state`)
}

// counters compares the counters with what was counted.
func (d *deep) counters(ctx context.Context) error {
	kept := map[string]int64{}
	err := d.each(ctx, func(rows *sql.Rows) error {
		var name string
		var n int64
		err := rows.Scan(&name, &n)
		kept[name] = n
		return err
	}, `SELECT name, SUM(n) FROM counters GROUP BY name`)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for name := range kept {
		names[name] = true
	}
	for name := range d.counts {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		kind, _, _ := strings.Cut(name, "/")
		if !slices.Contains([]string{"permission", "rating", "source", "list", "outbox"}, kind) {
			continue // it only grows
		}
		if kept[name] != d.counts[name] {
			d.fault(faultCounters, "%s says %d, and there are %d", name, kept[name], d.counts[name])
			d.drift[name] = d.counts[name] - kept[name]
		}
	}
	return nil
}

// ids checks that no id that is in use will be given out again.
func (d *deep) ids(ctx context.Context) error {
	for sequence, query := range map[string]string{
		contactIDs: `SELECT COALESCE(MAX(subscriber_id), 0) FROM contacts`, "lists": `SELECT COALESCE(MAX(list_id), 0) FROM lists`,
		"audit": `SELECT COALESCE(MAX(audit_id), 0) FROM audit`, "letters": `SELECT COALESCE(MAX(letter_id), 0) FROM outbox`,
	} {
		var highest, next int64
		if err := d.get(ctx, []any{&highest}, query); err != nil {
			return err
		}
		err := d.get(ctx, []any{&next}, `SELECT next_id FROM sequences WHERE name = ?`, sequence)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if highest >= max(next, 1) {
			d.fault("ids", "%s: %d is in use, and the next one is %d", sequence, highest, next)
		}
	}
	return nil
}
