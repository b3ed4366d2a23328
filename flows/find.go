package flows

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"kartotek/store"
)

// Find searches a full address, a number in international form, or a
// SubscriberID: exactly that one. A piece of an address finds nothing. The
// audit says who searched, and whom they found, before they see it.
func (s *Service) Find(ctx context.Context, a Actor, query string) (_ Found, err error) {
	defer func() { err = s.trace(ctx, a, doFind, 0, err) }()
	if err := s.allow(ctx, a, doFind); err != nil {
		return Found{}, err
	}
	f, err := s.find(ctx, strings.TrimSpace(query))
	if err != nil {
		return Found{}, err
	}
	var id int64
	if len(f.Cards) > 0 {
		id = f.Cards[0].SubscriberID
	}
	return f, s.looked(ctx, a, "search", id)
}

func (s *Service) find(ctx context.Context, query string) (Found, error) {
	var found Found
	var contacts []*store.Contact
	id, err := strconv.ParseInt(query, 10, 64)
	switch {
	case err == nil && id > 0 && !strings.HasPrefix(query, "+") && !strings.HasPrefix(query, "0"):
		c, err := s.store.Contact(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return Found{}, nil
		}
		if err != nil {
			return Found{}, err
		}
		contacts = []*store.Contact{c}
	case strings.HasPrefix(query, "+"), strings.HasPrefix(query, "00"):
		number, err := store.ParseNumber(query)
		if err != nil {
			return Found{}, ErrPiece
		}
		if err := s.store.Rekey(ctx, number); err != nil {
			return Found{}, err
		}
		if contacts, err = s.store.ByMobile(ctx, s.store.Keys().AddressKey(number)); err != nil {
			return Found{}, err
		}
	default:
		address, err := store.ParseAddress(query)
		if err != nil {
			return Found{}, ErrPiece
		}
		found.Given = &Given{address}
		if err := s.store.Rekey(ctx, address); err != nil {
			return Found{}, err
		}
		if contacts, err = s.store.ByAddress(ctx, s.store.Keys().AddressKey(address)); err != nil {
			return Found{}, err
		}
	}
	found.Cards, err = s.cards(ctx, contacts)
	if err != nil {
		return Found{}, err
	}
	return found, s.waiting(ctx, contacts, found.Cards)
}

// cards makes what doors show of contacts. It decrypts nothing.
func (s *Service) cards(ctx context.Context, contacts []*store.Contact) ([]Card, error) {
	ids := make([]int64, 0, len(contacts))
	for _, c := range contacts {
		if c.Permission != Deleted {
			ids = append(ids, c.SubscriberID)
		}
	}
	lists, err := s.store.Memberships(ctx, ids...)
	if err != nil {
		return nil, err
	}
	out := make([]Card, len(contacts))
	for i, c := range contacts {
		out[i] = cardOf(c, lists[c.SubscriberID])
	}
	return out, nil
}

func cardOf(c *store.Contact, lists []*store.Membership) Card {
	card := Card{
		SubscriberID: c.SubscriberID, Permission: c.Permission, Frozen: c.Frozen,
		EmailMasked: kept(c.EmailMasked), MobileMasked: kept(c.MobileMasked), Source: kept(c.Source), Rating: kept(c.Rating.String()),
		Predecessor: keptID(c.Predecessor), Successor: keptID(c.Successor),
		SignedUp: keptAct(c.SignedUpAt), Confirmed: keptAct(c.ConfirmedAt), Deleted: keptAct(c.DeletedAt), Lists: []OnList{},
	}
	if c.Permission != Deleted {
		seen := seconds(c.LastSeenAt)
		card.LastActivity = &seen
	}
	for _, m := range lists {
		card.Lists = append(card.Lists, OnList{List: m.List, Status: m.Status, Since: seconds(m.Since)})
	}
	return card
}

func kept(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func keptID(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

func keptAct(at store.Micros) *Stamp {
	if at == 0 {
		return nil
	}
	return &Stamp{At: seconds(at)}
}

func seconds(m store.Micros) time.Time { return m.Time().Truncate(time.Second) }

// waiting fills in until when cards of contacts wait for the person's click,
// and why they may do so in vain.
func (s *Service) waiting(ctx context.Context, contacts []*store.Contact, cards []Card) error {
	now := store.At(s.now())
	for i := range cards {
		if !cards[i].mayWait() {
			continue
		}
		until, err := s.store.WaitingUntil(ctx, cards[i].SubscriberID, now)
		if err != nil {
			return err
		}
		if until == 0 {
			continue
		}
		t := seconds(until)
		cards[i].WaitingUntil = &t
		if cards[i].Undelivered, err = s.undelivered(ctx, cards[i].SubscriberID); err != nil {
			return err
		}
		if err := s.noMail(ctx, contacts[i], &cards[i]); err != nil {
			return err
		}
	}
	return nil
}

// mayWait tells whether a confirmation may be waited for: for everybody else
// the question need not be asked.
func (c Card) mayWait() bool {
	return c.Permission == Pending || c.Permission == Deleted ||
		slices.ContainsFunc(c.Lists, func(l OnList) bool { return l.Status == store.OnHold })
}

// card reads one card as doors show it.
func (s *Service) card(ctx context.Context, id int64) (Card, error) {
	c, err := s.store.Contact(ctx, id)
	if err != nil {
		return Card{}, err
	}
	contacts := []*store.Contact{c}
	cards, err := s.cards(ctx, contacts)
	if err != nil {
		return Card{}, err
	}
	return cards[0], s.waiting(ctx, contacts, cards)
}

// Counts reads the maintained counters. Who may not browse gets none of them,
// but hears whether the store answers.
func (s *Service) Counts(ctx context.Context, a Actor) (Counts, error) {
	c, err := s.store.Counters(ctx)
	if may(a, doBrowse) != nil {
		return Counts{}, err
	}
	return Counts{ByPermission: c.ByPermission, BySource: c.BySource, ByRating: byWord(c.ByRating), Due: c.OpenLetters(), Undelivered: c.Undelivered, Requests: c.OpenRequests}, err
}

func byWord(ratings map[store.Rating]int64) map[string]int64 {
	out := make(map[string]int64, len(ratings))
	for r, n := range ratings {
		out[r.String()] = n
	}
	return out
}
