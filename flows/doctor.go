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
