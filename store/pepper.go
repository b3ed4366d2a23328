package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
)

// settingPeppers tells how many peppers the store's address keys are under.
const settingPeppers = "peppers"

// Peppers counts the peppers of the key file. The first derives the database
// file's key and what else belongs to the store; the last hashes addresses.
func (k *Keys) Peppers() int { return len(k.now.Load().peppers) }

// AddressKeys are all keyed hashes that an address or number may be kept
// under, the newest first.
func (k *Keys) AddressKeys(a Address) [][]byte { return k.underAll(a.canonical) }

// underAll hashes under each pepper, the newest first.
func (k *Keys) underAll(s string) [][]byte {
	peppers := k.now.Load().peppers
	out := make([][]byte, len(peppers))
	for i, p := range peppers {
		out[len(peppers)-1-i] = p.mac(s)
	}
	return out
}

// addPepper adds a pepper to the key file: as the next one first, which no
// process goes by, where other machines have to get it.
func (k *Keys) addPepper() error {
	return k.update(func(f *keyFile) error {
		if f.NextPepper == "" {
			pepper := make([]byte, 32)
			rand.Read(pepper)
			f.NextPepper = hex.EncodeToString(pepper)
		}
		return nil
	})
}

// usePepper makes the next pepper the one that addresses are hashed under.
func (k *Keys) usePepper() error {
	return k.update(func(f *keyFile) error {
		if f.NextPepper != "" {
			f.Peppers, f.NextPepper = append(f.Peppers, f.NextPepper), ""
		}
		return nil
	})
}

// agreePeppers makes the key file and the store agree on the number of peppers.
func (s *Store) agreePeppers(ctx context.Context) error {
	keys := s.raw.keys
	n, err := s.raw.countPeppers(ctx)
	if err != nil {
		return err
	}
	if n < keys.Peppers() { // the store is older than the key file
		have := strconv.Itoa(keys.Peppers())
		return s.attempt(ctx, func(tx *Tx) error { return tx.SetSetting(ctx, settingPeppers, have) }, func(*Tx) error { return nil })
	}
	return keys.follow(n)
}

// follow makes the key file go by as many peppers as the store does.
func (k *Keys) follow(n int) error {
	if n > k.Peppers() {
		if err := k.reload(); err != nil {
			return err
		}
	}
	switch have := k.Peppers(); {
	case n <= have:
		return nil
	case n == have+1 && k.now.Load().nextPepper:
		return k.usePepper()
	}
	return ErrKeysOld
}

// samePeppers makes sure that the transaction looks and writes under the
// newest pepper from its beginning to its end, and starts it again otherwise:
// an address that was hashed while another process added a pepper would stand
// beside its tombstone.
func (tx *Tx) samePeppers(ctx context.Context) error {
	n, err := tx.countPeppers(ctx)
	if err != nil {
		return err
	}
	if err := tx.keys.follow(n); err != nil {
		return err
	}
	if tx.keys.Peppers() != tx.peppers {
		return errConflict
	}
	return nil
}

// countPeppers tells how many peppers the store goes by.
func (q queries) countPeppers(ctx context.Context) (int, error) {
	text, err := q.Setting(ctx, settingPeppers)
	if err != nil || text == "" {
		return 1, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, ErrDamaged
	}
	return n, nil
}

// AddPepper adds a pepper, and moves the addresses that the store can read, of
// all live cards, to it. A tombstone's moves when somebody gives it: see
// Rekey. It can be run again where it was broken off, which adds no further
// one. Where other machines work on the store it ends with ErrCopyKeys at first.
func (s *Store) AddPepper(ctx context.Context, progress func(done, total int64)) (moved int64, err error) {
	keys := s.raw.keys
	if err := errors.Join(keys.reload(), s.agree(ctx)); err != nil {
		return 0, err
	}
	left, err := s.Setting(ctx, settingRekeying)
	if err != nil {
		return 0, err
	}
	if left == "" {
		if err := s.beginPepper(ctx); err != nil {
			return 0, err
		}
	}
	if moved, err = s.rekeyAll(ctx, progress); err != nil {
		return moved, err
	}
	return moved, s.InTx(ctx, func(tx *Tx) error { return tx.SetSetting(ctx, settingRekeying, "") })
}

// settingRekeying tells that addresses are being moved to a new pepper.
const settingRekeying = "rekeying"

func (s *Store) beginPepper(ctx context.Context) error {
	keys := s.raw.keys
	there := keys.now.Load().nextPepper
	if !there {
		if err := keys.addPepper(); err != nil {
			return err
		}
		others, err := s.otherMachines(ctx)
		if err != nil {
			return err
		}
		if others > 0 {
			return ErrCopyKeys
		}
	}
	if err := keys.usePepper(); err != nil {
		return err
	}
	return s.InTx(ctx, func(tx *Tx) error {
		return errors.Join(tx.SetSetting(ctx, settingPeppers, strconv.Itoa(keys.Peppers())), tx.SetSetting(ctx, settingRekeying, "1"))
	})
}

func (s *Store) otherMachines(ctx context.Context) (n int, err error) {
	err = s.get(ctx, []any{&n}, `SELECT COUNT(*) FROM journals WHERE machine <> ?`, s.journal.machine)
	return n, err
}

// rekeyAll moves the addresses and numbers of all cards that can be opened.
func (s *Store) rekeyAll(ctx context.Context, progress func(done, total int64)) (moved int64, err error) {
	var total, done int64
	if err := s.get(ctx, []any{&total}, `SELECT COUNT(*) FROM contacts`); err != nil {
		return 0, err
	}
	for after := int64(0); ; {
		ids, err := s.IDsAfter(ctx, after, resealChunk)
		if err != nil || len(ids) == 0 {
			return moved, err
		}
		n := int64(0)
		if err := s.InTx(ctx, func(tx *Tx) error {
			n = 0
			cs, err := tx.ContactsOf(ctx, ids, true)
			if err != nil {
				return err
			}
			for _, id := range ids {
				m, err := tx.rekeyCard(ctx, cs[id])
				if err != nil {
					return err
				}
				n += m
			}
			return nil
		}); err != nil {
			return moved, err
		}
		moved, done, after = moved+n, done+int64(len(ids)), ids[len(ids)-1]
		if progress != nil {
			progress(min(done, total), total)
		}
	}
}

func (tx *Tx) rekeyCard(ctx context.Context, c *Contact) (int64, error) {
	if c == nil || len(c.Sealed) == 0 {
		return 0, nil
	}
	p, err := tx.Open(c)
	if err != nil || bytes.Equal(c.AddressKey, tx.keys.AddressKey(p.Address())) {
		return 0, err
	}
	if err := tx.Rekey(ctx, p.Address()); err != nil {
		return 0, err
	}
	if p.Mobile == "" {
		return 1, nil
	}
	return 1, tx.Rekey(ctx, p.Number())
}

// Rekey moves what is kept under an older key of an address, or number, to the
// newest. Every flow that is given an address does so first, and then needs to
// look under the newest key only.
func (tx *Tx) Rekey(ctx context.Context, a Address) error {
	keys, limits := tx.keys.AddressKeys(a), tx.keys.underAll("limit\x00"+a.canonical)
	for i := 1; i < len(keys); i++ {
		for _, k := range keyedColumns {
			from := keys
			if k.limit {
				from = limits
			}
			// What is there under both was given to a process that did not know the
			// newest pepper yet: it stays under the older key.
			if _, err := tx.exec(ctx, `UPDATE `+k.table+` SET `+k.column+` = ?`+k.also+` WHERE `+k.column+` = ?`, from[0], from[i]); err != nil && !errors.Is(err, ErrTaken) {
				return err
			}
		}
	}
	return nil
}

// keyedColumn holds keyed hashes of addresses or numbers.
type keyedColumn struct {
	table, column, also string
	limit               bool // hashed as limits are
}

// keyedColumns are all of them but those of the erasure journal, which keeps
// what it was told: whoever compares with it tries every pepper.
var keyedColumns = []keyedColumn{
	{table: "contacts", column: "address_key", also: ", version = version + 1"},
	{table: "contacts", column: "mobile_key", also: ", version = version + 1"},
	{table: "mailbox", column: "address_key"},
	{table: "returned", column: "address_key"},
	{table: "limits", column: "limit_key", limit: true},
}

// Rekey is Tx.Rekey for what only reads: it writes nothing where there is
// nothing to move.
func (s *Store) Rekey(ctx context.Context, addresses ...Address) error {
	if err := s.fence(ctx); err != nil || s.Keys().Peppers() == 1 {
		return err
	}
	var move []Address
	for _, a := range addresses {
		for _, key := range s.Keys().AddressKeys(a)[1:] {
			var n int
			if err := s.get(ctx, []any{&n}, `SELECT (SELECT COUNT(*) FROM contacts WHERE address_key = ?) + (SELECT COUNT(*) FROM contacts WHERE mobile_key = ?)`, key, key); err != nil {
				return err
			}
			if n > 0 {
				move = append(move, a)
				break
			}
		}
	}
	if len(move) == 0 {
		return nil
	}
	return s.InTx(ctx, func(tx *Tx) error {
		for _, a := range move {
			if err := tx.Rekey(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}
