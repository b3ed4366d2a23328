package flows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"kartotek/flows/letters"
	"kartotek/store"
)

// Resubscribe sends the confirmation mail that an erased or unsubscribed
// person needs to come back. Nobody is put on a list by it: only the person's
// own click completes it. Staff enter how and when the person asked.
func (s *Service) Resubscribe(ctx context.Context, a Actor, r Resubscription) (_ Waiting, err error) {
	var card int64
	defer func() { err = s.trace(ctx, a, doResubscribe, card, err) }()
	if err := s.allow(ctx, a, doResubscribe); err != nil {
		return Waiting{}, err
	}
	address, err := store.ParseAddress(r.Address)
	if err != nil {
		return Waiting{}, ErrPiece
	}
	asked, err := plain("how and when the person asked", r.Asked)
	if err != nil {
		return Waiting{}, err
	}
	list, err := s.listNamed(ctx, r.List)
	if err != nil {
		return Waiting{}, err
	}
	var w Waiting
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := known(ctx, tx, address)
		if err != nil {
			return err
		}
		if c != nil {
			card = c.SubscriberID
		}
		if err := rightCard(ctx, tx, r.ID, address); err != nil {
			return err
		}
		w, err = s.resubscribe(ctx, tx, a, c, address, list, asked, r.Lang)
		return err
	})
	if err != nil {
		return Waiting{}, notFound(err, r.Address)
	}
	s.wake()
	return w, nil
}

// rightCard refuses an address that is not the one of the card on the screen.
func rightCard(ctx context.Context, tx *store.Tx, id int64, address store.Address) error {
	if id == 0 {
		return nil
	}
	c, err := tx.Contact(ctx, id)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(tx.Keys().AddressKeys(address), func(key []byte) bool { return bytes.Equal(c.AddressKey, key) }) {
		return refuse("this is not the address of card %d: check it with the person", id)
	}
	return nil
}

func (s *Service) resubscribe(ctx context.Context, tx *store.Tx, a Actor, c *store.Contact, address store.Address, list store.List, asked, language string) (Waiting, error) {
	out, err := decide(c, ActResubscribe)
	if err != nil {
		return Waiting{}, err
	}
	switch {
	case c == nil:
		return Waiting{}, ErrNotFound
	case out.Verdict == Impossible:
		return Waiting{}, refuse("card %d is %s: only an erased or unsubscribed person can come back", c.SubscriberID, c.Permission)
	}
	p, err := s.askable(ctx, tx, c, address, asked)
	if err != nil {
		return Waiting{}, err
	}
	if language == "" {
		language = p.Language
	}
	now := s.now()
	at := store.At(now)
	mail := &confirmation{
		To: address, Contact: c, List: list, Purpose: letters.Resubscribe, Lang: language,
		Data: store.TokenData{Resubscribe: true, By: a.Name},
	}
	if out.Verdict == Beside {
		mail.Data.Address, mail.Data.Asked, mail.Data.IP = address.Canonical(), asked, a.IP
	}
	wait, err := s.send(ctx, tx, mail, now)
	if err != nil {
		return Waiting{}, err
	}
	if !wait.IsZero() {
		return Waiting{}, refuse("a confirmation mail went to this address lately (at most one in 10 minutes, three in 24 hours): the next can go at %s", wait.UTC().Format("2006-01-02 15:04 UTC"))
	}
	if out.Verdict == Move {
		key, err := tx.Keys().EvidenceKey(address)
		if err != nil {
			return Waiting{}, err
		}
		if err := tx.AddEvidence(ctx, key, c, store.Resubscription, at, store.EvidenceAct{
			IP: a.IP, Notice: mail.NoticeID, MessageID: mail.Data.MessageID,
			List: list.Name, By: a.Name, Note: asked,
		}); err != nil {
			return Waiting{}, err
		}
		c.Permission, c.ForgetAt = out.To, store.At(now.Add(ConfirmWithin))
		if err := join(ctx, tx, c, list.ID, store.OnHold, at); err != nil {
			return Waiting{}, err
		}
	}
	if err := tx.SaveContact(ctx, c); err != nil {
		return Waiting{}, err
	}
	return Waiting{SubscriberID: c.SubscriberID, Until: now.Add(ConfirmWithin).UTC()}, audit(ctx, tx, a, at, "resubscribe", c.SubscriberID, asked)
}

// askable opens the card of who is to be asked by mail, unless mail came back
// from there, or the words of how they asked tell who they are.
func (s *Service) askable(ctx context.Context, tx *store.Tx, c *store.Contact, address store.Address, asked string) (store.Person, error) {
	p, err := tx.Open(c)
	if err != nil {
		return p, err
	}
	p.Email = address.Canonical()
	if err := personal("how the person asked", asked, p); err != nil {
		return p, err
	}
	if until, err := s.noMailUntil(ctx, tx, tx.Keys().AddressKey(address)); err != nil || !until.IsZero() {
		return p, errors.Join(err, refuse("mail to this address came back: it gets none until %s, unless kartotek mail allow lifts that", until.Format("2006-01-02")))
	}
	return p, nil
}

// listNamed finds a list by its name, and says which there are when there is none.
func (s *Service) listNamed(ctx context.Context, name string) (store.List, error) {
	l, err := findList(ctx, s.store, listName(name))
	if err == nil {
		return l, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return l, err
	}
	all, err := s.store.Lists(ctx)
	if err != nil {
		return l, err
	}
	names := ""
	for i, l := range all {
		if i == 8 {
			names += ", …"
			break
		}
		if i > 0 {
			names += ", "
		}
		names += l.Name
	}
	if names == "" {
		names = "none yet: make one with kartotek lists add NAME"
	}
	return l, fmt.Errorf("no list is called that; there are: %s (%w)", names, ErrNotFound)
}
