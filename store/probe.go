package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// settingProbe holds a sealed value that says nothing: a key file that doesn't
// open it would not open the cards either.
const settingProbe = "sealed_probe"

// checkProbe refuses a key file whose pepper is the store's and whose AEAD
// keyset isn't, before anything is done with it. A store without a probe gets one.
func (s *Store) checkProbe(ctx context.Context) error {
	probe, err := s.settingOr(ctx, settingProbe, s.keys.newProbe)
	if err != nil {
		return err
	}
	if id, err := s.raw.keys.openProbe(probe); err != nil {
		if t := s.raw.keys.now.Load().timesOf(id); t.Destroyed != nil {
			return destroyedKey(id, t, s.raw.keys.now.Load().usableSince(t))
		}
		return fmt.Errorf("the key file %s holds this store's pepper, but not the key that its data is sealed with: restore your newest copy of it, or copy it from the machine that rotated its keys; nothing was changed", s.keys.path)
	}
	return s.agree(ctx)
}

// ErrKeyDestroyed: nobody can read the personal data in the store any more.
var ErrKeyDestroyed = errors.New("the personal data in this store was sealed with a key that is destroyed")

// destroyedKey refuses a store that is a backup from a destroyed key's time.
// Opened all the same, it would be a list of people whom nobody can write to,
// whose cards don't open and about whom nothing can be proved.
func destroyedKey(id uint32, t keyTimes, since time.Time) error {
	return fmt.Errorf("%w (%s, by keys destroy on %s): nobody can read it any more, as was meant; restore a backup from after %s UTC",
		ErrKeyDestroyed, keyName(id), t.Destroyed.Format(time.DateOnly), since.Format("2006-01-02 15:04"))
}

// until is when nothing was sealed any more with a key that was destroyed.
func (t keyTimes) until() time.Time {
	if t.Resealed != nil {
		return *t.Resealed
	}
	return *t.Destroyed
}

// usableSince is from when on a backup can be used, after one from the time of a
// destroyed key: those that sealed next may be destroyed too.
func (s *secrets) usableSince(t keyTimes) time.Time {
	since := t.until()
	for again := true; again; {
		again = false
		for _, next := range s.times {
			if next.Destroyed != nil && !next.Created.After(since) && next.until().After(since) {
				since, again = next.until(), true
			}
		}
	}
	return since
}

// settingOr reads a setting of the store's own, and keeps one that fresh makes
// when there is none: of two that do so at once, both get the same.
func (s *Store) settingOr(ctx context.Context, name string, fresh func() (string, error)) (string, error) {
	value, err := s.raw.Setting(ctx, name)
	if err != nil || value != "" {
		return value, err
	}
	err = s.attempt(ctx, func(tx *Tx) (err error) {
		if value, err = tx.Setting(ctx, name); err != nil || value != "" {
			return err
		}
		if value, err = fresh(); err != nil {
			return err
		}
		return tx.SetSetting(ctx, name, value)
	}, func(*Tx) error { return nil })
	return value, err
}

func (k *Keys) newProbe() (string, error) {
	sealed, err := k.sealBytes(sealProbe, 0, []byte("kartotek"))
	return base64.StdEncoding.EncodeToString(sealed), err
}

// openProbe tells which key a probe is sealed with; ErrSealed when it doesn't open.
func (k *Keys) openProbe(probe string) (keyID uint32, err error) {
	sealed, err := base64.StdEncoding.DecodeString(probe)
	if err != nil {
		return 0, ErrSealed
	}
	_, err = k.openBytes(sealProbe, 0, sealed)
	return keyIDOf(sealed), err
}
