package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Kinds of faults in what only repeats what the cards say, so that it can be
// made anew from them, and in leases, which end sooner or later. Any other fault
// is one of what the cards say.
const (
	faultCopies   = "copies"
	faultOrphans  = "orphans"
	faultCounters = "counters"
	faultLeases   = "leases"
)

func mendable(what string) bool {
	return what == faultCopies || what == faultOrphans || what == faultCounters || what == faultLeases
}

// wrongCopies tells memberships m whose pages would find a card c by something
// else than it says.
const wrongCopies = `(c.last_seen_at <> m.last_seen_at OR c.rating <> m.rating OR COALESCE(c.source, '') <> COALESCE(m.source, '')
 OR m.found_as <> CASE WHEN c.permission = m.status THEN c.permission ELSE 0 END)`

// orphan is a kind of rows that mean nothing without the one that is gone.
type orphan struct{ words, table, key, gone string }

var orphanKinds = []orphan{
	{"memberships of no card", "memberships", "subscriber_id", `NOT EXISTS (SELECT 1 FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id)`},
	{"weeks of activity of no live card", "activity", "subscriber_id", `NOT EXISTS (SELECT 1 FROM contacts c WHERE c.subscriber_id = activity.subscriber_id AND c.permission <> 4)`},
	{"bodies of no letter", "bodies", "letter_id", `NOT EXISTS (SELECT 1 FROM outbox o WHERE o.letter_id = bodies.letter_id)`},
}

// MendDeeply is ExamineDeeply, and makes anew what only repeats what the cards
// say: the copies of theirs that pages are read by, rows of nobody, counters.
// Others go on meanwhile. It ends leases that can't be read, too; where senders
// are at work then, the counters may need another run. note is called within each transaction with the
// words of what it mended.
func (s *Store) MendDeeply(ctx context.Context, progress func(done, total int64), note func(tx *Tx, words string) error) ([]Finding, error) {
	d, err := s.lookDeeply(ctx, progress)
	if err != nil {
		return nil, err
	}
	if len(d.faults[faultCopies]) > 0 {
		err = s.mendCopies(ctx, note)
	}
	for _, o := range orphanKinds {
		if err == nil && len(d.faults[faultOrphans]) > 0 {
			err = s.mendOrphans(ctx, o, note)
		}
	}
	if err == nil && len(d.faults[faultLeases]) > 0 {
		err = s.mendLeases(ctx, note)
	}
	if err == nil && len(d.drift) > 0 {
		err = s.InTx(ctx, func(tx *Tx) error {
			for name, n := range d.drift {
				tx.add(name, n) // on top of what others have counted since
			}
			return note(tx, fmt.Sprintf("%d counters", len(d.drift)))
		})
	}
	if err != nil {
		return nil, fmt.Errorf("mending: %w", err)
	}
	out := d.findings()
	for i, f := range out {
		if mendable(f.What) {
			out[i].Severity, out[i].Mend = Note, "this was mended just now"
		}
	}
	return out, nil
}

// mendCopies writes memberships' copies anew, some cards at a time.
func (s *Store) mendCopies(ctx context.Context, note func(*Tx, string) error) error {
	return s.mendChunks(ctx, `SELECT DISTINCT m.subscriber_id FROM memberships m JOIN contacts c ON c.subscriber_id = m.subscriber_id WHERE m.subscriber_id > ? AND `+wrongCopies+` ORDER BY m.subscriber_id LIMIT 250`,
		`UPDATE memberships SET last_seen_at = (SELECT c.last_seen_at FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id),
 rating = (SELECT c.rating FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id),
 source = (SELECT c.source FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id),
 found_as = COALESCE((SELECT c.permission FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id AND c.permission = memberships.status), 0)
 WHERE subscriber_id IN (`, `) AND EXISTS (SELECT 1 FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id)`, func(tx *Tx, n int64) error {
			return note(tx, fmt.Sprintf("%d memberships written anew from their cards", n))
		})
}

// mendOrphans removes rows of nobody.
func (s *Store) mendOrphans(ctx context.Context, o orphan, note func(*Tx, string) error) error {
	return s.mendChunks(ctx, `SELECT DISTINCT `+o.key+` FROM `+o.table+` WHERE `+o.key+` > ? AND `+o.gone+` ORDER BY `+o.key+` LIMIT 250`,
		`DELETE FROM `+o.table+` WHERE `+o.key+` IN (`, `) AND `+o.gone, func(tx *Tx, n int64) error {
			return note(tx, fmt.Sprintf("removed %d %s", n, o.words))
		})
}

// mendLeases ends leases that can't be read. Their letters wait for another
// attempt, which may be their second one: nothing tells.
func (s *Store) mendLeases(ctx context.Context, note func(*Tx, string) error) error {
	return s.InTx(ctx, func(tx *Tx) error {
		_, damaged, err := tx.readLeases(ctx)
		for _, id := range damaged {
			if err == nil { // the number stays taken
				err = tx.one(ctx, `UPDATE leases SET owner = '', until_at = 0, letters = ? WHERE lease_id = ?`, []byte{}, id)
			}
		}
		if err != nil || damaged == nil {
			return err
		}
		return note(tx, fmt.Sprintf("ended %d leases that can't be read", len(damaged)))
	})
}

// mendChunks changes the rows of the keys that are found after each other, a
// transaction for every few.
func (s *Store) mendChunks(ctx context.Context, find, change, where string, note func(tx *Tx, n int64) error) error {
	for after := int64(0); ; {
		var keys []any
		last := after
		err := s.each(ctx, func(rows *sql.Rows) error {
			err := rows.Scan(&last)
			keys = append(keys, last)
			return err
		}, find, after)
		if err != nil || len(keys) == 0 {
			return err
		}
		after = last
		marks, args := inList(keys)
		err = s.InTx(ctx, func(tx *Tx) error {
			n, err := tx.exec(ctx, change+marks+where, args...)
			if err != nil || n == 0 {
				return err
			}
			return note(tx, n)
		})
		if err != nil {
			return err
		}
	}
}
