package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store/ledger"
)

// LeafPlace is where an act's leaf was appended: which transaction's batch,
// and which of it, from 0. Where in the tree that is, Placed tells.
type LeafPlace struct{ Batch, Place int64 }

// What the MACs of the log's rows say they are of.
const (
	macBatch  = "batch"
	macPlaced = "placed"
	macHead   = "head"
)

// batchLeaves bounds a batch, of which many are read at once.
const batchLeaves = 1024

// appendLeaf adds a leaf to what the transaction appends to the log. Writers
// of several processes don't wait for one another: each transaction has
// batches of its own, and the tree is made of them later.
func (tx *Tx) appendLeaf(ctx context.Context, leaf []byte) (LeafPlace, error) {
	if tx.nleaf == batchLeaves {
		if err := tx.flushLeaves(ctx); err != nil {
			return LeafPlace{}, err
		}
		tx.batch, tx.leaves, tx.nleaf = 0, tx.leaves[:0], 0
	}
	if tx.batch == 0 {
		var err error
		if tx.batch, err = tx.NextIDs(ctx, "batches", 1); err != nil {
			return LeafPlace{}, err
		}
	}
	tx.leaves = append(tx.leaves, leaf...)
	tx.nleaf++
	return LeafPlace{tx.batch, tx.nleaf - 1}, nil
}

// flushLeaves writes the transaction's last batch.
func (tx *Tx) flushLeaves(ctx context.Context) error {
	if tx.batch == 0 {
		return nil
	}
	mac := tx.keys.log.MAC(macBatch, tx.leaves, tx.batch)
	if err := tx.fresh(ctx, `INSERT INTO batches (batch_id, leaves, mac) VALUES (?, ?, ?)`, tx.batch, tx.leaves, mac); err != nil {
		return err
	}
	return tx.fresh(ctx, `INSERT INTO unplaced (batch_id) VALUES (?)`, tx.batch)
}

// Batch is leaves of one transaction, all of them unless they are many.
type Batch struct {
	ID     int64
	First  int64 // its first leaf's place in the tree; -1 when it has none yet
	Leaves []byte
	Whole  bool // neither it nor its place was changed by somebody without the key file
}

// Unplaced lists the batches that are not in the tree yet: up to n, by their numbers.
func (q queries) Unplaced(ctx context.Context, n int) ([]int64, error) {
	var out []int64
	err := q.each(ctx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	}, `SELECT batch_id FROM unplaced ORDER BY batch_id LIMIT ?`, n)
	return out, err
}

// UnplacedBatches reads the first n of them. One that isn't there, which only
// somebody from outside can have brought about, is without leaves and not whole.
func (q queries) UnplacedBatches(ctx context.Context, n int) ([]Batch, error) {
	var out []Batch
	err := q.each(ctx, func(rows *sql.Rows) error {
		b := Batch{First: -1}
		var mac sql.RawBytes
		if err := rows.Scan(&b.ID, &b.Leaves, &mac); err != nil {
			return err
		}
		b.Whole = len(b.Leaves) > 0 && string(mac) == string(q.keys.log.MAC(macBatch, b.Leaves, b.ID))
		out = append(out, b)
		return nil
	}, `SELECT u.batch_id, b.leaves, b.mac FROM unplaced u LEFT JOIN batches b ON b.batch_id = u.batch_id ORDER BY u.batch_id LIMIT ?`, n)
	return out, err
}

// Batch reads one batch; ErrNotFound when it is not there.
func (q queries) Batch(ctx context.Context, id int64) (Batch, error) {
	b := Batch{ID: id, First: -1}
	var mac []byte
	err := q.get(ctx, []any{&b.Leaves, &mac}, `SELECT leaves, mac FROM batches WHERE batch_id = ?`, id)
	b.Whole = err == nil && string(mac) == string(q.keys.log.MAC(macBatch, b.Leaves, id))
	return b, err
}

// Waits tells whether a batch is not in the tree yet.
func (q queries) Waits(ctx context.Context, batch int64) (bool, error) {
	var n int64
	err := q.get(ctx, []any{&n}, `SELECT COUNT(*) FROM unplaced WHERE batch_id = ?`, batch)
	return n > 0, err
}

// Placed tells the place of a batch's first leaf; ErrNotFound when it has none yet.
func (q queries) Placed(ctx context.Context, batch int64) (first int64, err error) {
	err = q.get(ctx, []any{&first}, `SELECT first_leaf FROM placed WHERE batch_id = ?`, batch)
	return first, err
}

// PlacedRow says which leaves of the tree a batch is.
type PlacedRow struct {
	First, Batch, N int64
	Whole           bool
}

// PlacedFrom reads up to limit places in their order, from the one that holds
// a leaf on.
func (q queries) PlacedFrom(ctx context.Context, leaf int64, limit int) ([]PlacedRow, error) {
	var out []PlacedRow
	err := q.each(ctx, func(rows *sql.Rows) error {
		var p PlacedRow
		var mac []byte
		if err := rows.Scan(&p.First, &p.Batch, &p.N, &mac); err != nil {
			return err
		}
		p.Whole = string(mac) == string(q.placeMAC(p))
		out = append(out, p)
		return nil
	}, `SELECT first_leaf, batch_id, n, mac FROM placed WHERE first_leaf >= COALESCE((SELECT MAX(first_leaf) FROM placed WHERE first_leaf <= ?), 0)
 ORDER BY first_leaf LIMIT ?`, leaf, limit)
	return out, err
}

// LogFrom reads up to limit batches with their places, in their order, from
// the one that holds a leaf on. A batch that isn't there is nil.
func (q queries) LogFrom(ctx context.Context, leaf int64, limit int, fn func(PlacedRow, *Batch) error) error {
	return q.each(ctx, func(rows *sql.Rows) error {
		var p PlacedRow
		var leaves []byte
		var placeMAC, batchMAC sql.RawBytes
		if err := rows.Scan(&p.First, &p.Batch, &p.N, &placeMAC, &leaves, &batchMAC); err != nil {
			return err
		}
		p.Whole = string(placeMAC) == string(q.placeMAC(p))
		if leaves == nil {
			return fn(p, nil)
		}
		return fn(p, &Batch{p.Batch, p.First, leaves, string(batchMAC) == string(q.keys.log.MAC(macBatch, leaves, p.Batch))})
	}, `SELECT p.first_leaf, p.batch_id, p.n, p.mac, b.leaves, b.mac FROM placed p LEFT JOIN batches b ON b.batch_id = p.batch_id
 WHERE p.first_leaf >= COALESCE((SELECT MAX(first_leaf) FROM placed WHERE first_leaf <= ?), 0) ORDER BY p.first_leaf LIMIT ?`, leaf, limit)
}

func (q queries) placeMAC(p PlacedRow) []byte {
	return q.keys.log.MAC(macPlaced, nil, p.First, p.Batch, p.N)
}

// LogHead is how far the tree is made.
type LogHead struct {
	ledger.Frontier
	Owner string // who makes it, until Until; others leave it to them
	Until Micros
	Whole bool // not changed by somebody without the key file
	fresh bool // nothing was ever placed
}

// LogHead reads how far the tree is made; of nothing, an empty one.
func (q queries) LogHead(ctx context.Context) (LogHead, error) {
	h := LogHead{Whole: true}
	var frontier, mac []byte
	var size int64
	err := q.get(ctx, []any{&size, &frontier, &mac, &h.Owner, &h.Until}, `SELECT size, frontier, mac, owner, until FROM log_head WHERE one = 1`)
	if errors.Is(err, ErrNotFound) {
		h.fresh = true
		return h, nil
	}
	if err != nil {
		return h, err
	}
	h.Frontier, h.Whole = ledger.ParseFrontier(size, frontier)
	h.Whole = h.Whole && string(mac) == string(q.keys.log.MAC(macHead, frontier, size))
	return h, nil
}

// Subtree is the hash of a complete subtree of the tree.
type Subtree struct {
	Level  int
	Number int64
	Hash   tlog.Hash
}

// Growth is what one round adds to the tree.
type Growth struct {
	Placed     []PlacedRow
	Subtrees   []Subtree // in the order in which they became complete, every eighth level
	Checkpoint ledger.Checkpoint
}

// Grow makes the tree longer, guarded by its head: where somebody else has
// done so since, the transaction starts again.
func (tx *Tx) Grow(ctx context.Context, from, to LogHead, g Growth) error {
	frontier := to.Bytes()
	mac := tx.keys.log.MAC(macHead, frontier, to.Size)
	var err error
	if from.fresh {
		err = tx.fresh(ctx, `INSERT INTO log_head (one, size, frontier, mac, owner, until) VALUES (1, ?, ?, ?, ?, ?)`, to.Size, frontier, mac, to.Owner, to.Until)
	} else {
		err = tx.one(ctx, `UPDATE log_head SET size = ?, frontier = ?, mac = ?, owner = ?, until = ? WHERE one = 1 AND size = ?`, to.Size, frontier, mac, to.Owner, to.Until, from.Size)
	}
	if err != nil {
		return err
	}
	if err := tx.place(ctx, g.Placed); err != nil {
		return err
	}
	if err := tx.addSubtrees(ctx, g.Subtrees); err != nil {
		return err
	}
	return tx.fresh(ctx, `INSERT INTO checkpoints (size, note) VALUES (?, ?)`, g.Checkpoint.Size, g.Checkpoint.Note)
}

// place gives batches their places; errConflict when somebody else has.
func (tx *Tx) place(ctx context.Context, placed []PlacedRow) error {
	rows := make([][]any, len(placed))
	for i, p := range placed {
		rows[i] = []any{p.First, p.Batch, p.N, tx.placeMAC(p)}
	}
	if err := tx.insertAll(ctx, `INSERT INTO placed (first_leaf, batch_id, n, mac)`, rows); err != nil {
		return err
	}
	for some := range slices.Chunk(placed, mostInList) {
		ids := make([]any, len(some))
		for i, p := range some {
			ids[i] = p.Batch
		}
		in, args := inList(ids)
		n, err := tx.exec(ctx, `DELETE FROM unplaced WHERE batch_id IN (`+in+`)`, args...)
		if err == nil && n != int64(len(some)) {
			err = errConflict
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mostInList is how many values an IN list takes.
const mostInList = 500

// ReleaseLog ends the lease of who makes the tree.
func (tx *Tx) ReleaseLog(ctx context.Context, owner string) error {
	_, err := tx.exec(ctx, `UPDATE log_head SET until = 0 WHERE one = 1 AND owner = ?`, owner)
	return err
}

const tileWidth = 1 << ledger.TileHeight

// addSubtrees writes the hashes of complete subtrees, 256 to a row.
func (tx *Tx) addSubtrees(ctx context.Context, all []Subtree) error {
	type key struct {
		level  int
		number int64
	}
	rows, order := map[key][]byte{}, []key{}
	for _, t := range all {
		k := key{t.Level, t.Number / tileWidth}
		row, ok := rows[k]
		if !ok {
			order = append(order, k)
			if t.Number%tileWidth != 0 {
				var err error
				if row, err = tx.Subtrees(ctx, k.level, k.number); err != nil {
					return err
				}
			}
		}
		at := int(t.Number%tileWidth) * tlog.HashSize
		if len(row) < at {
			return ErrDamaged
		}
		rows[k] = append(row[:at:at], t.Hash[:]...)
	}
	for _, k := range order {
		n, err := tx.exec(ctx, `UPDATE subtrees SET hashes = ? WHERE level = ? AND number = ?`, rows[k], k.level, k.number)
		if err == nil && n == 0 {
			err = tx.fresh(ctx, `INSERT INTO subtrees (level, number, hashes) VALUES (?, ?, ?)`, k.level, k.number, rows[k])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Subtrees reads a row of hashes, one after the other: those of the complete
// subtrees of a level from 256*number on; ErrNotFound when there is none.
func (q queries) Subtrees(ctx context.Context, level int, number int64) ([]byte, error) {
	var hashes []byte
	err := q.get(ctx, []any{&hashes}, `SELECT hashes FROM subtrees WHERE level = ? AND number = ?`, level, number)
	return hashes, err
}

// Checkpoints reads up to limit checkpoints of more than size leaves, the
// smallest first, as they were signed.
func (q queries) Checkpoints(ctx context.Context, size int64, limit int) (sizes []int64, notes []string, err error) {
	err = q.each(ctx, func(rows *sql.Rows) error {
		var size int64
		var note string
		err := rows.Scan(&size, &note)
		sizes, notes = append(sizes, size), append(notes, note)
		return err
	}, `SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?`, size, limit)
	return sizes, notes, err
}

// LastCheckpoint reads the newest checkpoint as it was signed; "" when there is none.
func (q queries) LastCheckpoint(ctx context.Context) (string, error) {
	var note string
	err := q.get(ctx, []any{&note}, `SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1`)
	return note, orNothing(err)
}

// CardActs is how many acts a card has had.
type CardActs struct{ ID, Acts int64 }

// ActsFrom reads the cards that follow an id, and how many acts each has had.
func (q queries) ActsFrom(ctx context.Context, after int64, limit int) ([]CardActs, error) {
	var out []CardActs
	err := q.each(ctx, func(rows *sql.Rows) error {
		var c CardActs
		err := rows.Scan(&c.ID, &c.Acts)
		out = append(out, c)
		return err
	}, `SELECT subscriber_id, acts FROM contacts WHERE subscriber_id > ? ORDER BY subscriber_id LIMIT ?`, after, limit)
	return out, err
}

// LastContact is the largest SubscriberID of a card; 0 when there is none.
func (q queries) LastContact(ctx context.Context) (id int64, err error) {
	err = q.get(ctx, []any{&id}, `SELECT COALESCE(MAX(subscriber_id), 0) FROM contacts`)
	return id, err
}

// EachEvidence reads the sealed acts of the cards from after to last, in
// their order. The evidence is fn's until it returns.
func (q queries) EachEvidence(ctx context.Context, after, last int64, fn func(*Evidence) error) error {
	var e Evidence
	var sealed sql.RawBytes
	return q.each(ctx, func(rows *sql.Rows) error {
		if err := rows.Scan(&e.SubscriberID, &e.N, &e.Kind, &e.At, &sealed, &e.Leaf.Batch, &e.Leaf.Place); err != nil {
			return err
		}
		e.Sealed = sealed
		return fn(&e)
	}, `SELECT subscriber_id, n, kind, at, sealed, batch_id, place FROM evidence WHERE subscriber_id > ? AND subscriber_id <= ? ORDER BY subscriber_id, n`, after, last)
}
