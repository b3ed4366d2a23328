package flows

import (
	"context"
	"time"

	"kartotek/store"
)

// limitDays are the times ahead that Ends looks at.
var limitDays = [3]int{1, 7, 30}

// Ends counts what reaches a storage limit, and goes by itself, in a time from now.
type Ends struct {
	Day   int64 `json:"24_hours"`
	Week  int64 `json:"7_days"`
	Month int64 `json:"30_days"`
}

func endsOf(n [3]int64) Ends { return Ends{Day: n[0], Week: n[1], Month: n[2]} }

// DueRequests says how the open requests stand against the month in which they
// are to be answered (GDPR art. 12(3)).
type DueRequests struct {
	Open int64      `json:"open"`
	Late int64      `json:"late"`
	Week int64      `json:"due_within_7_days"` // the late ones included
	Next *time.Time `json:"next_due"`
}

func (s *Service) dueRequests(ctx context.Context, now time.Time, open int64) (DueRequests, error) {
	out := DueRequests{Open: open}
	if open == 0 {
		return out, nil
	}
	next, err := s.store.NextRequest(ctx)
	if err != nil {
		return out, err
	}
	out.Next = keptTime(next)
	if out.Late, err = s.store.RequestsBy(ctx, store.At(now), overviewCount); err != nil {
		return out, err
	}
	out.Week, err = s.store.RequestsBy(ctx, store.At(now.AddDate(0, 0, 7)), overviewCount)
	return out, err
}

// forgottenSoon counts the confirmations that nobody has clicked and that end
// soon; whole is false when there are more than it looks at.
func (s *Service) forgottenSoon(ctx context.Context, now time.Time) (e Ends, whole bool, err error) {
	var n [3]int64
	whole = true
	for i, days := range limitDays {
		var all bool
		if n[i], all, err = s.store.ForgottenBy(ctx, store.At(now), store.At(now.AddDate(0, 0, days)), overviewCount); err != nil {
			return e, false, err
		}
		whole = whole && all
	}
	return endsOf(n), whole, nil
}

// evidenceEnds counts the erased whose evidence reaches its end soon: as many
// as were erased in the days that the time of keeping then leaves behind. It
// takes the counter's history, so what it costs does not depend on them.
func (s *Service) evidenceEnds(ctx context.Context, now time.Time) (Ends, error) {
	r, err := s.retention(ctx)
	if err != nil {
		return Ends{}, err
	}
	upTo := func(days int) (int64, error) {
		before, err := spanBefore(now.AddDate(0, 0, days), r.EvidenceKept)
		if err != nil {
			return 0, err
		}
		return s.store.Evening(ctx, store.CountErased, store.DayOf(before))
	}
	gone, err := upTo(0)
	if err != nil {
		return Ends{}, err
	}
	var n [3]int64
	for i, days := range limitDays {
		erased, err := upTo(days)
		if err != nil {
			return Ends{}, err
		}
		n[i] = erased - gone
	}
	return endsOf(n), nil
}
