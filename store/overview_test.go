package store

import (
	"context"
	"strings"
	"testing"
)

// TestForgottenByLooksAtABoundedNumber: counting what ends soon walks along
// the index of ends, and no further than it is told.
func TestForgottenByLooksAtABoundedNumber(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	if err := s.InTx(ctx, func(tx *Tx) error {
		for i := range 10 {
			p := ForConfirm
			if i%2 == 1 {
				p = ForUnsubscribe
			}
			if err := tx.AddToken(ctx, NewToken(), Token{Purpose: p, SubscriberID: 1, ExpiresAt: Micros(100 + i)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to Micros
		most     int
		n        int64
		whole    bool
	}{{0, 1000, 10, 5, true}, {100, 1000, 10, 4, true}, {0, 102, 10, 2, true}, {0, 1000, 9, 5, false}, {0, 1000, 3, 2, false}, {500, 1000, 3, 0, true}} {
		if n, whole, err := s.ForgottenBy(ctx, c.from, c.to, c.most); err != nil || n != c.n || whole != c.whole {
			t.Errorf("%+v: %d, %v, %v", c, n, whole, err)
		}
	}
	plan := strings.Join(planOf(t, ctx, s, forgottenBy, []any{ForConfirm, 0, 1000, 10}), "\n")
	if !strings.Contains(plan, "tokens_expiry") || strings.Contains(plan, "SCAN tokens") || strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("the plan is\n%s", plan)
	}
}
