package flows

import (
	"context"
	"errors"

	"kartotek/store"
)

// Open opens one card: the only reading that decrypts. Its evidence opens only
// with an address that was given in full; a given address of somebody else
// opens nothing.
func (s *Service) Open(ctx context.Context, a Actor, id int64, given *Given) (_ Details, err error) {
	defer func() { err = s.trace(ctx, a, doFind, id, err) }()
	if err := s.allow(ctx, a, doFind); err != nil {
		return Details{}, err
	}
	c, err := s.store.Contact(ctx, id)
	if err != nil {
		return Details{}, err
	}
	contacts := []*store.Contact{c}
	cards, err := s.cards(ctx, contacts)
	if err != nil {
		return Details{}, err
	}
	if err := errors.Join(s.waiting(ctx, contacts, cards), s.noMail(ctx, c, &cards[0])); err != nil {
		return Details{}, err
	}
	p, err := s.store.Open(c)
	if err != nil {
		return Details{}, err
	}
	d := Details{
		Card: cards[0], FirstName: maskedIn(p.FirstName), LastName: maskedIn(p.LastName), Language: maskedIn(p.Language),
		Opens: c.Opens, Clicks: c.Clicks, Updates: c.Updates, Position: maskedIn(position(p)),
	}
	if c.Permission != Deleted {
		if d.Weeks, err = s.weeks(ctx, id); err != nil {
			return Details{}, err
		}
		d.RatingUntil = keptTime(c.RateAt)
	}
	if d.Own, err = s.ownFields(ctx, p); err != nil {
		return Details{}, err
	}
	if d.Timeline, err = s.timeline(ctx, c, given); err != nil {
		return Details{}, err
	}
	fillIPs(&d.Card, d.Timeline)
	return d, s.lookedInto(ctx, a, id)
}

func position(p store.Person) string {
	switch {
	case p.City != "" && p.Country != "":
		return p.City + ", " + p.Country
	case p.City != "":
		return p.City
	}
	return p.Country
}

// timeline reads a card's acts. Without the address they stay sealed.
func (s *Service) timeline(ctx context.Context, c *store.Contact, given *Given) ([]Event, error) {
	acts, err := s.store.EvidenceOf(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	var key store.EvidenceKey
	if given != nil {
		if key, err = s.store.Keys().EvidenceKey(given.address); err != nil {
			return nil, err
		}
	}
	out := make([]Event, len(acts))
	for i, e := range acts {
		out[i] = Event{At: seconds(e.At), Kind: e.Kind.String(), Closed: true}
		if given == nil || len(e.Sealed) == 0 {
			continue
		}
		if err := key.Open(e); errors.Is(err, store.ErrSealed) {
			continue
		} else if err != nil {
			return nil, err
		}
		notice, err := s.store.Notice(ctx, e.Act.Notice)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		note := e.Act.Note
		if e.Kind == store.LetterSent {
			note = e.Act.Handed.Reply
		}
		out[i] = Event{
			At: seconds(e.At), Kind: e.Kind.String(), IP: e.Act.IP, Agent: e.Act.UserAgent, List: e.Act.List,
			Notice: notice, By: e.Act.By, Note: note,
		}
	}
	return out, s.tellReturned(ctx, c, out)
}

// fillIPs puts the opened IPs of the three acts beside their times.
func fillIPs(c *Card, events []Event) {
	fill := func(a *Stamp, kinds ...store.Kind) {
		for _, e := range events {
			for _, k := range kinds {
				if a != nil && e.Kind == k.String() && e.At.Equal(a.At) && !e.Closed {
					a.IP, a.By = kept(e.IP), ""
					if k == store.Erasure {
						a.By = e.By
					}
				}
			}
		}
	}
	fill(c.SignedUp, store.SignedUp, store.Resubscription)
	fill(c.Confirmed, store.Confirmation)
	fill(c.Deleted, store.Erasure)
}

// withIPs opens the IPs into cards that were found by a full address.
func (s *Service) withIPs(ctx context.Context, f Found) error {
	for i := range f.Cards {
		c, err := s.store.Contact(ctx, f.Cards[i].SubscriberID)
		if err != nil {
			return err
		}
		events, err := s.timeline(ctx, c, f.Given)
		if err != nil {
			return err
		}
		fillIPs(&f.Cards[i], events)
	}
	return nil
}

// FindOpened is Find with the IPs of the three acts opened, where the address
// was given in full.
func (s *Service) FindOpened(ctx context.Context, a Actor, query string) (Found, error) {
	f, err := s.Find(ctx, a, query)
	if err != nil || f.Given == nil {
		return f, err
	}
	return f, s.withIPs(ctx, f)
}
