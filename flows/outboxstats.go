package flows

import (
	"context"
	"fmt"
	"time"

	"kartotek/store"
)

// tooLong is how long a letter may wait for its first attempt before that is an
// alarm: nobody sends, or not fast enough.
const tooLong = 10 * time.Minute

// AlarmWaiting: letters wait for their first attempt for too long.
const AlarmWaiting = "waiting"

// Alarm is something about the sending of mail that staff must look at.
type Alarm struct {
	Kind  string    `json:"kind"`
	Count int64     `json:"count"`
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	Words string    `json:"words"` // the server's last ones, or ours
}

// Help says what an alarm means and what to do about it.
func (a Alarm) Help() string {
	switch a.Kind {
	case AlarmPolicy:
		return "servers refuse our mail for what we are: check SPF, DKIM, DMARC and the name of this machine's address"
	case AlarmWaiting:
		return "letters wait for their first attempt: does kartotek serve run, and can it reach the mail servers?"
	}
	return ""
}

// MailDay counts what became of letters on one day, UTC.
type MailDay struct {
	Day       time.Time `json:"day"`
	Delivered int64     `json:"delivered"`
	Deferred  int64     `json:"deferred"` // attempts
	Refused   int64     `json:"refused"`
	Returned  int64     `json:"returned"` // handed over, and came back later
}

// OutboxStats is how the sending of mail stands, out of maintained counters:
// what it costs doesn't depend on how many letters there are.
type OutboxStats struct {
	At       time.Time  `json:"at"`
	Due      int64      `json:"due"`
	Sending  int64      `json:"sending"`
	Deferred int64      `json:"deferred"`
	Held     int64      `json:"held"`
	Oldest   *time.Time `json:"oldest_due"` // of those that wait for their first attempt
	Days     []MailDay  `json:"days"`       // seven, oldest first; the last is today
	Alarms   []Alarm    `json:"alarms"`
}

// Today is the last day's numbers.
func (o OutboxStats) Today() MailDay {
	if len(o.Days) == 0 {
		return MailDay{}
	}
	return o.Days[len(o.Days)-1]
}

// OutboxStats reads how the sending of mail stands.
func (s *Service) OutboxStats(ctx context.Context, a Actor) (OutboxStats, error) {
	if err := s.allow(ctx, a, doOutbox); err != nil {
		return OutboxStats{}, err
	}
	return s.outboxStats(ctx)
}

func (s *Service) outboxStats(ctx context.Context) (OutboxStats, error) {
	now := s.now()
	o := OutboxStats{At: now.UTC().Truncate(time.Second), Alarms: []Alarm{}}
	c, err := s.store.Counters(ctx)
	if err != nil {
		return o, err
	}
	o.Due, o.Sending, o.Deferred, o.Held = c.Letters["due"], c.Letters["sending"], c.Letters["deferred"], c.Letters["held"]
	today := store.DayOf(now)
	h, err := s.store.History(ctx, today-6, today)
	if err != nil {
		return o, err
	}
	for d := today - 6; d <= today; d++ {
		o.Days = append(o.Days, MailDay{
			Day: d.Start(), Delivered: h.On(store.CountDelivered, d), Deferred: h.On(store.CountDeferred, d), Refused: h.On(store.CountRefused, d), Returned: h.On(store.CountReturned, d),
		})
	}
	oldest, err := s.store.OldestDue(ctx)
	if err != nil {
		return o, err
	}
	alarms, err := s.store.Alarms(ctx)
	for _, x := range alarms {
		o.Alarms = append(o.Alarms, Alarm{Kind: x.Kind, Count: x.N, Since: seconds(x.FirstAt), Last: seconds(x.LastAt), Words: x.Words})
	}
	if oldest != 0 {
		at := seconds(oldest)
		o.Oldest = &at
		if now.Sub(at) > tooLong {
			o.Alarms = append(o.Alarms, Alarm{Kind: AlarmWaiting, Count: o.Due, Since: at, Last: o.At, Words: "the oldest has waited since " + at.Format("2006-01-02 15:04 UTC")})
		}
	}
	return o, err
}

// MailTotals are numbers of the sending of mail that name nobody, for a
// monitoring system: it asks without a role.
type MailTotals struct {
	Letters   map[string]int64 // due, sending, deferred, held
	Verdicts  map[string]int64 // delivered, deferred (attempts), refused, returned, since the store was made
	Alarms    map[string]int64
	OldestDue time.Duration // how long the oldest has waited for its first attempt
}

// MailTotals reads them, out of maintained counters.
func (s *Service) MailTotals(ctx context.Context) (MailTotals, error) {
	o, err := s.outboxStats(ctx)
	if err != nil {
		return MailTotals{}, err
	}
	today := store.DayOf(s.now())
	h, err := s.store.History(ctx, today, today)
	if err != nil {
		return MailTotals{}, err
	}
	m := MailTotals{
		Letters: map[string]int64{"due": o.Due, "sending": o.Sending, "deferred": o.Deferred, "held": o.Held},
		Verdicts: map[string]int64{
			"delivered": h.At(store.CountDelivered, today), "deferred": h.At(store.CountDeferred, today),
			"refused": h.At(store.CountRefused, today), "returned": h.At(store.CountReturned, today),
		},
		Alarms: map[string]int64{AlarmPolicy: 0, AlarmWaiting: 0},
	}
	for _, a := range o.Alarms {
		m.Alarms[a.Kind] = a.Count
	}
	if o.Oldest != nil {
		m.OldestDue = max(0, s.now().Sub(*o.Oldest))
	}
	return m, nil
}

// ClearAlarms removes the alarms that were raised until a time: staff have seen
// them. Those that are still true come again.
func (s *Service) ClearAlarms(ctx context.Context, a Actor, upTo time.Time) (n int64, err error) {
	defer func() { err = s.trace(ctx, a, doLetters, 0, err) }()
	if err := s.allow(ctx, a, doLetters); err != nil {
		return 0, err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if n, err = tx.ClearAlarms(ctx, store.At(upTo)); err != nil || n == 0 {
			return err
		}
		return audit(ctx, tx, a, store.At(s.now()), "clear alarms", 0, fmt.Sprintf("%d", n))
	})
	return n, err
}
