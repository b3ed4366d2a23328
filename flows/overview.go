package flows

import (
	"context"
	"time"

	"kartotek/store"
)

// The overview looks so far back, and at so much.
const (
	overviewDays  = 90
	overviewCount = 10_000 // links looked at to count what is forgotten soon
)

// Overview is how the lists and the mail are doing, in numbers that name nobody.
type Overview struct {
	At           time.Time            `json:"at"`
	ByPermission map[Permission]int64 `json:"by_permission"`
	BySource     map[string]int64     `json:"by_source"`
	Lists        []List               `json:"lists"`
	Days         []DayNumbers         `json:"days"`  // 90, oldest first; the last is today as it stands
	Weeks        []WeekNumbers        `json:"weeks"` // 26, oldest first; the last is the present one
	LettersOpen  int64                `json:"letters_open"`
	LettersHeld  int64                `json:"letters_held"`
	// Requests are those that wait for an answer.
	Requests DueRequests `json:"requests"`
	// Forgotten counts the confirmations that nobody has clicked and that end,
	// address and all; at least so many when AndMore is set.
	Forgotten Ends `json:"forgotten_within"`
	AndMore   bool `json:"and_more"`
	// Evidence counts the erased whose sealed evidence goes (Retention).
	Evidence Ends `json:"evidence_ends_within"`
}

// DayNumbers are the numbers of one day, UTC.
type DayNumbers struct {
	Day          time.Time            `json:"day"`
	ByPermission map[Permission]int64 `json:"by_permission"` // at the day's end
	Subscribed   map[string]int64     `json:"subscribed"`    // by list, at the day's end
	Asked        int64                `json:"asked"`         // confirmation mails
	Given        int64                `json:"given"`         // confirmations by a click
	Erased       int64                `json:"erased"`
	Resubscribed int64                `json:"resubscribed"`
	Delivered    int64                `json:"delivered"` // letters
	Deferred     int64                `json:"deferred"`  // attempts
	Refused      int64                `json:"refused"`   // letters
}

// WeekNumbers are what all contacts did in one week.
type WeekNumbers struct {
	Week
	Updates int64 `json:"updates"`
}

// Conversion is the share of confirmation mails of the last days that were
// answered by a click, from 0 to 1; ok is false when there were none. A click
// counts on the day that it came.
func (o Overview) Conversion(days int) (share float64, ok bool) {
	var asked, given int64
	for _, d := range o.Days[max(0, len(o.Days)-days):] {
		asked, given = asked+d.Asked, given+d.Given
	}
	if asked == 0 {
		return 0, false
	}
	return min(1, float64(given)/float64(asked)), true
}

// Overview reads the maintained counters and their history: what it costs
// depends on the days shown and the lists, not on how many contacts there are.
func (s *Service) Overview(ctx context.Context, a Actor) (Overview, error) {
	if err := s.allow(ctx, a, doBrowse); err != nil {
		return Overview{}, err
	}
	now := s.now()
	o := Overview{At: now.UTC().Truncate(time.Second)}
	counters, err := s.store.Counters(ctx)
	if err != nil {
		return Overview{}, err
	}
	o.ByPermission, o.BySource, o.LettersOpen, o.LettersHeld = counters.ByPermission, counters.BySource, counters.OpenLetters(), counters.Letters[store.LetterHeld.String()]
	if o.Lists, err = s.lists(ctx); err != nil {
		return Overview{}, err
	}
	today := store.DayOf(now)
	history, err := s.store.History(ctx, today-overviewDays+1, today)
	if err != nil {
		return Overview{}, err
	}
	for d := history.From; d <= today; d++ {
		o.Days = append(o.Days, dayNumbers(history, d, o.Lists))
	}
	if o.Weeks, err = s.weekNumbers(ctx, store.WeekOf(now)); err != nil {
		return Overview{}, err
	}
	if o.Requests, err = s.dueRequests(ctx, now, counters.OpenRequests); err != nil {
		return Overview{}, err
	}
	var whole bool
	if o.Forgotten, whole, err = s.forgottenSoon(ctx, now); err != nil {
		return Overview{}, err
	}
	o.AndMore = !whole
	o.Evidence, err = s.evidenceEnds(ctx, now)
	return o, err
}

func dayNumbers(h store.History, d store.Day, lists []List) DayNumbers {
	n := DayNumbers{
		Day: d.Start(), ByPermission: map[Permission]int64{}, Subscribed: map[string]int64{},
		Asked: h.On(store.CountAsked, d), Given: h.On(store.CountGiven, d), Erased: h.On(store.CountErased, d), Resubscribed: h.On(store.CountResubscribed, d),
		Delivered: h.On(store.CountDelivered, d), Deferred: h.On(store.CountDeferred, d), Refused: h.On(store.CountRefused, d),
	}
	for _, p := range []Permission{Pending, Confirmed, Unsubscribed, Deleted} {
		n.ByPermission[p] = h.At(store.CountPermission(p), d)
	}
	for _, l := range lists {
		n.Subscribed[l.Name] = h.At(store.CountList(l.ID, store.Subscribed), d)
	}
	return n
}

func (s *Service) weekNumbers(ctx context.Context, last store.Week) ([]WeekNumbers, error) {
	first := last - shownWeeks + 1
	totals, err := s.store.Totals(ctx, first)
	if err != nil {
		return nil, err
	}
	out := make([]WeekNumbers, shownWeeks)
	for i := range out {
		out[i].Start = (first + store.Week(i)).Start()
	}
	for _, t := range totals {
		if i := int(t.Week - first); i < shownWeeks {
			out[i].Opens, out[i].Clicks, out[i].Updates = t.Opens, t.Clicks, t.Updates
		}
	}
	return out, nil
}
