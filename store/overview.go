package store

import "context"

// CountPermission is the counter of the contacts with a permission.
func CountPermission(p Permission) string { return "permission/" + p.String() }

// CountList is the counter of the contacts that stand on a list in a status.
func CountList(id int64, status string) string { return listCounter(id, status) }

const forgottenBy = `SELECT COUNT(*), COALESCE(SUM(CASE WHEN purpose = ? AND used_at = 0 THEN 1 ELSE 0 END), 0)
 FROM (SELECT purpose, used_at FROM tokens WHERE expires_at > ? AND expires_at <= ? ORDER BY expires_at LIMIT ?) AS soon`

// ForgottenBy counts the confirmations that nobody clicked and that end in a
// time. It looks at so many tokens at most, in the order in which they end:
// whole is false when there were more.
func (q queries) ForgottenBy(ctx context.Context, from, to Micros, most int) (n int64, whole bool, err error) {
	var seen int64
	err = q.get(ctx, []any{&seen, &n}, forgottenBy, ForConfirm, from, to, most+1)
	return n, seen <= int64(most), err
}

const requestsBy = `SELECT COUNT(*) FROM (SELECT request_id FROM requests WHERE state = ? AND due_at <= ? LIMIT ?) AS soon`

// RequestsBy counts the open requests that are due by a time, up to most of them.
func (q queries) RequestsBy(ctx context.Context, by Micros, most int) (n int64, err error) {
	err = q.get(ctx, []any{&n}, requestsBy, RequestOpen, by, most)
	return n, err
}

const evening = `SELECT COALESCE((SELECT n FROM days WHERE name = ? AND day > ? ORDER BY day LIMIT 1), (SELECT SUM(n) FROM counters WHERE name = ?), 0)`

// Evening is what a counter stood at at the end of a day: the number that the
// day of its next change began with, or else its present one.
func (q queries) Evening(ctx context.Context, name string, d Day) (n int64, err error) {
	err = q.get(ctx, []any{&n}, evening, name, d, name)
	return n, err
}
