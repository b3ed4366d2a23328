package flows

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kartotek/store"
)

// Ratings are the words of the MailRating, best first.
var Ratings = []string{store.VIP.String(), store.High.String(), store.Average.String(), store.Low.String(), store.Dormant.String()}

// Order is what a page of cards is sorted by.
type Order string

// The orders: latest activity first, or newest SubscriberID first.
const (
	ByActivity Order = ""
	ByID       Order = "id"
)

// WhyNoDates is why dates can't narrow the order by id.
const WhyNoDates = "dates narrow only the order by last activity: by SubscriberID, those between two dates lie scattered over all contacts, and finding them would mean reading everybody"

// ParseDay reads a day as 2026-01-31, or as 30d for so many days before now;
// it is the day's first moment in loc.
func ParseDay(s string, now time.Time, loc *time.Location) (time.Time, error) {
	s = strings.TrimSpace(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			y, m, d := now.In(loc).Date()
			return time.Date(y, m, d-int(n), 0, 0, 0, 0, loc), nil
		}
	}
	t, err := time.ParseInLocation(time.DateOnly, s, loc)
	if err != nil || t.Year() < 1970 {
		return time.Time{}, fmt.Errorf("a day is written as 2026-01-31, or as 30d for 30 days ago")
	}
	return t, nil
}

// query is a page as the store is asked for it.
func (s *Service) query(ctx context.Context, p Page) (store.BrowseQuery, error) {
	f := p.Filter
	q := store.BrowseQuery{
		Permission: f.Permission, Source: f.Source, SeenFrom: store.At(f.From), SeenBefore: store.At(f.Before), ByID: p.Order == ByID,
		From: store.Place{LastSeen: 1<<63 - 1, ID: 1<<63 - 1}, Limit: p.Limit + 1,
	}
	switch {
	case f.Permission == Deleted:
		return q, refuse("tombstones can't be leafed through: one is found only by its full address")
	case p.Order != ByActivity && p.Order != ByID:
		return q, refuse("there is no order by %q", p.Order)
	case q.ByID && (q.SeenFrom != 0 || q.SeenBefore != 0):
		return q, refuse(WhyNoDates)
	case f.Rating != "" && !slices.Contains(Ratings, f.Rating):
		return q, refuse("no rating is called that; there are: %s", strings.Join(Ratings, ", "))
	}
	if f.Rating != "" {
		q.Rating = store.ParseRating(f.Rating)
	}
	if f.List != "" {
		l, err := s.listNamed(ctx, f.List)
		if err != nil {
			return q, err
		}
		q.ListID = l.ID
	}
	switch {
	case p.Last:
		q.Backwards, q.FromEnd = true, true
	case p.Before != nil:
		q.Backwards, q.From = true, store.Place(*p.Before)
	case p.After != nil:
		q.From = store.Place(*p.After)
	}
	return q, nil
}

// Browse reads a page of cards. Tombstones never show in it: they are found
// only by somebody who knows the full address.
func (s *Service) Browse(ctx context.Context, a Actor, p Page) (Cards, error) {
	if err := s.allow(ctx, a, doBrowse); err != nil {
		return Cards{}, err
	}
	if p.Limit <= 0 || p.Limit > 500 {
		p.Limit = 50
	}
	q, err := s.query(ctx, p)
	if err != nil {
		return Cards{}, err
	}
	contacts, err := s.store.Browse(ctx, q)
	if err != nil {
		return Cards{}, err
	}
	more := len(contacts) > p.Limit
	if more && q.Backwards {
		contacts = contacts[1:]
	} else if more {
		contacts = contacts[:p.Limit]
	}
	out := Cards{Older: more, Newer: p.After != nil}
	if q.Backwards {
		out.Older, out.Newer = !p.Last, more
	}
	if out.Cards, err = s.cards(ctx, contacts); err != nil {
		return Cards{}, err
	}
	if n := len(contacts); n > 0 {
		out.First, out.Last = cursor(contacts[0]), cursor(contacts[n-1])
	}
	return out, nil
}

func cursor(c *store.Contact) Cursor { return Cursor{int64(c.LastSeenAt), c.SubscriberID} }

// CursorOf is the place of a card, for a page that starts after it.
func (s *Service) CursorOf(ctx context.Context, id int64) (Cursor, error) {
	c, err := s.store.Contact(ctx, id)
	if err != nil {
		return Cursor{}, err
	}
	if c.Permission == Deleted {
		return Cursor{}, ErrNotFound
	}
	return cursor(c), nil
}
