package flows

import (
	"context"
	"fmt"
	"slices"

	"kartotek/store"
)

// whileFrozen is the note of a withdrawal that waits for its card to be unfrozen.
const whileFrozen = "kept while the card is frozen, and done when it is unfrozen"

// withdraw does what the person wants themselves: it takes them off one list,
// or off all when listID is 0. A person may withdraw at any time (GDPR art.
// 7(3), 21(3)), and a frozen card refuses every change (art. 18): there the
// withdrawal becomes evidence at once and is done when the card is unfrozen.
// Until then the card gets no mail anyway.
func (s *Service) withdraw(ctx context.Context, tx *store.Tx, c *store.Contact, listID int64, by Actor, client Client) error {
	if !c.Frozen {
		_, err := s.leave(ctx, tx, c, listID, by, client)
		return err
	}
	lists, err := placesOf(ctx, tx, c, listID)
	if err != nil {
		return err
	}
	_, key, err := openCard(tx, c)
	if err != nil {
		return err
	}
	kept, err := keptWishes(ctx, tx, c, key)
	if err != nil {
		return err
	}
	lists = slices.DeleteFunc(lists, func(name string) bool { return kept[name] != 0 }) // asked for already
	if len(lists) == 0 {
		return nil
	}
	at := store.At(s.now())
	if err := withdrawals(ctx, tx, c, key, at, lists, store.EvidenceAct{By: by.Name, Note: whileFrozen}, client); err != nil {
		return err
	}
	if err := tx.SaveContact(ctx, c); err != nil {
		return err
	}
	return audit(ctx, tx, by, at, "unsubscribe", c.SubscriberID, fmt.Sprintf("%d lists, %s", len(lists), whileFrozen))
}

// placesOf are the lists that a card is on or waits for, or that one of them.
func placesOf(ctx context.Context, tx *store.Tx, c *store.Contact, listID int64) ([]string, error) {
	all, err := tx.Memberships(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	var names []string
	on := map[int64]bool{}
	for _, m := range all[c.SubscriberID] {
		on[m.ListID] = true
		if m.Status != store.Left && (listID == 0 || m.ListID == listID) {
			names = append(names, m.List)
		}
	}
	waiting, err := tx.WaitingLists(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	for _, id := range waiting {
		if on[id] || listID != 0 && id != listID {
			continue
		}
		l, err := tx.ListByID(ctx, id)
		if err != nil {
			return nil, err
		}
		names = append(names, l.Name)
	}
	return names, nil
}

// keptWishes are the lists that the person withdrew from since the card was
// frozen, and when.
func keptWishes(ctx context.Context, tx *store.Tx, c *store.Contact, key store.EvidenceKey) (map[string]store.Micros, error) {
	acts, err := tx.EvidenceOf(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	kept := map[string]store.Micros{}
	for _, e := range acts {
		switch e.Kind {
		case store.Freezing:
			clear(kept)
		case store.Withdrawal:
			if err := key.Open(e); err != nil {
				return nil, err
			}
			kept[e.Act.List] = e.At
		}
	}
	return kept, nil
}

// grant does what the person asked for while the card was frozen, as of when
// they asked. The caller has lifted the freeze, and saves the contact.
func (s *Service) grant(ctx context.Context, tx *store.Tx, c *store.Contact, key store.EvidenceKey) error {
	kept, err := keptWishes(ctx, tx, c, key)
	if err != nil || len(kept) == 0 {
		return err
	}
	out, err := decide(c, ActUnsubscribe)
	if err != nil {
		return err
	}
	all, err := tx.Memberships(ctx, c.SubscriberID)
	if err != nil {
		return err
	}
	remain := 0
	var last store.Micros
	for _, m := range all[c.SubscriberID] {
		at, wished := kept[m.List]
		if m.Status == store.Left {
			continue
		}
		if !wished {
			remain++
			continue
		}
		m.Leave(at)
		if err := tx.SaveMembership(ctx, m); err != nil {
			return err
		}
		if err := cancelWaiting(ctx, tx, c.SubscriberID, m.ListID); err != nil {
			return err
		}
		last = max(last, at)
	}
	if err := callOff(ctx, tx, c, kept); err != nil {
		return err
	}
	if remain == 0 && out.Verdict == Move {
		c.Permission, c.WithdrawnAt, c.ForgetAt = out.To, last, 0
	}
	return audit(ctx, tx, person(), store.At(s.now()), "unsubscribe", c.SubscriberID, fmt.Sprintf("%d lists, asked for while the card was frozen", len(kept)))
}

// callOff removes open confirmations of lists that the card has no place on.
func callOff(ctx context.Context, tx *store.Tx, c *store.Contact, lists map[string]store.Micros) error {
	waiting, err := tx.WaitingLists(ctx, c.SubscriberID)
	if err != nil {
		return err
	}
	for _, id := range waiting {
		l, err := tx.ListByID(ctx, id)
		if err != nil {
			return err
		}
		if _, ok := lists[l.Name]; !ok {
			continue
		}
		if err := cancelWaiting(ctx, tx, c.SubscriberID, id); err != nil {
			return err
		}
	}
	return nil
}
