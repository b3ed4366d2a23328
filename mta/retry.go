package mta

import "time"

// How long a deferred letter is kept trying. RFC 5321 section 4.5.4.1 asks for at least 4 days and for retries
// that grow apart; a person who waits for a confirmation mail asks for an early first one.
const (
	firstRetry  = 5 * time.Minute
	retryCap    = 6 * time.Hour
	retryJitter = 0.2
	giveUpAfter = 4 * 24 * time.Hour
)

// RetryAfter says when to try a letter again that has been tried attempts times: five minutes after the first
// try, doubling up to six hours, ±20 % (rnd yields numbers in [0,1)) so that letters deferred together don't
// come back together. The last try is 4 days after created; from then on giveUp is true and next is zero.
func RetryAfter(attempts int, created, now time.Time, rnd func() float64) (next time.Time, giveUp bool) {
	end := created.Add(giveUpAfter)
	if !now.Before(end) {
		return time.Time{}, true
	}
	wait := firstRetry
	for i := 1; i < attempts && wait < retryCap; i++ {
		wait *= 2
	}
	wait = min(wait, retryCap)
	factor := 1 - retryJitter + 2*retryJitter*rnd()
	next = now.Add(time.Duration(float64(wait) * factor))
	if next.After(end) {
		next = end
	}
	return next, false
}
