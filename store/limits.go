package store

import (
	"context"
	"errors"
	"time"
)

// The limits of confirmation mails to one address, whatever asks for them.
const (
	LimitPause  = 10 * time.Minute // between two
	LimitWindow = 24 * time.Hour   // for three
)

// TakeMail notes a confirmation mail to an address, unless the limits forbid
// it: then it returns when the next one may go.
func (tx *Tx) TakeMail(ctx context.Context, to Address, now time.Time) (wait time.Time, err error) {
	key, at := tx.keys.LimitKey(to), At(now)
	var first, second, last Micros
	err = tx.get(ctx, []any{&first, &second, &last}, `SELECT first_at, second_at, last_at FROM limits WHERE limit_key = ?`, key)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, tx.fresh(ctx, `INSERT INTO limits (limit_key, first_at, second_at, last_at) VALUES (?, 0, 0, ?)`, key, at)
	}
	if err != nil {
		return time.Time{}, err
	}
	next := last.Time().Add(LimitPause)
	if first != 0 && first.Time().Add(LimitWindow).After(next) {
		next = first.Time().Add(LimitWindow)
	}
	if next.After(now) {
		return next, nil
	}
	return time.Time{}, tx.one(ctx, `UPDATE limits SET first_at = second_at, second_at = last_at, last_at = ? WHERE limit_key = ? AND last_at = ?`, at, key, last)
}

// DropOldLimits removes up to n counts that limit nothing any more.
func (tx *Tx) DropOldLimits(ctx context.Context, now time.Time, n int) (int64, error) {
	return tx.exec(ctx, `DELETE FROM limits WHERE limit_key IN (SELECT limit_key FROM (SELECT limit_key FROM limits WHERE last_at <= ? LIMIT ?) AS old)`,
		At(now.Add(-LimitWindow)), n)
}
