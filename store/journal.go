package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Errors of the erasure journal.
var (
	// ErrJournal: the journal is missing, was cut, or is another's.
	ErrJournal = errors.New("the erasure journal")
	// ErrBehind: the store lacks erasures that its journal holds.
	ErrBehind = errors.New("the store is behind its erasure journal, as a restored one is: start Kartotek anew, which first erases again who was erased since; nothing was changed")

	errNeedsJournal = errors.New("the transaction has to hold the erasure journal")
)

// settingStore holds the store's own name, by which its journals are told
// from those of others. A backup keeps it.
const settingStore = "store_id"

// idsAhead is how many SubscriberIDs are noted as given out at once.
const idsAhead = 10_000

// journal is this machine's erasure journal, as the store uses it.
type journal struct {
	path    string
	file    *journalFile
	machine []byte
	high    atomic.Int64 // up to here SubscriberIDs are noted in the file by this process
	taken   atomic.Bool  // whether any were given out since the file last told so
	last    atomic.Int64 // the highest one that this process has given out
	words   []string

	behind atomic.Pointer[Backlog]
	redo   Redo
	turn   sync.Mutex // held while the store catches up
}

// Words are what whoever opened the store has to be told.
func (s *Store) Words() []string { return s.journal.words }

// openJournal compares the store with this machine's journal, before anything
// else is read. A store that lacks erasures answers nothing until they were
// done again (see Behind).
func (s *Store) openJournal(ctx context.Context) error {
	name, err := s.settingOr(ctx, settingStore, func() (string, error) {
		b := make([]byte, 16)
		rand.Read(b)
		return hex.EncodeToString(b), nil
	})
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir("journal"), name+".erasures")
	mac := func(b []byte) []byte { return s.keys.mac("journal\x00" + name + string(b)) }
	s.journal = &journal{path: path, machine: machineName(mac, filepath.Dir(path))}
	s.journal.file, err = openJournalFile(path, mac)
	if errors.Is(err, errNoJournal) {
		return s.adoptJournal(ctx, mac)
	}
	if err != nil {
		return err
	}
	r, err := s.compareJournal(ctx)
	switch {
	case err != nil:
		return err
	case r.to.N == 0: // it was only begun
		return s.adoptJournal(ctx, mac)
	case r.Total == 0:
		return r.done(ctx)
	}
	s.journal.behind.Store(r)
	return nil
}

// compareJournal finds what the journal holds and the store doesn't know of.
func (s *Store) compareJournal(ctx context.Context) (*Backlog, error) {
	j := s.journal.file
	unlock, err := j.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	from, err := s.followed(ctx, s.raw)
	if err != nil {
		return nil, err
	}
	to, err := j.state()
	if err != nil {
		return nil, err
	}
	if err := j.check(from, to); err != nil {
		return nil, err
	}
	r := &Backlog{s: s, at: from, to: to}
	r.void, r.Total, err = j.pending(from, to)
	return r, err
}

// check makes sure that a journal goes as far as a store has followed it, and
// is the one that it followed.
func (j *journalFile) check(from, to journalState) error {
	if to.N < from.N {
		return j.damaged(fmt.Sprintf("it ends at record %d, and the store knows of %d", to.N, from.N))
	}
	chain, err := j.chainAt(from.N)
	if err == nil && chain != from.Chain {
		err = j.damaged(fmt.Sprintf("record %d is not the one that the store knows of", from.N))
	}
	return err
}

// pending counts the erasures after a state that came about, and lists the
// numbers of those that did not.
func (j *journalFile) pending(from, to journalState) (void map[int64]bool, n int, err error) {
	void = map[int64]bool{}
	err = j.read(from, to.N, func(r *record) error {
		switch r.Kind {
		case recordErasure:
			n++
		case recordVoid:
			for i := max(r.N-r.ID, from.N+1); i < r.N; i++ {
				void[i] = true
				n--
			}
		}
		return nil
	})
	return void, n, err
}

// followed is how far the store has followed this machine's journal.
func (s *Store) followed(ctx context.Context, q queries) (journalState, error) {
	at := s.journal.file.start()
	var chain []byte
	err := q.get(ctx, []any{&at.N, &chain, &at.High}, `SELECT n, chain, high FROM journals WHERE journal_id = ?`, s.journal.file.id[:])
	if errors.Is(err, ErrNotFound) {
		return at, nil
	}
	copy(at.Chain[:], chain)
	return at, err
}

// adoptJournal begins a journal for a machine that is new to the store, with
// everybody whom the store knows as erased. A machine that had one must not get
// another: it would know nothing of what was erased since a backup.
func (s *Store) adoptJournal(ctx context.Context, mac func([]byte) []byte) error {
	known, path := false, s.journal.path
	err := s.raw.each(ctx, func(rows *sql.Rows) error {
		var machine []byte
		err := rows.Scan(&machine)
		known = known || bytes.Equal(machine, s.journal.machine)
		return err
	}, `SELECT machine FROM journals`)
	if err != nil {
		return err
	}
	if known && s.journal.file == nil {
		return fmt.Errorf("%w %s is missing: without it a restored backup would bring erased people back. Nothing was shown or sent: put the newest copy of the journal back, or, when there is none, take the store as it is with kartotek journal new", ErrJournal, path)
	}
	var id journalID
	rand.Read(id[:])
	if s.journal.file, err = createJournalFile(path, id, mac); err != nil {
		return err
	}
	n, err := s.fillJournal(ctx)
	if err == nil && n > 0 {
		s.journal.words = append(s.journal.words, fmt.Sprintf("This machine had no erasure journal of the store: one was begun with the %d erasures that the store knows of, at %s. If the store was restored from a backup just now, start Kartotek first on a machine that has worked with it before.", n, path))
	}
	return err
}

// fillJournal takes over the tombstones of a store into a new journal.
func (s *Store) fillJournal(ctx context.Context) (n int, err error) {
	after := int64(0)
	for {
		var some []record
		if err := s.inErasure(ctx, nil, func(tx *Tx) error {
			if at, err := s.followed(ctx, tx.queries); err != nil || at.N > 0 && after == 0 {
				return err // another process was first
			}
			var err error
			some, err = tx.tombstones(ctx, after, 1000)
			tx.records = some
			if err == nil && after == 0 && len(some) == 0 { // the store must know of an empty one too
				tx.records = []record{{Kind: recordIDs, At: At(s.now())}}
			}
			if err == nil && after == 0 {
				err = tx.seeOthers(ctx, s.journal.file.id)
			}
			return err
		}); err != nil {
			return n, err
		}
		n += len(some)
		if len(some) < 1000 {
			return n, nil
		}
		after = some[len(some)-1].ID
	}
}

// tombstones reads erased contacts as records that are copied, by their ids.
func (q queries) tombstones(ctx context.Context, after int64, n int) ([]record, error) {
	var out []record
	err := q.each(ctx, func(rows *sql.Rows) error {
		r := record{Kind: recordErasure, OriginN: -1} // the store's own, no machine's
		var key []byte
		err := rows.Scan(&r.ID, &key, &r.At)
		copy(r.AddressKey[:], key)
		out = append(out, r)
		return err
	}, `SELECT subscriber_id, address_key, deleted_at FROM contacts WHERE subscriber_id > ? AND permission = ? ORDER BY subscriber_id LIMIT ?`, after, Deleted, n)
	return out, err
}

// seeOthers notes that all other journals are known up to now.
func (tx *Tx) seeOthers(ctx context.Context, id journalID) error {
	_, err := tx.exec(ctx, `INSERT INTO erasures_seen (journal_id, other_id, n) SELECT ?, journal_id, n FROM journals WHERE journal_id <> ?`, id[:], id[:])
	return err
}

// renewJournal takes the store as it is, where this machine's journal was lost
// for good: what is left of it is put aside, and another is begun.
func (s *Store) renewJournal(ctx context.Context) error {
	err := os.Rename(s.journal.path, fmt.Sprintf("%s.lost-%d", s.journal.path, s.now().Unix()))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("putting the old journal aside: %w", err)
	}
	if err := s.engine.inTx(ctx, func(q queries) error {
		_, err := q.exec(ctx, `DELETE FROM journals WHERE machine = ?`, s.journal.machine)
		return err
	}); err != nil {
		return err
	}
	return s.openJournal(ctx)
}

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
