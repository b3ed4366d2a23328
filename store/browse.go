package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// Place is a position between a card and the next, in the order of a browse.
// In the order by id only the ID counts.
type Place struct{ LastSeen, ID int64 }

// BrowseQuery narrows and orders a browse; zero values narrow nothing.
// Tombstones never show.
type BrowseQuery struct {
	ListID     int64
	Permission Permission
	Source     string
	Rating     Rating
	SeenFrom   Micros // last activity at this time or later; not in the order by id
	SeenBefore Micros // last activity before this time; likewise
	ByID       bool   // newest SubscriberID first, else latest activity first
	From       Place  // where to start; ignored when FromEnd
	FromEnd    bool
	Backwards  bool // towards the first cards; the answer is in the same order all the same
	Limit      int
}

// walk is what a page is read along.
type walk int

const (
	alongAll walk = iota
	alongList
	alongSource
	alongRating
)

// Browse reads a page by keyset: its cost does not depend on where it is.
// Each permission (on a list: each status) is a stretch of an index that ends
// in the sort key. What asks for all of them merges a page of each, so that no
// second index has to be kept for it. No index holds two of list, source and
// rating: the rarest is walked along then, which finds a page soonest.
func (q queries) Browse(ctx context.Context, b BrowseQuery) ([]*Contact, error) {
	along, err := q.rarest(ctx, b)
	if err != nil {
		return nil, err
	}
	query, args := b.sql(along)
	out, err := q.contacts(ctx, query, args...)
	if b.Backwards {
		slices.Reverse(out)
	}
	return out, err
}

// rarest picks what a page is read along by what the counters say.
func (q queries) rarest(ctx context.Context, b BrowseQuery) (walk, error) {
	names := map[string]walk{}
	if b.ListID != 0 {
		for _, status := range []string{OnHold, Subscribed, Left} {
			if b.Permission == Unknown || statusCodes[status] == statusOf[b.Permission] {
				names[listCounter(b.ListID, status)] = alongList
			}
		}
	}
	if b.Source != "" {
		names["source/"+b.Source] = alongSource
	}
	if b.Rating != 0 {
		names[ratingCounter(b.Rating)] = alongRating
	}
	var args []any
	n := map[walk]int64{}
	for name, w := range names {
		args, n[w] = append(args, name), 0
	}
	if len(n) < 2 {
		for w := range n {
			return w, nil
		}
		return alongAll, nil
	}
	err := q.each(ctx, func(rows *sql.Rows) error {
		var name string
		var m int64
		err := rows.Scan(&name, &m)
		n[names[name]] += m
		return err
	}, `SELECT name, SUM(n) FROM counters WHERE name IN (?`+strings.Repeat(", ?", len(args)-1)+`) GROUP BY name`, args...)
	best := alongAll
	for _, w := range []walk{alongList, alongSource, alongRating} {
		if m, ok := n[w]; ok && (best == alongAll || m < n[best]) {
			best = w
		}
	}
	return best, err
}

// sql is the query of a page. A stretch is walked for its ids, which are all
// in the index, and the cards are read after that: asked for whole rows,
// MariaDB would walk a stretch from its end instead of from the place.
func (b BrowseQuery) sql(along walk) (string, []any) {
	arms := []Permission{Pending, Confirmed, Unsubscribed}
	if b.Permission != Unknown {
		arms = []Permission{b.Permission}
	}
	var parts []string
	var args []any
	for _, p := range arms {
		text, more := b.arm(along, p)
		parts, args = append(parts, "SELECT * FROM ("+text+") AS arm"), append(args, more...)
	}
	return "SELECT " + contactColumns + " FROM (" + strings.Join(parts, " UNION ALL ") + b.order("") +
		" LIMIT ?) AS page CROSS JOIN contacts c ON c.subscriber_id = page.subscriber_id" + b.order("page."), append(args, b.Limit)
}

// key are the columns of the sort key, each with what it is of in front.
func (b BrowseQuery) key(of string) []string {
	if b.ByID {
		return []string{of + "subscriber_id"}
	}
	return []string{of + "last_seen_at", of + "subscriber_id"}
}

func (b BrowseQuery) order(of string) string {
	way := " DESC"
	if b.Backwards {
		way = " ASC"
	}
	return " ORDER BY " + strings.Join(b.key(of), way+", ") + way
}

// conditions are what an arm's rows must fulfil.
type conditions struct {
	where []string
	args  []any
}

func (c *conditions) add(cond string, args ...any) {
	c.where, c.args = append(c.where, cond), append(c.args, args...)
}

// arm is a page of one stretch of an index.
func (b BrowseQuery) arm(along walk, p Permission) (string, []any) {
	var c conditions
	from, of := "contacts c", "c."
	if along == alongList {
		from, of = "memberships m", "m."
	}
	from += b.index(along)
	if along == alongList {
		c.add("m.list_id = ? AND m.status = ?", b.ListID, statusOf[p])
		if b.Permission != Unknown || b.Source != "" || b.Rating != 0 {
			from += " CROSS JOIN contacts c ON c.subscriber_id = m.subscriber_id"
		}
		if b.Permission != Unknown { // whoever left this list may be confirmed on another
			c.add("+c.permission = ?", p)
		}
	} else {
		c.add("c.permission = ?", p)
		if b.ListID != 0 {
			from += " CROSS JOIN memberships m ON m.subscriber_id = c.subscriber_id"
			c.add("m.list_id = ?", b.ListID)
		}
		if b.ListID != 0 && b.Permission != Unknown {
			c.add("+m.status = ?", statusOf[p])
		}
	}
	b.narrow(&c, along)
	b.place(&c, of)
	return "SELECT " + strings.Join(b.key(of), ", ") + " FROM " + from + " WHERE " + strings.Join(c.where, " AND ") + b.order(of) + " LIMIT ?", append(c.args, b.Limit)
}

// index is the index that an arm walks along, for MariaDB and MySQL, which take
// another one at times; SQLite finds it by itself and reads a comment here.
func (b BrowseQuery) index(along walk) string {
	name := map[walk]string{alongAll: "contacts_permission", alongList: "memberships_status", alongSource: "contacts_source", alongRating: "contacts_rating"}[along]
	if b.ByID {
		name += "_id"
	}
	return " /*! FORCE INDEX (" + name + ") */"
}

// narrow keeps to a source and a rating. A unary plus keeps a column out of
// SQLite's choice of the index.
func (b BrowseQuery) narrow(c *conditions, along walk) {
	plus := func(w walk) string {
		if along == w {
			return ""
		}
		return "+"
	}
	if b.Source != "" {
		c.add(plus(alongSource)+"c.source = ?", b.Source)
	}
	if b.Rating != 0 {
		c.add(plus(alongRating)+"c.rating = ?", b.Rating)
	}
}

// place begins where the page begins, and keeps to the time of last activity.
// On each side there is one bound at most: of two, SQLite might begin at the
// wrong one and walk all the way to the place.
func (b BrowseQuery) place(c *conditions, of string) {
	if b.SeenFrom != 0 && (!b.Backwards || b.FromEnd) {
		c.add(of+"last_seen_at >= ?", b.SeenFrom)
	}
	if b.SeenBefore != 0 && (b.Backwards || b.FromEnd) {
		c.add(of+"last_seen_at < ?", b.SeenBefore)
	}
	from := b.From
	switch {
	case b.FromEnd:
		return
	case b.Backwards && from.LastSeen < int64(b.SeenFrom):
		from = Place{int64(b.SeenFrom), -1}
	case !b.Backwards && b.SeenBefore != 0 && from.LastSeen >= int64(b.SeenBefore):
		from = Place{int64(b.SeenBefore) - 1, 1<<63 - 1}
	}
	cond, args := of+"last_seen_at <= ? AND ("+of+"last_seen_at < ? OR "+of+"subscriber_id < ?)", []any{from.LastSeen, from.LastSeen, from.ID}
	if b.ByID {
		cond, args = of+"subscriber_id < ?", args[2:]
	}
	if b.Backwards {
		cond = strings.ReplaceAll(cond, "<", ">")
	}
	c.add(cond, args...)
}

// statusOf is the membership that goes with a permission: whoever is confirmed
// is subscribed to a list, and so on.
var statusOf = map[Permission]int{
	Pending:      statusCodes[OnHold],
	Confirmed:    statusCodes[Subscribed],
	Unsubscribed: statusCodes[Left],
}
