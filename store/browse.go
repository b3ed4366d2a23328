package store

import (
	"context"
	"math"
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

// Browse reads a page by keyset: its cost depends neither on where it is nor
// on the filter. Each permission with each rating is a stretch of an index that
// ends in the sort key, of one of contacts or, where a list is asked for, of
// one of memberships, which carry what they are filtered by. What asks for
// several of them merges a page of each, so that four pairs of indexes serve
// every filter, and no page walks over what it doesn't show.
func (q queries) Browse(ctx context.Context, b BrowseQuery) ([]*Contact, error) {
	query, args := b.sql()
	out, err := q.contacts(ctx, query, args...)
	if b.Backwards {
		slices.Reverse(out)
	}
	return out, err
}

// sql is the query of a page. A stretch is walked for its ids, which are all
// in the index, and the cards are read after that: asked for whole rows,
// MariaDB would walk a stretch from its end instead of from the place.
func (b BrowseQuery) sql() (string, []any) {
	var parts []string
	var args []any
	for _, p := range b.permissions() {
		for _, r := range b.ratings() {
			text, more := b.arm(p, r)
			parts, args = append(parts, "SELECT * FROM ("+text+") AS arm"), append(args, more...)
		}
	}
	return "SELECT " + contactColumns + " FROM (" + strings.Join(parts, " UNION ALL ") + b.order("") +
		" LIMIT ?) AS page CROSS JOIN contacts c ON c.subscriber_id = page.subscriber_id" + b.order("page."), append(args, b.Limit)
}

// permissions are those that are merged. Unknown stands for the memberships
// of another status than goes with their card's permission.
func (b BrowseQuery) permissions() []Permission {
	switch {
	case b.Permission != Unknown:
		return []Permission{b.Permission}
	case b.ListID != 0:
		return []Permission{Unknown, Pending, Confirmed, Unsubscribed}
	}
	return []Permission{Pending, Confirmed, Unsubscribed}
}

func (b BrowseQuery) ratings() []Rating {
	if b.Rating != 0 {
		return []Rating{b.Rating}
	}
	return []Rating{Dormant, Low, Average, High, VIP}
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
func (b BrowseQuery) arm(p Permission, r Rating) (string, []any) {
	var c conditions
	table, permission := "contacts", "permission"
	if b.ListID != 0 {
		table, permission = "memberships", "found_as"
		c.add("list_id = ?", b.ListID)
	}
	index := table
	if b.Source != "" {
		index += "_source"
		c.add("source = ?", b.Source)
	}
	if index += "_by_seen"; b.ByID {
		index = strings.TrimSuffix(index, "seen") + "id"
	}
	c.add(permission+" = ? AND rating = ?", p, r)
	b.place(&c)
	// MariaDB and MySQL take another index at times; SQLite finds it by itself,
	// and reads a comment here.
	return "SELECT " + strings.Join(b.key(""), ", ") + " FROM " + table + " /*! FORCE INDEX (" + index + ") */ WHERE " + strings.Join(c.where, " AND ") +
		b.order("") + " LIMIT ?", append(c.args, b.Limit)
}

// place begins where the page begins, and keeps to the time of last activity.
// On each side there is one bound: of two, SQLite might begin at the wrong one
// and walk all the way to the place. Each is always there, though it may keep
// nothing out, so that there are few statements for the connections to keep.
func (b BrowseQuery) place(c *conditions) {
	from, seen := b.start()
	cond, args := "last_seen_at >= ? AND last_seen_at <= ? AND (last_seen_at < ? OR subscriber_id < ?)", []any{seen, from.LastSeen, from.LastSeen, from.ID}
	if b.ByID {
		cond, args = "subscriber_id < ?", args[3:]
	}
	if b.Backwards {
		cond = strings.NewReplacer("<", ">", ">", "<").Replace(cond)
	}
	c.add(cond, args...)
}

// start is the place where a page begins, and the time of last activity that
// it may go on to.
func (b BrowseQuery) start() (Place, int64) {
	first, last := Place{math.MaxInt64, math.MaxInt64}, Place{math.MinInt64, -1} // of the order
	if b.SeenBefore != 0 {
		first.LastSeen = int64(b.SeenBefore) - 1
	}
	if b.SeenFrom != 0 {
		last.LastSeen = int64(b.SeenFrom)
	}
	from := b.From
	switch {
	case b.Backwards && (b.FromEnd || from.LastSeen < last.LastSeen):
		from = last
	case !b.Backwards && (b.FromEnd || from.LastSeen > first.LastSeen):
		from = first
	}
	if b.Backwards {
		return from, first.LastSeen
	}
	return from, last.LastSeen
}

// foundAs is the permission that a membership is found under when both a list
// and a permission are asked for: that of its card, when the status is the one
// that goes with it. Whoever left this list may be confirmed on another.
func foundAs(p Permission, status string) Permission {
	if statusCodes[status] == p {
		return p
	}
	return Unknown
}
