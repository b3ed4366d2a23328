package flows

import (
	"context"
	"errors"
	"slices"
	"time"

	"kartotek/store"
)

// tickEvery is how often the clock looks, and chunk how much it does at once.
const (
	firstTick = 2 * time.Second // a start paints its first screen undisturbed
	tickEvery = time.Minute
	chunk     = 200
)

// Clock does what time asks for, until ctx ends: it copies other machines'
// erasures into this one's journal, forgets sign-ups that nobody confirmed,
// rates anew, and finishes what an interrupted erasure left.
func (s *Service) Clock(ctx context.Context) error {
	wait := firstTick
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = tickEvery
		err := s.Tick(ctx)
		if errors.Is(err, store.ErrNewer) {
			return err // nothing is left to do here
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("the clock's work failed and is tried again", "error", err)
		}
	}
}

// Tick does the clock's work once: what a restored backup or a broken import
// left first. What fails for a part of the rest is told at the end, and keeps
// nothing else from being forgotten, unless the store itself is away.
func (s *Service) Tick(ctx context.Context) error {
	if err := s.store.SyncJournal(ctx); err != nil {
		return err
	}
	if err := s.store.FinishLoad(ctx); err != nil {
		return err
	}
	var failed error
	for _, work := range []func(context.Context) error{
		s.tellRefusals, s.forgetUnconfirmed, s.dropOld, s.expireOld, s.rerate, s.sweepExports, s.sweepBulk, s.store.Sweep, s.wipe,
	} {
		err := work(ctx)
		failed = errors.Join(failed, err)
		if ctx.Err() != nil || errors.Is(err, store.ErrAway) || errors.Is(err, store.ErrNewer) {
			break
		}
	}
	return failed
}

func (s *Service) forgetUnconfirmed(ctx context.Context) error {
	n, err := s.forget(ctx)
	if n > 0 {
		s.log.Info("forgot what nobody confirmed", "count", n)
	}
	return err
}

// dropOld removes what is kept for a time only, some of it each time.
func (s *Service) dropOld(ctx context.Context) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.DropOldReturned(ctx, store.At(s.now().Add(-returnedKept)), 500); err != nil {
			return err
		}
		if err := tx.DropOldPolicies(ctx, store.At(s.now()), 500); err != nil {
			return err
		}
		_, err := tx.DropOldLimits(ctx, s.now(), 1000)
		return err
	})
}

func (s *Service) expireOld(ctx context.Context) error {
	n, err := s.expire(ctx, clock(), nil)
	if n > 0 {
		s.log.Info("removed evidence that was kept long enough", "count", n)
	}
	return err
}

func (s *Service) wipe(ctx context.Context) error {
	_, err := s.store.Wipe(ctx, time.Second)
	return err
}

// forget ends what the expired tokens waited for.
func (s *Service) forget(ctx context.Context) (n int, err error) {
	for {
		old, err := s.store.ExpiredTokens(ctx, store.At(s.now()), chunk)
		if err != nil {
			return n, err
		}
		for _, t := range old {
			if err := s.store.InTx(ctx, func(tx *store.Tx) error { return s.forgetOne(ctx, tx, t) }); err != nil {
				return n, err
			}
			n++
		}
		if err := s.dropForgotten(ctx, old); err != nil {
			return n, err
		}
		if len(old) < chunk {
			return n, nil
		}
	}
}

// dropForgotten drops the bulk exports that somebody came into while they were
// forgotten.
func (s *Service) dropForgotten(ctx context.Context, old []store.Token) error {
	var gone []int64
	for _, t := range old {
		if t.Purpose != store.ForConfirm || t.UsedAt != 0 {
			continue
		}
		there, err := s.store.Exists(ctx, t.SubscriberID)
		if err != nil {
			return err
		}
		if !there {
			gone = append(gone, t.SubscriberID)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return s.dropBulk(ctx, gone)
}

// frozenPause is how long what a frozen card waited for is put off each time:
// soon after it is unfrozen it is forgotten.
const frozenPause = 24 * time.Hour

// waiter is the card that waits for a token's click; nil when none does. Beside
// a tombstone whose person came back since the token was read nothing waits.
func waiter(ctx context.Context, tx *store.Tx, t store.Token) (*store.Contact, error) {
	if t.Purpose != store.ForConfirm || t.UsedAt != 0 {
		return nil, nil
	}
	c, err := tx.Contact(ctx, t.SubscriberID)
	if errors.Is(err, ErrNotFound) || err == nil && c.Successor != 0 {
		return nil, nil
	}
	return c, err
}

func (s *Service) forgetOne(ctx context.Context, tx *store.Tx, t store.Token) error {
	c, err := waiter(ctx, tx, t)
	if err != nil {
		return err
	}
	if c != nil && c.Frozen { // the clock may change it as little as anybody else
		return tx.PutOffToken(ctx, t, store.At(s.now().Add(frozenPause)))
	}
	if err := tx.DropToken(ctx, t); err != nil || c == nil {
		return err
	}
	if err := tx.Touch(ctx, c); err != nil { // a click, or another mail, at this moment makes it start again
		return err
	}
	at := store.At(s.now())
	waits, err := tx.WaitingUntil(ctx, c.SubscriberID, at)
	if err != nil {
		return err
	}
	if waits != 0 { // a later mail is still out
		return endWaiting(ctx, tx, c, t.ListID, at)
	}
	switch {
	case c.Permission == Deleted:
		if err := s.purge(ctx, tx, c.AddressKey); err != nil {
			return err
		}
	case c.Permission == Pending && c.ConfirmedAt == 0 && c.WithdrawnAt == 0:
		return s.forgetContact(ctx, tx, c, at)
	default:
		if err := s.backToBefore(ctx, tx, c, at); err != nil {
			return err
		}
	}
	return audit(ctx, tx, clock(), at, "forget unconfirmed", c.SubscriberID, "")
}

// clock is the actor of what time asks for.
func clock() Actor { return Actor{Name: "clock", Role: RoleSystem, From: "clock"} }

// forgetContact removes somebody who never confirmed anything, address and all.
func (s *Service) forgetContact(ctx context.Context, tx *store.Tx, c *store.Contact, at store.Micros) error {
	if err := s.purge(ctx, tx, c.AddressKey); err != nil {
		return err
	}
	all, err := tx.Memberships(ctx, c.SubscriberID)
	if err != nil {
		return err
	}
	for _, m := range all[c.SubscriberID] {
		if err := tx.RemoveMembership(ctx, m); err != nil {
			return err
		}
	}
	dropped, err := tx.KeepEvidence(ctx, c.SubscriberID)
	if err != nil {
		return err
	}
	if err := tx.RemoveContact(ctx, c); err != nil {
		return err
	}
	if err := blockAgain(ctx, tx, c); err != nil {
		return err
	}
	return auditDrop(ctx, tx, clock(), at, "forget unconfirmed", c.SubscriberID, "", dropped)
}

// blockAgain lets the newest of the tombstones that a restore put behind a card
// block the address, now that the card is gone.
func blockAgain(ctx context.Context, tx *store.Tx, c *store.Contact) error {
	ids, err := tx.IDsOf(ctx, c.AddressKey)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	var next int64
	for _, id := range slices.Backward(ids) {
		tomb, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		if tomb.Successor != c.SubscriberID {
			continue
		}
		tomb.Successor = next
		if err := tx.SaveContact(ctx, tomb); err != nil {
			return err
		}
		next = tomb.SubscriberID
	}
	return nil
}

// endWaiting takes a card that waits for another list off the one that nothing
// asks for any more.
func endWaiting(ctx context.Context, tx *store.Tx, c *store.Contact, listID int64, at store.Micros) error {
	lists, err := tx.WaitingLists(ctx, c.SubscriberID)
	if err != nil || slices.Contains(lists, listID) {
		return err
	}
	m, err := membership(ctx, tx, c.SubscriberID, listID)
	if err != nil || m == nil || m.Status != store.OnHold {
		return err
	}
	if m.LeftAt == 0 {
		return tx.RemoveMembership(ctx, m)
	}
	m.Leave(at)
	return tx.SaveMembership(ctx, m)
}

// backToBefore takes a known contact off the lists that it never confirmed:
// one who had withdrawn is unsubscribed again, one who is confirmed stays so.
func (s *Service) backToBefore(ctx context.Context, tx *store.Tx, c *store.Contact, at store.Micros) error {
	all, err := tx.Memberships(ctx, c.SubscriberID)
	if err != nil {
		return err
	}
	for _, m := range all[c.SubscriberID] {
		if m.Status != store.OnHold {
			continue
		}
		if c.Permission == Confirmed && m.LeftAt == 0 {
			err = tx.RemoveMembership(ctx, m)
		} else {
			m.Leave(at)
			err = tx.SaveMembership(ctx, m)
		}
		if err != nil {
			return err
		}
	}
	if c.Permission == Pending {
		c.Permission = Unsubscribed
	}
	c.ForgetAt = 0
	return tx.SaveContact(ctx, c)
}
