package store

import (
	"context"
	"errors"
)

// idsAhead is how many SubscriberIDs are noted as given out at once.
const idsAhead = 10_000

// held is the journal in the hands of one act, over all its attempts.
type held struct {
	at   journalState // the file's
	loss int64        // how many records attempts that failed have left at its end
}

// InErasure is InTx for what erases: it holds the erasure journal from the
// beginning. InTx does that too, but only finds out by trying.
func (s *Store) InErasure(ctx context.Context, fn func(*Tx) error) error {
	if err := s.CatchUp(ctx, nil); err != nil {
		return err
	}
	return s.noting(ctx, func() error { return s.healing(ctx, fn) })
}

// healing runs fn under the journal's lock, and where another process has died
// in the middle of an erasure, does that first.
func (s *Store) healing(ctx context.Context, fn func(*Tx) error) error {
	err := s.inErasure(ctx, nil, fn)
	if errors.Is(err, ErrBehind) {
		if err = s.heal(ctx); err == nil {
			err = s.inErasure(ctx, nil, fn)
		}
	}
	return err
}

// noting runs an act again after the SubscriberIDs that it asked for were noted.
func (s *Store) noting(ctx context.Context, act func() error) error {
	for {
		err := act()
		var needs *needsIDs
		if !errors.As(err, &needs) {
			return err
		}
		if err := s.noteIDs(ctx, needs.last, needs.n); err != nil {
			return err
		}
	}
}

// inErasure runs fn under the journal's lock. With redo it does again what the
// journal holds already, up to there.
func (s *Store) inErasure(ctx context.Context, redo *redo, fn func(*Tx) error) error {
	j := s.journal.file
	unlock, err := j.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	h := &held{}
	if h.at, err = j.state(); err != nil {
		return err
	}
	if redo != nil {
		return s.attempt(ctx, func(tx *Tx) error { return redo.run(ctx, s, tx, fn) }, func(*Tx) error { return nil })
	}
	err = s.attempt(ctx, fn, func(tx *Tx) error { return s.record(ctx, tx, h) })
	if err != nil && h.loss > 0 && !errors.Is(err, ErrUnsure) {
		err = errors.Join(err, s.void(h))
	}
	return err
}

// void takes back the records of an attempt that did not come about.
func (s *Store) void(h *held) error {
	r := record{Kind: recordVoid, At: At(s.now()), ID: h.loss}
	next := s.journal.file.follow(h.at, &r)
	if err := s.journal.file.append(h.at, []record{r}); err != nil {
		return err
	}
	h.at, h.loss = next, 0
	return nil
}

// record writes the records of a transaction, as the last thing before it is
// kept: into the store, so that it knows how far the journal goes, and then
// into the journal, which is on the disk before the transaction commits.
func (s *Store) record(ctx context.Context, tx *Tx, h *held) error {
	if len(tx.records) == 0 {
		return nil
	}
	s.engine.owe()
	j := s.journal.file
	if h.loss > 0 {
		if err := s.void(h); err != nil {
			return err
		}
	}
	at, err := s.followed(ctx, tx.queries)
	if err != nil {
		return err
	}
	if at.N != h.at.N {
		if err := j.check(at, h.at); err != nil {
			return err
		}
		if _, n, err := j.pending(at, h.at); err != nil || n > 0 {
			return errors.Join(err, ErrBehind)
		}
	}
	next := h.at
	for i := range tx.records {
		next = j.follow(next, &tx.records[i])
	}
	if err := tx.follow(ctx, s.journal, at, next); err != nil {
		return err
	}
	if err := tx.tellErasures(ctx, j.id, tx.records); err != nil {
		return err
	}
	if err := j.append(h.at, tx.records); err != nil {
		return err
	}
	h.at, h.loss = next, int64(len(tx.records))
	return nil
}

// follow notes how far the store follows this machine's journal, guarded by
// what was read.
func (tx *Tx) follow(ctx context.Context, j *journal, from, to journalState) error {
	n, err := tx.exec(ctx, `UPDATE journals SET n = ?, chain = ?, high = ? WHERE journal_id = ? AND n = ?`, to.N, to.Chain[:], to.High, j.file.id[:], from.N)
	if err == nil && n == 0 {
		if from.N != 0 {
			return errConflict
		}
		err = tx.fresh(ctx, `INSERT INTO journals (journal_id, machine, n, chain, high) VALUES (?, ?, ?, ?, ?)`, j.file.id[:], j.machine, to.N, to.Chain[:], to.High)
	}
	return err
}

// tellErasures puts a journal's own erasures where other machines copy them from.
func (tx *Tx) tellErasures(ctx context.Context, own journalID, records []record) error {
	for _, r := range records {
		if r.Kind != recordErasure || r.OriginN != 0 {
			continue
		}
		if _, err := tx.exec(ctx, `INSERT INTO erasures (journal_id, n, subscriber_id, address_key, at) VALUES (?, ?, ?, ?, ?)`, own[:], r.N, r.ID, r.AddressKey[:], r.At); err != nil {
			return err
		}
	}
	return nil
}

// erased notes that the transaction makes a tombstone.
func (tx *Tx) erased(c *Contact) {
	r := record{Kind: recordErasure, ID: c.SubscriberID, At: c.DeletedAt}
	copy(r.AddressKey[:], c.AddressKey)
	tx.records = append(tx.records, r)
}

// likely makes sure that the journal knows of the SubscriberIDs that will be
// given out next, before they are taken: on a server those would be lost.
func (tx *Tx) likely(ctx context.Context, n int64) error {
	j := tx.journal
	if j.last.Load() == 0 {
		next, err := tx.engine.nextIDs(ctx, tx, contactIDs, 0)
		if err != nil {
			return err
		}
		j.last.CompareAndSwap(0, next-1)
	}
	if last := j.last.Load() + n; last > j.high.Load() {
		return &needsIDs{last, n}
	}
	return nil
}

// given makes sure that the journal knows of SubscriberIDs before anybody
// gets them: a restored store doesn't, and must not give them out again.
func (tx *Tx) given(last, n int64) error {
	j := tx.journal
	j.taken.Store(true)
	for known := j.last.Load(); last > known && !j.last.CompareAndSwap(known, last); known = j.last.Load() {
	}
	if last <= j.high.Load() {
		return nil
	}
	return &needsIDs{last, n}
}

// needsIDs asks for SubscriberIDs to be noted, outside of the transaction.
type needsIDs struct{ last, n int64 }

func (n *needsIDs) Error() string { return "SubscriberIDs have to be noted first" }

// noteIDs writes to the journal that SubscriberIDs up to last, and some more
// for somebody who takes n at once, may have been given out.
func (s *Store) noteIDs(ctx context.Context, last, n int64) error {
	var high int64
	err := s.healing(ctx, func(tx *Tx) error {
		at, err := s.followed(ctx, tx.queries)
		if err != nil {
			return err
		}
		if high = at.High; high < last {
			high = last + max(idsAhead, 20*n)
		}
		tx.records = []record{{Kind: recordIDs, At: At(s.now()), High: high}}
		return nil
	})
	if err == nil {
		s.journal.high.Store(high)
	}
	return err
}
