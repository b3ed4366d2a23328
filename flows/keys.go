package flows

import (
	"context"
	"fmt"
	"time"

	"kartotek/store"
)

// KeyFile tells of a store's key file; never what is in it.
type KeyFile struct {
	Path    string             `json:"key_file"`
	Peppers int                `json:"peppers"`
	Others  []string           `json:"other_keys"` // the names of further keys in it: the log's, those that sign mail
	Sealing []store.SealingKey `json:"sealing_keys"`
}

// Keys shows the keys of a store, and how many values each one seals.
func (s *Service) Keys(ctx context.Context, a Actor) (KeyFile, error) {
	if err := s.allow(ctx, a, doKeys); err != nil {
		return KeyFile{}, err
	}
	sealing, err := s.store.SealingKeys(ctx)
	keys := s.store.Keys()
	return KeyFile{Path: keys.Path(), Peppers: keys.Peppers(), Others: keys.Names(), Sealing: sealing}, err
}

// RotateKeys adds a key that seals from now on, and seals anew what is there,
// while everything runs. Broken off, it goes on where it stopped.
func (s *Service) RotateKeys(ctx context.Context, a Actor, progress func(done, total int64)) (_ store.SealingKey, err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return store.SealingKey{}, err
	}
	key, err := s.store.Rotate(ctx, progress)
	if err != nil {
		return key, err
	}
	return key, s.noteKeys(ctx, a, "rotate keys", "sealing key "+key.ID)
}

// DestroyKey removes an old key for good: the personal data that backups from
// its time hold under it can't be read by anybody any more. It refuses as
// long as anything in the store needs it.
func (s *Service) DestroyKey(ctx context.Context, a Actor, id string) (_ store.SealingKey, err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return store.SealingKey{}, err
	}
	key, err := s.store.DestroyKey(ctx, id)
	if err != nil {
		return key, err
	}
	return key, s.noteKeys(ctx, a, "destroy key", "sealing key "+key.ID)
}

// AddPepper adds a pepper under which addresses are hashed from now on, and
// moves those that the store can read to it. The others move when somebody
// gives them.
func (s *Service) AddPepper(ctx context.Context, a Actor, progress func(done, total int64)) (moved int64, err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return 0, err
	}
	if moved, err = s.store.AddPepper(ctx, progress); err != nil {
		return moved, err
	}
	return moved, s.noteKeys(ctx, a, "add pepper", fmt.Sprintf("%d addresses moved to it", moved))
}

func (s *Service) noteKeys(ctx context.Context, a Actor, act, why string) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error { return audit(ctx, tx, a, store.At(s.now()), act, 0, why) })
}

// BackupsLost says which backups hold personal data that a destroyed key
// makes unreadable.
func BackupsLost(k store.SealingKey) (from, until time.Time) {
	until = time.Now()
	if k.Resealed != nil {
		until = *k.Resealed
	}
	return k.Created, until
}
