package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// keyTimes are what the key file tells of a sealing key.
type keyTimes struct {
	Created  time.Time  `json:"created"`
	Retired  *time.Time `json:"retired,omitempty"`  // another one seals since then
	Resealed *time.Time `json:"resealed,omitempty"` // nothing in the store is sealed with it since then
	// Destroyed is when the key was removed from the keyset for good: what is
	// told of it stays, for whoever comes with a backup from its time.
	Destroyed *time.Time `json:"destroyed,omitempty"`
}

// SealingKey is a key of the AEAD keyset.
type SealingKey struct {
	ID       string     `json:"id"`
	State    string     `json:"state"` // next, sealing or old
	Created  time.Time  `json:"created"`
	Retired  *time.Time `json:"retired"`
	Resealed *time.Time `json:"resealed"`
	Values   int64      `json:"values"` // how many values in the store are sealed with it
}

// prefix is what Tink writes before a value that it seals with a key.
func prefix(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{1}, id) }

func keyName(id uint32) string { return fmt.Sprintf("%08x", id) }

// primary is the id of the key that seals.
func (s *secrets) primary() uint32 { return s.sealing }

// times tells of a key; one from before they were kept is as old as the file.
func (s *secrets) timesOf(id uint32) keyTimes {
	t, ok := s.times[keyName(id)]
	if !ok {
		t.Created = s.created
	}
	return t
}

// next is a key that was added after the one that seals; 0 when there is none.
func (s *secrets) next() uint32 {
	for _, info := range s.handle.KeysetInfo().GetKeyInfo() {
		if id := info.GetKeyId(); id != s.primary() && s.timesOf(id).Retired == nil {
			return id
		}
	}
	return 0
}

// unfinished tells whether a rotation has still to seal anew.
func (s *secrets) unfinished() bool {
	for _, info := range s.handle.KeysetInfo().GetKeyInfo() {
		if t := s.timesOf(info.GetKeyId()); t.Retired != nil && t.Resealed == nil {
			return true
		}
	}
	return false
}

// changeKeyset changes the keyset in the key file.
func (k *Keys) changeKeyset(fn func(*keyset.Manager, map[string]keyTimes) error) error {
	return k.update(func(f *keyFile) error {
		handle, err := f.handle()
		if err != nil {
			return err
		}
		if f.Times == nil {
			f.Times = map[string]keyTimes{}
		}
		for _, info := range handle.KeysetInfo().GetKeyInfo() {
			if name := keyName(info.GetKeyId()); f.Times[name].Created.IsZero() {
				f.Times[name] = keyTimes{Created: f.Created}
			}
		}
		m := keyset.NewManagerFromHandle(handle)
		if err := fn(m, f.Times); err != nil {
			return err
		}
		if handle, err = m.Handle(); err != nil {
			return err
		}
		return f.setKeyset(handle)
	})
}

func stamp(now time.Time) *time.Time {
	now = now.UTC().Truncate(time.Second)
	return &now
}

func (k *Keys) addKey(now time.Time) error {
	return k.changeKeyset(func(m *keyset.Manager, times map[string]keyTimes) error {
		id, err := m.Add(aead.AES256GCMKeyTemplate())
		times[keyName(id)] = keyTimes{Created: *stamp(now)}
		return err
	})
}

// promote makes a key the one that seals.
func (k *Keys) promote(id uint32, now time.Time) error {
	old := keyName(k.now.Load().primary())
	return k.changeKeyset(func(m *keyset.Manager, times map[string]keyTimes) error {
		t := times[old]
		t.Retired = stamp(now)
		times[old] = t
		return m.SetPrimary(id)
	})
}

func parseKeyName(name string) (id uint32, err error) {
	_, err = fmt.Sscanf(name, "%08x", &id)
	return id, err
}
