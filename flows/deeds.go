package flows

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"kartotek/flows/intake"
	"kartotek/store"
)

// Why a line of activity is not counted.
const (
	fateUnknown   = "unknown"
	fateErased    = "erased"
	fateFrozen    = "frozen"
	fateWithdrawn = "withdrawn"
	fateInvalid   = "invalid"
)

// fateOf says why nothing is counted for a contact; "" when it is. What an
// erased or unsubscribed person does is not the company's to know any more.
func fateOf(c *store.Contact) string {
	switch {
	case c == nil:
		return fateUnknown
	case c.Permission == Deleted:
		return fateErased
	case c.Frozen:
		return fateFrozen
	case stateOf(c) == Unsubscribed, stateOf(c) == withdrawnAgain:
		return fateWithdrawn
	}
	return ""
}

// countDeeds counts what some contacts did, one after the other by their ids:
// two imports then never wait for each other crosswise.
func countDeeds(ctx context.Context, tx *store.Tx, deeds []*deed, now store.Micros) error {
	of := map[int64][]*deed{}
	var ids []int64
	places := false
	for _, d := range deeds {
		if d.fate = ""; d.problem != "" {
			d.fate = fateInvalid
			continue
		}
		if of[d.id] == nil {
			ids = append(ids, d.id)
		}
		of[d.id] = append(of[d.id], d)
		places = places || d.city != "" || d.country != ""
	}
	slices.Sort(ids)
	contacts, err := tx.ContactsOf(ctx, ids, places)
	if err != nil {
		return err
	}
	totals := map[store.Total]*store.Total{} // by week and list
	for _, id := range ids {
		c := contacts[id]
		if fate := fateOf(c); fate != "" {
			for _, d := range of[id] {
				d.fate = fate
			}
			continue
		}
		if err := countOf(ctx, tx, c, of[id], now); err != nil {
			return err
		}
		addTotals(totals, of[id])
	}
	for _, t := range slices.SortedFunc(maps.Values(totals), func(a, b *store.Total) int {
		return cmp.Or(cmp.Compare(a.Week, b.Week), cmp.Compare(a.ListID, b.ListID))
	}) {
		if err := tx.AddTotal(ctx, *t); err != nil {
			return err
		}
	}
	return nil
}

func addTotals(totals map[store.Total]*store.Total, deeds []*deed) {
	for _, d := range deeds {
		key := store.Total{Week: store.WeekOf(d.at.Time()), ListID: d.list}
		t := totals[key]
		if t == nil {
			t = &store.Total{Week: key.Week, ListID: key.ListID}
			totals[key] = t
		}
		switch d.kind {
		case intake.Opened:
			t.Opens++
		case intake.Clicked:
			t.Clicks++
		case intake.Updated:
			t.Updates++
		}
	}
}

// trimWeeks is how many weeks pass before a contact's old ones are removed.
const trimWeeks = 4

// countOf counts the deeds of one contact.
func countOf(ctx context.Context, tx *store.Tx, c *store.Contact, deeds []*deed, now store.Micros) error {
	before, active := store.WeekOf(c.ScoredAt.Time()), c.Opens+c.Clicks > 0
	oldest := store.WeekOf(now.Time()) - shownWeeks + 1
	sealed, seen := c.Sealed, c.LastSeenAt
	c.Sealed = nil // stays as it is, unless the person is somewhere else now
	weeks, where := applyDeeds(c, deeds)
	rate(c, now)
	for _, w := range weeks {
		if w.Week < oldest || w.Opens+w.Clicks == 0 {
			continue
		}
		if err := tx.AddActivity(ctx, c.SubscriberID, w); err != nil {
			return err
		}
	}
	if active && store.WeekOf(c.ScoredAt.Time())/trimWeeks > before/trimWeeks {
		if err := tx.DropWeeks(ctx, c.SubscriberID, oldest); err != nil {
			return err
		}
	}
	if where != nil {
		if err := moveTo(tx, c, sealed, where, where.at >= seen); err != nil {
			return err
		}
	}
	return tx.SaveBehaviour(ctx, c)
}

// applyDeeds adds deeds up, in the order of their times: by week, and on the
// card, with the last of them that tells a place.
func applyDeeds(c *store.Contact, deeds []*deed) (weeks []store.WeekCount, where *deed) {
	slices.SortStableFunc(deeds, func(a, b *deed) int { return cmp.Compare(a.at, b.at) })
	for _, d := range deeds {
		c.LastSeenAt = max(c.LastSeenAt, d.at)
		if d.city != "" || d.country != "" {
			where = d
		}
		w := store.WeekCount{Week: store.WeekOf(d.at.Time())}
		switch d.kind {
		case intake.Opened:
			c.Opens++
			w.Opens = 1
			score(c, openPoints, d.at)
		case intake.Clicked:
			c.Clicks++
			w.Clicks = 1
			score(c, clickPoints, d.at)
		case intake.Updated:
			c.Updates++
			score(c, updatePoints, d.at)
		}
		if n := len(weeks); n > 0 && weeks[n-1].Week == w.Week {
			weeks[n-1].Opens += w.Opens
			weeks[n-1].Clicks += w.Clicks
		} else {
			weeks = append(weeks, w)
		}
	}
	return weeks, where
}

// moveTo seals the place that a contact was last seen at, unless it is the one
// that the card has. What is not news gives a place only to a card without one.
func moveTo(tx *store.Tx, c *store.Contact, sealed []byte, d *deed, news bool) error {
	c.Sealed = sealed
	p, err := tx.Open(c)
	if err != nil {
		return err
	}
	if p.City == d.city && p.Country == d.country || !news && p.City+p.Country != "" {
		c.Sealed = nil
		return nil
	}
	p.City, p.Country = d.city, d.country
	return tx.Seal(c, p)
}
