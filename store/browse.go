package store

import (
	"context"
	"slices"
	"strings"
)

// Place is a position in newest-first order: between this card and the next.
type Place struct{ LastSeen, ID int64 }

// BrowseQuery narrows a browse; zero values do not. Tombstones never show.
type BrowseQuery struct {
	ListID     int64
	Permission Permission
	Source     string
	From       Place // where to start; ignored when FromEnd
	FromEnd    bool
	Backwards  bool // towards newer cards; the answer is newest first all the same
	Limit      int
}

// Browse reads a page by keyset: its cost does not depend on where it is.
// Each permission (on a list: each status) is a stretch of an index that ends
// in the sort key. What asks for all of them merges a page of each, so that no
// second index has to be kept for it.
func (q queries) Browse(ctx context.Context, b BrowseQuery) ([]*Contact, error) {
	byList := b.ListID != 0
	if byList && b.Source != "" {
		rarer, err := q.sourceIsRarer(ctx, b.Source, b.ListID)
		if err != nil {
			return nil, err
		}
		byList = !rarer
	}
	query, args := b.sql(byList)
	out, err := q.contacts(ctx, query, args...)
	if b.Backwards {
		slices.Reverse(out)
	}
	return out, err
}

// sourceIsRarer tells whether fewer contacts come from a source than stand on
// a list: no index holds both, and walking along the rarer finds a page sooner.
func (q queries) sourceIsRarer(ctx context.Context, source string, listID int64) (bool, error) {
	const sum = `(SELECT COALESCE(SUM(n), 0) FROM counters WHERE name `
	var rarer bool
	err := q.get(ctx, []any{&rarer}, `SELECT `+sum+`= ?) < `+sum+`IN (?, ?, ?))`, "source/"+source,
		listCounter(listID, OnHold), listCounter(listID, Subscribed), listCounter(listID, Left))
	return rarer, err
}

// sql is the query of a page, walking along a list's members or along contacts.
// A stretch is walked for its ids, which are all in the index, and the cards are
// read after that: asked for whole rows, MariaDB would walk a stretch from its
// end instead of from the place.
func (b BrowseQuery) sql(byList bool) (string, []any) {
	arms := []Permission{Pending, Confirmed, Unsubscribed}
	if b.Permission != Unknown {
		arms = []Permission{b.Permission}
	}
	var parts []string
	var args []any
	for _, p := range arms {
		text, more := b.arm(byList, p)
		parts, args = append(parts, "SELECT * FROM ("+text+") AS arm"), append(args, more...)
	}
	order := b.order()
	return "SELECT " + contactColumns + " FROM (" + strings.Join(parts, " UNION ALL ") +
		" ORDER BY last_seen_at " + order + ", subscriber_id " + order + " LIMIT ?) AS page CROSS JOIN contacts c ON c.subscriber_id = page.subscriber_id" +
		" ORDER BY page.last_seen_at " + order + ", page.subscriber_id " + order, append(args, b.Limit)
}

func (b BrowseQuery) order() string {
	if b.Backwards {
		return "ASC"
	}
	return "DESC"
}

// arm is a page of one stretch of an index. A unary plus keeps a column out of
// SQLite's choice of the index; MariaDB finds the right one by itself.
func (b BrowseQuery) arm(byList bool, p Permission) (string, []any) {
	var where []string
	var args []any
	add := func(cond string, a ...any) { where, args = append(where, cond), append(args, a...) }
	from, walked := "contacts c", "c"
	if byList {
		from, walked = "memberships m", "m"
		add("m.list_id = ? AND m.status = ?", b.ListID, statusOf[p])
		if b.Permission != Unknown || b.Source != "" {
			from += " CROSS JOIN contacts c ON c.subscriber_id = m.subscriber_id"
		}
		if b.Permission != Unknown { // whoever left this list may be confirmed on another
			add("+c.permission = ?", p)
		}
		if b.Source != "" {
			add("+c.source = ?", b.Source)
		}
	} else {
		add("c.permission = ?", p)
		if b.Source != "" {
			add("c.source = ?", b.Source)
		}
		if b.ListID != 0 {
			from += " CROSS JOIN memberships m ON m.subscriber_id = c.subscriber_id"
			add("m.list_id = ?", b.ListID)
		}
		if b.ListID != 0 && b.Permission != Unknown {
			add("+m.status = ?", statusOf[p])
		}
	}
	cond, order := walked+".last_seen_at <= ? AND ("+walked+".last_seen_at < ? OR "+walked+".subscriber_id < ?)", b.order()
	if b.Backwards {
		cond = strings.ReplaceAll(cond, "<", ">")
	}
	if !b.FromEnd {
		add(cond, b.From.LastSeen, b.From.LastSeen, b.From.ID)
	}
	return "SELECT " + walked + ".subscriber_id, " + walked + ".last_seen_at FROM " + from + " WHERE " + strings.Join(where, " AND ") +
		" ORDER BY " + walked + ".last_seen_at " + order + ", " + walked + ".subscriber_id " + order + " LIMIT ?", append(args, b.Limit)
}

// statusOf is the membership that goes with a permission: whoever is confirmed
// is subscribed to a list, and so on.
var statusOf = map[Permission]int{
	Pending:      statusCodes[OnHold],
	Confirmed:    statusCodes[Subscribed],
	Unsubscribed: statusCodes[Left],
}
