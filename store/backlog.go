package store

import (
	"context"
	"database/sql"
	"errors"
)

// Backlog is a store that lacks erasures which this machine's journal
// holds: it was restored from a backup, or its last writer died just before
// an erasure was kept. Until they were done again the store itself answers
// nothing; a Backlog does. It can be broken off and begun again.
type Backlog struct {
	Total int // how many erasures there are to do again
	Done  int // how many of them are done

	s    *Store
	at   journalState // what is done
	to   journalState
	void map[int64]bool
}

// Journaled is an erasure as a journal tells of it.
type Journaled struct {
	SubscriberID int64
	AddressKey   []byte
	At           Micros
}

// redo is the part of the journal that a transaction does again.
type redo struct {
	j       *journalFile
	from    int64
	to      journalState
	high    int64 // up to here SubscriberIDs were given out
	records []record
}

// Redo does an erasure of the journal again, in a transaction.
type Redo func(context.Context, *Tx, Journaled) error

// OnRedo says how an erasure is done again. Call it before the store is used.
func (s *Store) OnRedo(fn Redo) { s.journal.redo = fn }

// Behind is the work that has to be done before the store can be used; nil
// when there is none.
func (s *Store) Behind() *Backlog { return s.journal.behind.Load() }

// redoChunk is how many erasures are done again in one transaction.
const redoChunk = 20

// CatchUp does again what a store lacks that was restored from a backup. All
// reading and writing waits for it, and begins it if nobody else does.
func (s *Store) CatchUp(ctx context.Context, progress func(*Backlog)) error {
	if s.Behind() == nil {
		return nil
	}
	s.journal.turn.Lock()
	defer s.journal.turn.Unlock()
	r := s.Behind()
	if r == nil {
		return nil
	}
	return r.run(ctx, progress)
}

// heal does again what the store lacks while it is in use: another process
// died before its erasure was kept, or the store was restored under way.
func (s *Store) heal(ctx context.Context) error {
	s.journal.turn.Lock()
	defer s.journal.turn.Unlock()
	r, err := s.compareJournal(ctx)
	if err != nil {
		return err
	}
	return r.run(ctx, nil)
}

func (r *Backlog) run(ctx context.Context, progress func(*Backlog)) error {
	if r.s.journal.redo == nil {
		return ErrBehind
	}
	for {
		more, err := r.next(ctx)
		if errors.Is(err, errElsewhere) {
			var now *Backlog
			if now, err = r.s.compareJournal(ctx); err == nil {
				r.at, r.to, r.void, r.Done, more = now.at, now.to, now.void, r.Total-now.Total, true
			}
		}
		if err != nil || !more {
			return err
		}
		if progress != nil {
			progress(r)
		}
	}
}

// next does the next erasures again, in one transaction. It reports false when
// all are done; then the store can be used.
func (r *Backlog) next(ctx context.Context) (more bool, err error) {
	part := &redo{j: r.s.journal.file, from: r.at.N, to: r.at, high: r.to.High}
	errEnough := errors.New("enough")
	err = part.j.read(r.at, r.to.N, func(rec *record) error {
		if len(part.records) == redoChunk {
			return errEnough
		}
		part.to = journalState{N: rec.N, Chain: rec.Chain, High: max(part.to.High, rec.High)}
		if rec.Kind == recordErasure && !r.void[rec.N] {
			part.records = append(part.records, *rec)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return false, err
	}
	if len(part.records) == 0 {
		return false, r.done(ctx)
	}
	err = r.s.inErasure(ctx, part, func(tx *Tx) error {
		for _, rec := range part.records {
			if err := r.s.journal.redo(ctx, tx, Journaled{SubscriberID: rec.ID, AddressKey: rec.AddressKey[:], At: rec.At}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.at = part.to
		r.Done += len(part.records)
	}
	return err == nil, err
}

// errElsewhere: another process does the same at this moment.
var errElsewhere = errors.New("another process has done a part of it")

// run does a part of the journal again, unless somebody else has meanwhile.
func (p *redo) run(ctx context.Context, s *Store, tx *Tx, fn func(*Tx) error) error {
	at, err := s.followed(ctx, tx.queries)
	if err != nil || at.N >= p.to.N {
		return err
	}
	if at.N > p.from {
		return errElsewhere
	}
	if err := tx.skipIDs(ctx, p.high); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	tx.records = nil // the journal has them
	for _, r := range p.records {
		if err := tx.toldAgain(ctx, p.j.id, r); err != nil {
			return err
		}
	}
	return tx.follow(ctx, s.journal, at, p.to)
}

// skipIDs makes SubscriberIDs count on from above one.
func (tx *Tx) skipIDs(ctx context.Context, high int64) error {
	next, err := tx.engine.nextIDs(ctx, tx, contactIDs, 0)
	if err != nil || next > high {
		return err
	}
	n, err := tx.exec(ctx, `UPDATE sequences SET next_id = ? WHERE name = ? AND next_id <= ?`, high+1, contactIDs, high)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO sequences (name, next_id) VALUES (?, ?)`, contactIDs, high+1)
	}
	return err
}

// toldAgain puts an erasure back where other machines copy it from.
func (tx *Tx) toldAgain(ctx context.Context, own journalID, r record) error {
	origin, n := r.Origin, r.OriginN
	if n == 0 {
		origin, n = own, r.N
	}
	if n < 0 {
		return nil
	}
	var there int
	err := tx.get(ctx, []any{&there}, `SELECT COUNT(*) FROM erasures WHERE journal_id = ? AND n = ?`, origin[:], n)
	if err == nil && there == 0 {
		err = tx.fresh(ctx, `INSERT INTO erasures (journal_id, n, subscriber_id, address_key, at) VALUES (?, ?, ?, ?, ?)`, origin[:], n, r.ID, r.AddressKey[:], r.At)
	}
	return err
}

// done ends a restoration: the store can be used.
func (r *Backlog) done(ctx context.Context) error {
	s := r.s
	if r.at.N < r.to.N {
		part := &redo{j: s.journal.file, from: r.at.N, to: r.to, high: r.to.High}
		if err := s.inErasure(ctx, part, func(*Tx) error { return nil }); err != nil {
			return err
		}
	}
	s.journal.behind.Store(nil)
	return nil
}

// SyncJournal copies what other machines have erased into this one's journal,
// so that any of them is enough after a restore, and notes that SubscriberIDs
// were given out. Whether the store itself was restored meanwhile shows here
// too: then it has to be done again what was erased since (see Behind).
func (s *Store) SyncJournal(ctx context.Context) error {
	if err := s.CatchUp(ctx, nil); err != nil {
		return err
	}
	r, err := s.compareJournal(ctx)
	if err != nil {
		return err
	}
	if r.Total > 0 {
		if err := s.heal(ctx); err != nil {
			return err
		}
	}
	for more := true; more; {
		if more, err = s.copyErasures(ctx); err != nil {
			return err
		}
	}
	return s.noteTaken(ctx)
}

// noteTaken makes the journal go on where SubscriberIDs were given out, so that
// a store which doesn't know of them is known to be restored.
func (s *Store) noteTaken(ctx context.Context) error {
	if !s.journal.taken.Swap(false) {
		return nil
	}
	return s.noteIDs(ctx, 0, 0)
}

// foreign is another machine's journal: how much of it is copied, and how much
// there is.
type foreign struct {
	id            []byte
	seen, n, high int64
}

// copyErasures copies the next erasures of other machines, and reports whether
// there may be more.
func (s *Store) copyErasures(ctx context.Context) (bool, error) {
	own := s.journal.file.id
	at, err := s.followed(ctx, s.queries)
	if err != nil {
		return false, err
	}
	var others []foreign
	err = s.each(ctx, func(rows *sql.Rows) error {
		var f foreign
		err := rows.Scan(&f.id, &f.n, &f.high, &f.seen)
		if f.n > f.seen || f.high > at.High {
			others = append(others, f)
		}
		return err
	}, `SELECT j.journal_id, COALESCE((SELECT MAX(e.n) FROM erasures e WHERE e.journal_id = j.journal_id), 0), j.high,
 COALESCE((SELECT s.n FROM erasures_seen s WHERE s.journal_id = ? AND s.other_id = j.journal_id), 0) FROM journals j WHERE j.journal_id <> ?`, own[:], own[:])
	if err != nil {
		return false, err
	}
	const chunk = 500
	more := false
	for _, f := range others {
		err := s.InErasure(ctx, func(tx *Tx) error {
			records, err := tx.erasuresOf(ctx, f, chunk)
			if err != nil {
				return err
			}
			seen := max(f.n, f.seen)
			if len(records) == chunk {
				seen, more = records[chunk-1].OriginN, true
			}
			tx.records = append(records, record{Kind: recordIDs, At: At(s.now()), High: f.high})
			return tx.see(ctx, own, f.id, seen)
		})
		if err != nil {
			return false, err
		}
	}
	return more, nil
}

func (q queries) erasuresOf(ctx context.Context, f foreign, n int) ([]record, error) {
	var out []record
	err := q.each(ctx, func(rows *sql.Rows) error {
		r := record{Kind: recordErasure}
		var key []byte
		err := rows.Scan(&r.OriginN, &r.ID, &key, &r.At)
		copy(r.AddressKey[:], key)
		copy(r.Origin[:], f.id)
		out = append(out, r)
		return err
	}, `SELECT n, subscriber_id, address_key, at FROM erasures WHERE journal_id = ? AND n > ? AND n <= ? ORDER BY n LIMIT ?`, f.id, f.seen, f.n, n)
	return out, err
}

// see notes how much of another journal is copied.
func (tx *Tx) see(ctx context.Context, own journalID, other []byte, n int64) error {
	changed, err := tx.exec(ctx, `UPDATE erasures_seen SET n = ? WHERE journal_id = ? AND other_id = ?`, n, own[:], other)
	if err == nil && changed == 0 {
		err = tx.fresh(ctx, `INSERT INTO erasures_seen (journal_id, other_id, n) VALUES (?, ?, ?)`, own[:], other, n)
	}
	return err
}

// JournalInfo describes this machine's erasure journal.
type JournalInfo struct {
	Path     string `json:"journal"`
	Records  int64  `json:"records"`
	Erasures int    `json:"erasures"`
}

// Journal reads this machine's journal from end to end; ErrJournal when it was
// changed anywhere.
func (s *Store) Journal(ctx context.Context) (JournalInfo, error) {
	info := JournalInfo{Path: s.journal.path}
	j := s.journal.file
	unlock, err := j.lock(ctx)
	if err != nil {
		return info, err
	}
	to, err := j.state()
	unlock()
	if err != nil {
		return info, err
	}
	info.Records = to.N
	_, info.Erasures, err = j.pending(j.start(), to)
	return info, err
}
