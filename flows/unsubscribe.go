package flows

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"kartotek/flows/lang"
	"kartotek/store"
)

// Unsubscribe pauses one list, or all when list is "". The card stays, and so
// do the other lists; only the last one left changes the permission.
func (s *Service) Unsubscribe(ctx context.Context, a Actor, id int64, list string) (_ Card, err error) {
	defer func() { err = s.trace(ctx, a, doUnsubscribe, id, err) }()
	if err := s.allow(ctx, a, doUnsubscribe); err != nil {
		return Card{}, err
	}
	var listID int64
	if list != "" {
		l, err := s.listNamed(ctx, list)
		if err != nil {
			return Card{}, err
		}
		listID = l.ID
	}
	var did *unsubscribed
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		if listID != 0 {
			if m, err := membership(ctx, tx, id, listID); err != nil || m == nil {
				return errors.Join(err, refuse("this contact is not on that list"))
			}
		}
		did, err = s.leave(ctx, tx, c, listID, a, Client{IP: a.IP})
		return err
	})
	if err != nil {
		return Card{}, notFound(err, strconv.FormatInt(id, 10))
	}
	if did != nil {
		s.slips.keep(id, *did)
	}
	return s.card(ctx, id)
}

// leave takes a contact off one list, or off all when listID is 0. It returns
// what undoing it would restore; nil where it can't be undone.
func (s *Service) leave(ctx context.Context, tx *store.Tx, c *store.Contact, listID int64, a Actor, client Client) (*unsubscribed, error) {
	out, err := decide(c, ActUnsubscribe)
	if err != nil {
		return nil, err
	}
	if c.Permission == Deleted {
		return nil, refuse("this is a tombstone: it is on no list")
	}
	all, err := tx.Memberships(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	at := store.At(s.now())
	did := &unsubscribed{by: a.Name, at: at, before: c.Permission}
	var left []string
	remain := 0
	for _, m := range all[c.SubscriberID] {
		switch {
		case m.Status == store.Left:
		case listID != 0 && m.ListID != listID:
			remain++
		default:
			did.from = append(did.from, *m)
			m.Leave(at)
			if err := tx.SaveMembership(ctx, m); err != nil {
				return nil, err
			}
			if err := cancelWaiting(ctx, tx, c.SubscriberID, m.ListID); err != nil {
				return nil, err
			}
			left = append(left, m.List)
		}
	}
	if listID != 0 && len(left) == 0 { // what waits for a list that the card has no place on
		if err := cancelWaiting(ctx, tx, c.SubscriberID, listID); err != nil {
			return nil, err
		}
	}
	if listID == 0 {
		called, err := s.cancelRest(ctx, tx, c.SubscriberID)
		if err != nil {
			return nil, err
		}
		did.called = called
	}
	if len(left) == 0 && (remain > 0 || out.Verdict == NoChange) {
		return nil, tx.Touch(ctx, c) // a confirmation at this moment comes before this, or not at all
	}
	_, key, err := openCard(tx, c)
	if err != nil {
		return nil, err
	}
	if err := withdrawals(ctx, tx, c, key, at, left, store.EvidenceAct{By: a.Name}, client); err != nil {
		return nil, err
	}
	if remain == 0 && out.Verdict == Move {
		c.Permission, c.WithdrawnAt, c.ForgetAt = out.To, at, 0
	}
	if err := tx.SaveContact(ctx, c); err != nil {
		return nil, err
	}
	did.version = c.Version
	return did.orNil(), audit(ctx, tx, a, at, "unsubscribe", c.SubscriberID, fmt.Sprintf("%d of %d lists", len(left), len(all[c.SubscriberID])))
}

// withdrawals adds the evidence of a withdrawal from some lists.
func withdrawals(ctx context.Context, tx *store.Tx, c *store.Contact, key store.EvidenceKey, at store.Micros, lists []string, act store.EvidenceAct, client Client) error {
	act.IP, act.UserAgent = client.IP, oneLine(client.UserAgent, 300)
	for _, act.List = range lists {
		if err := tx.AddEvidence(ctx, key, c, store.Withdrawal, at, act); err != nil {
			return err
		}
	}
	return nil
}

// cancelWaiting removes the open confirmation of a list and its letters.
func cancelWaiting(ctx context.Context, tx *store.Tx, id, listID int64) error {
	if err := tx.DropTokens(ctx, id, listID); err != nil {
		return err
	}
	return tx.DropLetters(ctx, id, listID)
}

// cancelRest calls off what waits for lists that the card has no place on: who
// came back by one of two letters may still have the other. It reports whether
// anything did.
func (s *Service) cancelRest(ctx context.Context, tx *store.Tx, id int64) (bool, error) {
	lists, err := tx.WaitingLists(ctx, id)
	for _, list := range lists {
		err = errors.Join(err, cancelWaiting(ctx, tx, id, list))
	}
	return len(lists) > 0, err
}

// cardBehind reads the card that a link or a letter belongs to. Whoever came back
// since that was read has it under the new card.
func cardBehind(ctx context.Context, tx *store.Tx, id int64) (*store.Contact, error) {
	c, err := tx.Contact(ctx, id)
	if err == nil && c.Successor != 0 {
		return tx.Contact(ctx, c.Successor)
	}
	return c, err
}

// callOffBeside calls off a resubscription that waits beside a tombstone, unless
// its person came back by it this moment: then it starts again with the new card.
func (s *Service) callOffBeside(ctx context.Context, tx *store.Tx, tomb *store.Contact, listID int64, by Actor) error {
	if err := tx.Touch(ctx, tomb); err != nil {
		return err
	}
	if err := cancelWaiting(ctx, tx, tomb.SubscriberID, listID); err != nil {
		return err
	}
	return audit(ctx, tx, by, store.At(s.now()), "resubscribe called off", tomb.SubscriberID, "")
}

// LookUnsubscribe shows what an unsubscribe link is for. It changes nothing.
func (s *Service) LookUnsubscribe(ctx context.Context, secret string) (TokenPage, error) {
	t, err := s.store.Token(ctx, secret, store.ForUnsubscribe)
	if errors.Is(err, ErrNotFound) {
		return TokenPage{State: PageUnknown}, nil
	}
	if err != nil {
		return TokenPage{}, fmt.Errorf("looking up a link: %w", err)
	}
	return s.unsubscribePage(ctx, t)
}

func (s *Service) unsubscribePage(ctx context.Context, t *store.Token) (TokenPage, error) {
	page := TokenPage{State: PageOpen, Purpose: "sign-up", Lang: lang.Tag(t.Data.Lang)}
	list, err := s.store.ListByID(ctx, t.ListID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return page, err
	}
	page.List = list.Name
	c, err := s.store.Contact(ctx, t.SubscriberID)
	if errors.Is(err, ErrNotFound) || (err == nil && c.Permission == Deleted) {
		return page, nil // beside a tombstone, or forgotten: there is nothing more to show
	}
	if err != nil {
		return page, err
	}
	page.MaskedAddress = c.EmailMasked
	all, err := s.store.Memberships(ctx, c.SubscriberID)
	for _, m := range all[c.SubscriberID] {
		if m.Status != store.Left {
			page.Lists = append(page.Lists, m.List)
		}
	}
	return page, err
}

// UnsubscribeByToken takes the contact's own click, or RFC 8058's one-click
// POST. Repeating it is harmless. On a sign-up that waits it cancels it, and
// on a frozen card it is kept until that is unfrozen.
func (s *Service) UnsubscribeByToken(ctx context.Context, secret string, all bool, client Client) (TokenPage, error) {
	var t *store.Token
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if t, err = tx.Token(ctx, secret, store.ForUnsubscribe); err != nil {
			return err
		}
		c, err := cardBehind(ctx, tx, t.SubscriberID)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.Permission == Deleted {
			return s.callOffBeside(ctx, tx, c, t.ListID, person())
		}
		listID := t.ListID
		if all {
			listID = 0
		}
		return s.withdraw(ctx, tx, c, listID, person(), client)
	})
	if errors.Is(err, ErrNotFound) {
		return TokenPage{State: PageUnknown}, nil
	}
	if err != nil {
		return TokenPage{}, fmt.Errorf("unsubscribing: %w", err)
	}
	page, err := s.unsubscribePage(ctx, t)
	page.State = PageDone
	return page, err
}
