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
