package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Errors of changing keys.
var (
	// ErrKeyInUse: a key can't be destroyed yet.
	ErrKeyInUse = errors.New("the key is still needed")
	// ErrKeysOld: another machine has rotated the keys.
	ErrKeysOld = errors.New("the key file lacks the key that the store is sealed with now: copy it from the machine where the keys were rotated; nothing was changed")
	// ErrCopyKeys: a new key was added, and other machines need it first.
	ErrCopyKeys = errors.New("a new key was added to the key file, and isn't used yet: copy the key file to every other machine that works on the store, then run the same again")
)

// destroyAfter is how long after a rotation what was sealed before it, by
// processes on other machines, may still be on its way into the store.
const destroyAfter = 2 * time.Minute

// The states of a sealing key.
const (
	KeyNext    = "next" // in the key file, and not used yet
	KeySealing = "sealing"
	KeyOld     = "old" // opens what was sealed with it
)

// sealedTable is a table with values under the AEAD keyset, each bound to the
// table's key.
type sealedTable struct{ name, key, kind, also string }

// sealedTables are all of them. A table with a sealed column of that kind has
// to be here: what isn't would be lost when its key is destroyed.
var sealedTables = []sealedTable{
	{"contacts", "subscriber_id", sealContact, ", version = version + 1"},
	{"tokens", "token_hash", sealToken, ""},
	{"bodies", "letter_id", sealLetter, ""},
	{"attempts", "letter_id", sealTalk, ""},
	{"mailbox", "number", sealMail, ""},
}

func (t sealedTable) first() any {
	if t.kind == sealToken {
		return []byte{}
	}
	return int64(0)
}

// placeOf is where a value is bound to.
func (t sealedTable) placeOf(key any) int64 {
	if b, ok := key.([]byte); ok {
		return sealPlace(b)
	}
	id, _ := key.(int64)
	return id
}

// agree makes this machine's key file and the store agree on the key that
// seals: the store may have been restored, and keys may have been rotated on
// another machine.
func (s *Store) agree(ctx context.Context) error {
	if err := s.agreePeppers(ctx); err != nil {
		return err
	}
	probe, err := s.raw.Setting(ctx, settingProbe)
	if err != nil || probe == "" {
		return err
	}
	keys := s.raw.keys
	id, err := keys.openProbe(probe)
	if err != nil {
		return ErrKeysOld
	}
	now := keys.now.Load()
	switch {
	case id == now.primary():
		return nil
	case now.timesOf(id).Retired == nil: // promoted elsewhere
		return keys.promote(id, s.now())
	}
	return s.tellProbe(ctx) // the store is older than the key file
}

// tellProbe tells other machines which key seals.
func (s *Store) tellProbe(ctx context.Context) error {
	return s.attempt(ctx, func(tx *Tx) error {
		probe, err := tx.keys.newProbe()
		if err != nil {
			return err
		}
		return tx.SetSetting(ctx, settingProbe, probe)
	}, func(*Tx) error { return nil })
}

// agreeEvery is how long a process may go on with a key that another machine
// has retired, and with a schema that a newer version of the program changes.
const agreeEvery = time.Second

// fence makes sure, now and then, that what is written is sealed with the key
// that the store goes by, and is what its schema asks for.
func (s *Store) fence(ctx context.Context) error {
	last, now := s.agreed.Load(), time.Now().UnixNano()
	if now-last < int64(agreeEvery) || !s.agreed.CompareAndSwap(last, now) {
		return s.outrun()
	}
	if err := s.notOutrun(ctx); err != nil {
		return err
	}
	return s.agree(ctx)
}

// SealingKeys lists the keys of the keyset, and how many values are sealed
// with each.
func (s *Store) SealingKeys(ctx context.Context) ([]SealingKey, error) {
	if err := s.raw.keys.reload(); err != nil {
		return nil, err
	}
	now := s.raw.keys.now.Load()
	var out []SealingKey
	for _, info := range now.handle.KeysetInfo().GetKeyInfo() {
		id := info.GetKeyId()
		t := now.timesOf(id)
		k := SealingKey{ID: keyName(id), State: KeySealing, Created: t.Created, Retired: t.Retired, Resealed: t.Resealed}
		if id != now.primary() {
			if k.State = KeyOld; t.Retired == nil {
				k.State = KeyNext
			}
		}
		var err error
		if k.Values, err = s.countSealed(ctx, "= ?", id); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// countSealed counts the values whose key is or isn't one.
func (s *Store) countSealed(ctx context.Context, cond string, id uint32) (all int64, err error) {
	for _, t := range sealedTables {
		var n int64
		if err := s.get(ctx, []any{&n}, `SELECT COUNT(*) FROM `+t.name+` WHERE LENGTH(sealed) > 0 AND SUBSTR(sealed, 1, 5) `+cond, prefix(id)); err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// Rotate adds a new key for new data and seals anew what is there, while
// everything runs. Broken off, it goes on where it stopped. Where other
// machines work on the store it ends with ErrCopyKeys at first.
func (s *Store) Rotate(ctx context.Context, progress func(done, total int64)) (SealingKey, error) {
	keys := s.raw.keys
	if err := errors.Join(keys.reload(), s.agree(ctx)); err != nil {
		return SealingKey{}, err
	}
	if now := keys.now.Load(); !now.unfinished() {
		if err := s.beginRotation(ctx, now.next()); err != nil {
			return SealingKey{}, err
		}
	}
	if err := s.reseal(ctx, progress); err != nil {
		return SealingKey{}, err
	}
	primary := keys.now.Load().primary()
	err := keys.changeKeyset(func(_ *keyset.Manager, times map[string]keyTimes) error {
		for name, t := range times {
			if t.Retired != nil && t.Resealed == nil {
				t.Resealed = stamp(s.now())
				times[name] = t
			}
		}
		return nil
	})
	return SealingKey{ID: keyName(primary), State: KeySealing, Created: keys.now.Load().timesOf(primary).Created}, err
}

// beginRotation makes the next key the one that seals, and adds it first.
func (s *Store) beginRotation(ctx context.Context, next uint32) error {
	keys := s.raw.keys
	if next == 0 {
		if err := keys.addKey(s.now()); err != nil {
			return err
		}
		others, err := s.otherMachines(ctx)
		if err != nil {
			return err
		}
		if others > 0 {
			return ErrCopyKeys
		}
		next = keys.now.Load().next()
	}
	if err := keys.promote(next, s.now()); err != nil {
		return err
	}
	return s.tellProbe(ctx)
}

// resealChunk is how many values one transaction seals anew.
const resealChunk = 200

func (s *Store) reseal(ctx context.Context, progress func(done, total int64)) error {
	id := s.raw.keys.now.Load().primary()
	total, err := s.countSealed(ctx, "<> ?", id)
	if err != nil {
		return err
	}
	var done int64
	for _, t := range sealedTables {
		from := t.first()
		for {
			var n int
			if n, from, err = s.resealSome(ctx, t, from, id); err != nil {
				return err
			}
			if done += int64(n); progress != nil {
				progress(min(done, total), total)
			}
			if n < resealChunk {
				break
			}
		}
	}
	return nil
}

// resealSome seals the next values of a table anew that another key has
// sealed, guarded by what they were.
func (s *Store) resealSome(ctx context.Context, t sealedTable, from any, id uint32) (n int, last any, err error) {
	last = from
	err = s.InTx(ctx, func(tx *Tx) error {
		type value struct {
			key    any
			sealed []byte
		}
		last = from
		var some []value
		if err := tx.each(ctx, func(rows *sql.Rows) error {
			var v value
			err := rows.Scan(&v.key, &v.sealed)
			some = append(some, v)
			return err
		}, `SELECT `+t.key+`, sealed FROM `+t.name+` WHERE `+t.key+` >= ? AND LENGTH(sealed) > 0 AND SUBSTR(sealed, 1, 5) <> ? ORDER BY `+t.key+` LIMIT ?`, from, prefix(id), resealChunk); err != nil {
			return err
		}
		for _, v := range some {
			plain, err := tx.keys.openBytes(t.kind, t.placeOf(v.key), v.sealed)
			if err != nil {
				return fmt.Errorf("sealing %s anew: %w", t.name, err)
			}
			fresh, err := tx.keys.sealBytes(t.kind, t.placeOf(v.key), plain)
			if err != nil {
				return err
			}
			// Whoever changed it meanwhile has sealed it with the new key.
			if _, err := tx.exec(ctx, `UPDATE `+t.name+` SET sealed = ?`+t.also+` WHERE `+t.key+` = ? AND sealed = ?`, fresh, v.key, v.sealed); err != nil {
				return err
			}
			last = v.key
		}
		n = len(some)
		return nil
	})
	return n, last, err
}

// refit seals a contact's value anew if it was sealed, or read, before keys
// were rotated.
func (tx *Tx) refit(c *Contact) error {
	if len(c.Sealed) == 0 || bytes.HasPrefix(c.Sealed, prefix(tx.keys.now.Load().primary())) {
		return nil
	}
	plain, err := tx.keys.openBytes(sealContact, c.SubscriberID, c.Sealed)
	if err != nil {
		return err
	}
	c.Sealed, err = tx.keys.sealBytes(sealContact, c.SubscriberID, plain)
	return err
}

// DestroyKey removes an old key for good. It refuses, with ErrKeyInUse, as long
// as anything in the store is sealed with it. What it returns tells which
// backups hold personal data that nobody can read any more.
func (s *Store) DestroyKey(ctx context.Context, name string) (SealingKey, error) {
	all, err := s.SealingKeys(ctx)
	if err != nil {
		return SealingKey{}, err
	}
	var gone SealingKey
	for _, k := range all {
		if k.ID == name {
			gone = k
		}
	}
	switch server := isServer(s.engine); {
	case gone.ID == "":
		return gone, fmt.Errorf("the key file has no sealing key %q: %w", name, ErrNotFound)
	case gone.State == KeySealing:
		return gone, fmt.Errorf("%w: %s is the one that seals; rotate first", ErrKeyInUse, name)
	case gone.Values > 0:
		return gone, fmt.Errorf("%w: %d values are sealed with %s; run keys rotate, which seals them anew", ErrKeyInUse, gone.Values, name)
	case server && gone.Retired != nil && s.now().Sub(*gone.Retired) < destroyAfter:
		return gone, fmt.Errorf("%w: another machine may just be writing something that it sealed with %s before the rotation; try again in two minutes", ErrKeyInUse, name)
	}
	err = s.raw.keys.changeKeyset(func(m *keyset.Manager, times map[string]keyTimes) error {
		id, err := parseKeyName(name)
		if err != nil {
			return err
		}
		t := times[name]
		t.Destroyed = stamp(s.now())
		times[name] = t
		return m.Delete(id)
	})
	return gone, err
}

func isServer(e engine) bool {
	_, ok := e.(*mysqlEngine)
	return ok
}
