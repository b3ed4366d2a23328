package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Week is a week in UTC, from Monday to Sunday, counted from the one that
// 1970-01-01 lies in.
type Week int64

// WeekOf is the week that a time falls in.
func WeekOf(t time.Time) Week { return Week(floorDiv(int64(DayOf(t))+3, 7)) }

// Start is the week's Monday, at midnight.
func (w Week) Start() time.Time { return Day(7*w - 3).Start() }

// WeekCount is what somebody did with their mail in a week.
type WeekCount struct {
	Week   Week  `db:"week"`
	Opens  int64 `db:"opens"`
	Clicks int64 `db:"clicks"`
}

// Total is what all contacts together did in a week with the mail of a list;
// ListID is 0 where no list was told. It names nobody, and stays when they go.
type Total struct {
	Week    Week  `db:"week"`
	ListID  int64 `db:"list_id"`
	Opens   int64 `db:"opens"`
	Clicks  int64 `db:"clicks"`
	Updates int64 `db:"updates"`
}

// ContactsOf reads contacts by their ids; those that aren't there are left
// out. Their sealed values are read only when sealed is set.
func (q queries) ContactsOf(ctx context.Context, ids []int64, sealed bool) (map[int64]*Contact, error) {
	out := make(map[int64]*Contact, len(ids))
	columns := contactColumns
	if sealed {
		columns += ", c.sealed"
	}
	for len(ids) > 0 {
		n := min(len(ids), 500)
		args := make([]any, 0, 500)
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		ids = ids[n:]
		marks, args := inList(args)
		err := q.each(ctx, func(rows *sql.Rows) error {
			c := &Contact{}
			into := c.fields()
			if sealed {
				into = append(into, &c.Sealed)
			}
			err := rows.Scan(into...)
			c.read()
			out[c.SubscriberID] = c
			return err
		}, `SELECT `+columns+` FROM contacts c WHERE c.subscriber_id IN (`+marks+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// SaveBehaviour writes back what a contact did and its rating, guarded by the
// version that was read; a sealed value that was not read stays. It leaves the
// indexes of addresses alone, which is most of what SaveContact costs.
func (tx *Tx) SaveBehaviour(ctx context.Context, c *Contact) error {
	query := `UPDATE contacts SET opens = ?, clicks = ?, updates = ?, score = ?, scored_at = ?, rate_at = ?, sealed = COALESCE(?, sealed), version = version + 1`
	args := []any{c.Opens, c.Clicks, c.Updates, c.Score, c.ScoredAt, c.RateAt, bytesOrNull(c.Sealed)}
	if c.seen != c.LastSeenAt { // the indexes that browsing walks along
		query, args = query+`, last_seen_at = ?`, append(args, c.LastSeenAt)
	}
	if c.rated != c.Rating {
		query, args = query+`, rating = ?`, append(args, c.Rating)
		tx.countRating(c.rated, -1)
		tx.countRating(c.Rating, 1)
	}
	if err := tx.one(ctx, query+` WHERE subscriber_id = ? AND version = ?`, append(args, c.SubscriberID, c.Version)...); err != nil {
		return err
	}
	if err := tx.moveMemberships(ctx, c); err != nil {
		return err
	}
	c.Version++
	c.read()
	return nil
}

// AddActivity counts what a contact did in a week.
func (tx *Tx) AddActivity(ctx context.Context, id int64, w WeekCount) error {
	n, err := tx.exec(ctx, `UPDATE activity SET opens = opens + ?, clicks = clicks + ? WHERE subscriber_id = ? AND week = ?`, w.Opens, w.Clicks, id, w.Week)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO activity (subscriber_id, week, opens, clicks) VALUES (?, ?, ?, ?)`, id, w.Week, w.Opens, w.Clicks)
	}
	return err
}

// AddTotal counts what everybody did in a week.
func (tx *Tx) AddTotal(ctx context.Context, t Total) error {
	n, err := tx.exec(ctx, `UPDATE weeks SET opens = opens + ?, clicks = clicks + ?, updates = updates + ? WHERE week = ? AND list_id = ?`,
		t.Opens, t.Clicks, t.Updates, t.Week, t.ListID)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO weeks (week, list_id, opens, clicks, updates) VALUES (?, ?, ?, ?, ?)`, t.Week, t.ListID, t.Opens, t.Clicks, t.Updates)
	}
	return err
}

// DropActivity removes the weeks of a contact. Erasing and forgetting do it by
// themselves.
func (tx *Tx) DropActivity(ctx context.Context, id int64) error {
	_, err := tx.exec(ctx, `DELETE FROM activity WHERE subscriber_id = ?`, id)
	return err
}

// DropWeeks removes a contact's weeks before one.
func (tx *Tx) DropWeeks(ctx context.Context, id int64, before Week) error {
	_, err := tx.exec(ctx, `DELETE FROM activity WHERE subscriber_id = ? AND week < ?`, id, before)
	return err
}

// WeeksOf reads what a contact did, oldest week first, those without anything
// left out.
func (q queries) WeeksOf(ctx context.Context, id int64) ([]WeekCount, error) {
	var out []WeekCount
	err := q.all(ctx, &out, `SELECT week, opens, clicks FROM activity WHERE subscriber_id = ? ORDER BY week`, id)
	return out, err
}

// Totals reads the anonymous totals from a week on, lists added up.
func (q queries) Totals(ctx context.Context, from Week) ([]Total, error) {
	var out []Total
	err := q.all(ctx, &out, `SELECT week, 0 AS list_id, SUM(opens) AS opens, SUM(clicks) AS clicks, SUM(updates) AS updates FROM weeks WHERE week >= ? GROUP BY week ORDER BY week`, from)
	return out, err
}

// RatingsDue reads up to n contacts whose rating time has changed by now.
func (q queries) RatingsDue(ctx context.Context, now Micros, n int) ([]int64, error) {
	var out []int64
	err := q.each(ctx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	}, ratingsDue, now, n)
	return out, err
}

const ratingsDue = `SELECT subscriber_id FROM contacts WHERE rate_at > 0 AND rate_at <= ? ORDER BY rate_at LIMIT ?`

// ActivityTaken tells how far a file of activity was taken, which may be
// counted only once: after which line, or that it was taken whole.
func (q queries) ActivityTaken(ctx context.Context, fileKey []byte) (started Micros, line int64, whole bool, err error) {
	started, line, err = q.ImportStopped(ctx, fileKey)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return started, max(line, 0), line == importDone, err
}

// AdvanceActivity notes, in the transaction that counts them, that a file's
// lines after from and up to to are counted; to is 0 at the file's end. It
// reports false when they were counted by somebody else at the same time.
func (tx *Tx) AdvanceActivity(ctx context.Context, fileKey []byte, started Micros, from, to int64) (bool, error) {
	if to == 0 {
		to = importDone
	}
	_, line, err := tx.ImportStopped(ctx, fileKey)
	switch {
	case errors.Is(err, ErrNotFound):
		if from != 0 {
			return false, nil
		}
		err = tx.fresh(ctx, `INSERT INTO imports (file_key, started_at, line) VALUES (?, ?, ?)`, tx.keyOfImport(fileKey), started, to)
		return err == nil, err
	case err != nil:
		return false, err
	case line != from:
		return false, nil
	}
	n, err := tx.exec(ctx, `UPDATE imports SET started_at = ?, line = ? WHERE file_key = ? AND line = ?`, started, to, tx.keyOfImport(fileKey), from)
	return n == 1, err
}
