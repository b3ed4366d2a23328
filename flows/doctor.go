package flows

import (
	"context"

	"kartotek/store"
)

// Examine looks at what the store stands on, and changes nothing.
func (s *Service) Examine(ctx context.Context, a Actor) ([]store.Finding, error) {
	if err := s.allow(ctx, a, doKeys); err != nil {
		return nil, err
	}
	return s.store.Examine(ctx)
}

// ExamineDeeply reads and checks everything in the store, as it is at one
// moment. What it finds names cards by their SubscriberIDs only.
func (s *Service) ExamineDeeply(ctx context.Context, a Actor, progress func(done, total int64)) ([]store.Finding, error) {
	if err := s.allow(ctx, a, doKeys); err != nil {
		return nil, err
	}
	return s.store.ExamineDeeply(ctx, progress)
}

// MendDeeply is ExamineDeeply, and makes anew what only repeats what the cards
// say. Evidence, cards and lists it leaves alone: whoever has changed those past
// the store has changed what people agreed to, and no program knows better.
func (s *Service) MendDeeply(ctx context.Context, a Actor, progress func(done, total int64)) (_ []store.Finding, err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return nil, err
	}
	return s.store.MendDeeply(ctx, progress, func(tx *store.Tx, words string) error {
		return audit(ctx, tx, a, store.At(s.now()), "mend", 0, words)
	})
}
