package flows

import (
	"context"
	"errors"
	"time"

	"kartotek/store"
)

// Policies keeps what domains ask of those who send them mail (MTA-STS), so that
// it holds for its time whoever restarts (RFC 8461 section 10.2: whoever forgets
// one can be made to send in clear).
type Policies struct{ s *Service }

// Policies is where the direct route keeps what it has fetched.
func (s *Service) Policies() Policies { return Policies{s} }

// Keep keeps the policy of a domain until a time.
func (p Policies) Keep(ctx context.Context, domain string, until time.Time, policy []byte) error {
	return p.s.store.InTx(ctx, func(tx *store.Tx) error { return tx.KeepPolicy(ctx, domain, store.At(until), policy) })
}

// Kept reads the policy of a domain; nil when none is kept that holds.
func (p Policies) Kept(ctx context.Context, domain string) ([]byte, error) {
	policy, err := p.s.store.Policy(ctx, domain, store.At(p.s.now()))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return policy, err
}
