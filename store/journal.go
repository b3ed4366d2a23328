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
	s.id = name
	path := filepath.Join(s.engine.dir("journal"), name+".erasures")
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
		if _, err := os.Stat(path); err == nil {
			return s.openJournal(ctx) // another process has begun it since
		}
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
	}, `SELECT subscriber_id, address_key, deleted_at FROM contacts WHERE subscriber_id > ? AND permission = ? AND rating = 0 ORDER BY subscriber_id LIMIT ?`, after, Deleted, n)
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
