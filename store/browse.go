package store

import (
	"context"
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
// What filters is written so that the index which ends in the sort key serves
// it: a unary plus keeps a column out of the choice on every engine.
func (q queries) Browse(ctx context.Context, b BrowseQuery) ([]*Contact, error) {
	var where []string
	var args []any
	add := func(cond string, a ...any) { where, args = append(where, cond), append(args, a...) }
	from, sort := "contacts c", "c.last_seen_at %, c.subscriber_id %"
	seen, id := "c.last_seen_at", "c.subscriber_id"
	switch {
	case b.ListID != 0:
		from = "memberships m CROSS JOIN contacts c ON c.subscriber_id = m.subscriber_id"
		sort, seen, id = "m.last_seen_at %, m.subscriber_id %", "m.last_seen_at", "m.subscriber_id"
		add("m.list_id = ?", b.ListID)
		if status, ok := b.status(); ok {
			add("m.status = ?", status)
		}
		if b.Permission != Unknown {
			add("+c.permission = ?", b.Permission)
		}
		if b.Source != "" {
			add("+c.source = ?", b.Source)
		}
	case b.Source != "":
		add("c.source = ?", b.Source)
		if b.Permission != Unknown {
			add("+c.permission = ?", b.Permission)
		}
	case b.Permission != Unknown:
		add("c.permission = ?", b.Permission)
	default:
		add("c.live = 1")
	}
	order := "DESC"
	switch {
	case b.Backwards && b.FromEnd:
		order = "ASC"
	case b.Backwards:
		order = "ASC"
		add(seen+" >= ? AND ("+seen+" > ? OR "+id+" > ?)", b.From.LastSeen, b.From.LastSeen, b.From.ID)
	case !b.FromEnd:
		add(seen+" <= ? AND ("+seen+" < ? OR "+id+" < ?)", b.From.LastSeen, b.From.LastSeen, b.From.ID)
	}
	query := "SELECT " + contactColumns + " FROM " + from + " WHERE " + strings.Join(where, " AND ") +
		" ORDER BY " + strings.ReplaceAll(sort, "%", order) + " LIMIT ?"
	out, err := q.contacts(ctx, query, append(args, b.Limit)...)
	if order == "ASC" {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out, err
}

// status is the membership that goes with a permission: whoever is confirmed
// is subscribed to a list, and so on.
func (b BrowseQuery) status() (int, bool) {
	switch b.Permission {
	case Pending:
		return statusCodes[OnHold], true
	case Confirmed:
		return statusCodes[Subscribed], true
	case Unsubscribed:
		return statusCodes[Left], true
	}
	return 0, false
}
