package flows

import (
	"context"

	"kartotek/store"
)

// Freeze restricts a card (GDPR art. 18): until it is unfrozen it refuses
// every act but erasing and exporting, and gets no mail. Letters that wait are
// held, and so is the person's own withdrawal.
func (s *Service) Freeze(ctx context.Context, a Actor, id int64, reason string) (_ Card, err error) {
	defer func() { err = s.trace(ctx, a, doFreeze, id, err) }()
	return s.setFrozen(ctx, a, id, true, reason)
}

// Unfreeze lifts the restriction. The card leaves the lists that the person
// withdrew from meanwhile; letters that were held with it go out, those that
// staff hold don't.
func (s *Service) Unfreeze(ctx context.Context, a Actor, id int64, reason string) (_ Card, err error) {
	defer func() { err = s.trace(ctx, a, doFreeze, id, err) }()
	return s.setFrozen(ctx, a, id, false, reason)
}

func (s *Service) setFrozen(ctx context.Context, a Actor, id int64, frozen bool, reason string) (Card, error) {
	if err := s.allow(ctx, a, doFreeze); err != nil {
		return Card{}, err
	}
	reason, err := plain("the reason", reason)
	if err != nil {
		return Card{}, err
	}
	kind, word := store.Freezing, "freeze"
	if !frozen {
		kind, word = store.Unfreezing, "unfreeze"
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case c.Permission == Deleted:
			return refuse("a tombstone holds nothing that could be frozen")
		case c.Frozen == frozen && frozen:
			return refuse("the card is frozen already")
		case c.Frozen == frozen:
			return refuse("the card is not frozen")
		}
		p, key, err := openCard(tx, c)
		if err != nil {
			return err
		}
		if err := personal("the reason", reason, p); err != nil {
			return err
		}
		at := store.At(s.now())
		if err := tx.AddEvidence(ctx, key, c, kind, at, store.EvidenceAct{IP: a.IP, By: a.Name, Note: reason}); err != nil {
			return err
		}
		c.Frozen = frozen
		if !frozen {
			if err := s.grant(ctx, tx, c, key); err != nil {
				return err
			}
		}
		if err := tx.HoldLetters(ctx, id, frozen, at); err != nil {
			return err
		}
		if err := tx.SaveContact(ctx, c); err != nil {
			return err
		}
		return audit(ctx, tx, a, at, word, id, reason)
	})
	if err != nil {
		return Card{}, err
	}
	s.wake()
	return s.card(ctx, id)
}
