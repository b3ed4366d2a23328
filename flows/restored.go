package flows

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"kartotek/store"
)

// Restored tells what was done again because the store lacked it.
type Restored struct {
	Erasures int `json:"erasures"` // which the journal holds and the store did not know of
}

// CatchUp does again, in a store that was restored from a backup, every
// erasure since that backup, before anything of the store is shown or sent.
// Any other act does so too; this one tells of it.
func (s *Service) CatchUp(ctx context.Context, progress func(done, total int)) (Restored, error) {
	r := s.store.Behind()
	if r == nil {
		return Restored{}, nil
	}
	err := s.store.CatchUp(ctx, func(r *store.Backlog) {
		if progress != nil {
			progress(r.Done, r.Total)
		}
	})
	return Restored{Erasures: r.Total}, err
}

// eraseRestored does an erasure again that the erasure journal tells of. Only
// the card that was erased is meant, by its SubscriberID and its address:
// whoever came back since has another. A card that the store doesn't know gets
// its tombstone back, which blocks the address.
func (s *Service) eraseRestored(ctx context.Context, tx *store.Tx, e store.Journaled) error {
	c, err := tx.Contact(ctx, e.SubscriberID)
	if errors.Is(err, ErrNotFound) {
		return s.suppressRestored(ctx, tx, e)
	}
	if err != nil || c.Permission == Deleted {
		return err
	}
	p, key, err := openCard(tx, c)
	sealed := errors.Is(err, store.ErrSealed) // its key was destroyed since: then nobody can read it any more, and it goes all the same
	if err != nil && !sealed {
		return err
	}
	same := func(key []byte) bool { return bytes.Equal(key, e.AddressKey) }
	if !same(c.AddressKey) && (sealed || !slices.ContainsFunc(tx.Keys().AddressKeys(p.Address()), same)) {
		return audit(ctx, tx, Actor{Name: "clock", Role: RoleSystem, From: "erasure journal"}, store.At(s.now()), "not re-erased", c.SubscriberID, "the journal tells of another address under this SubscriberID")
	}
	if _, err := s.dropExports([]int64{c.SubscriberID}); err != nil {
		return err
	}
	if err := s.purge(ctx, tx, c.AddressKey); err != nil {
		return err
	}
	var dropped int64
	if sealed {
		dropped, err = entombSealed(ctx, tx, c, e.At)
	} else {
		dropped, err = entomb(ctx, tx, c, key, e.At, store.EvidenceAct{By: "clock", Note: "erased again after a backup was restored"})
	}
	if err != nil {
		return err
	}
	return auditRestored(ctx, tx, s, c.SubscriberID, dropped)
}

// suppressRestored puts a tombstone back that the store doesn't know, behind the
// card or tombstone of the address that it does know.
func (s *Service) suppressRestored(ctx context.Context, tx *store.Tx, e store.Journaled) error {
	c := &store.Contact{SubscriberID: e.SubscriberID, AddressKey: e.AddressKey, Permission: Deleted, DeletedAt: e.At, LastSeenAt: e.At}
	other, err := tx.Newest(ctx, e.AddressKey)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	case other.Permission == Deleted && other.SubscriberID < e.SubscriberID:
		other.Successor, c.Predecessor = c.SubscriberID, other.SubscriberID // makes room
		if err := tx.SaveContact(ctx, other); err != nil {
			return err
		}
	default: // whoever came back stays
		c.Successor = other.SubscriberID
	}
	if err := tx.AddContact(ctx, c); err != nil {
		return err
	}
	return auditRestored(ctx, tx, s, c.SubscriberID, 0)
}

func auditRestored(ctx context.Context, tx *store.Tx, s *Service, id, dropped int64) error {
	return auditDrop(ctx, tx, Actor{Name: "clock", Role: RoleSystem, From: "erasure journal"}, store.At(s.now()), "re-erase", id, "the store lacked this erasure, as a restored backup does", dropped)
}

// entombSealed makes a tombstone of a card that can't be opened: without the
// address nothing can be added to its evidence.
func entombSealed(ctx context.Context, tx *store.Tx, c *store.Contact, at store.Micros) (int64, error) {
	all, err := tx.Memberships(ctx, c.SubscriberID)
	if err != nil {
		return 0, err
	}
	for _, m := range all[c.SubscriberID] {
		if err := tx.RemoveMembership(ctx, m); err != nil {
			return 0, err
		}
	}
	dropped, err := tx.KeepEvidence(ctx, c.SubscriberID)
	if err != nil {
		return 0, err
	}
	*c = c.Tombstone(at)
	return dropped, tx.SaveContact(ctx, c)
}
