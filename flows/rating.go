package flows

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"kartotek/store"
)

// The rule of the MailRating, as docs/rating.md tells it: every event gives
// points, which halve every eight weeks, and the sum's size is the rating.
const (
	ratingHalves  = 8 * week
	ratingNewFor  = 4 * week  // how long a new contact's points keep it average
	ratingDormant = 26 * week // without any event

	week = 7 * 24 * time.Hour
)

const (
	openPoints   = 1
	updatePoints = 2
	clickPoints  = 3
)

// ratingBands are the fewest points of each rating, best first, and those that
// a card starts with to which an import gives it: average is for everybody else.
var ratingBands = []struct {
	rating store.Rating
	least  float64
	start  float64
}{
	{store.VIP, 16, 24},
	{store.High, 8, 12},
	{store.Average, 2, 2 * math.Exp2(float64(ratingNewFor)/float64(ratingHalves))},
	{store.Low, 0, 1},
}

// almost is what a sum of points may lack: its last bits depend on the order
// of its parts.
const almost = 1e-6

// left is the part of some points that is left after a time.
func left(after store.Micros) float64 {
	return math.Exp2(-float64(after) / float64(micros(ratingHalves)))
}

func micros(d time.Duration) store.Micros { return store.Micros(d.Microseconds()) }

// points are those that a card has at a time, to the hundredth.
func points(c *store.Contact, now store.Micros) float64 {
	return math.Round(100*c.Score*left(max(now-c.ScoredAt, 0))) / 100
}

// startRating gives a new card its points: those of the rating that it has.
// active is when an import says that the contact was last active, or 0.
func startRating(c *store.Contact, active, now store.Micros) {
	c.Score, c.ScoredAt = 0, 0
	for _, b := range ratingBands {
		if c.Rating == b.rating {
			c.Score, c.ScoredAt = b.start, now
		}
	}
	if active != 0 && now-active >= micros(ratingDormant) {
		c.ScoredAt = min(c.ScoredAt, active)
	}
	rate(c, now)
}

// score adds an event's points. Events may come in any order.
func score(c *store.Contact, points float64, at store.Micros) {
	if at < c.ScoredAt {
		c.Score += points * left(c.ScoredAt-at)
		return
	}
	c.Score, c.ScoredAt = c.Score*left(at-c.ScoredAt)+points, at
}

// rate sets the rating from the points, and when it next changes by time alone.
func rate(c *store.Contact, now store.Micros) {
	end := c.ScoredAt + micros(ratingDormant)
	c.Rating, c.RateAt = store.Dormant, 0
	if c.ScoredAt == 0 || now >= end {
		return
	}
	has := c.Score * left(max(now-c.ScoredAt, 0))
	for _, b := range ratingBands {
		if has < b.least-almost {
			continue
		}
		c.Rating, c.RateAt = b.rating, end
		if b.least > 0 {
			lasts := math.Log2(c.Score/(b.least-almost)) * float64(micros(ratingHalves))
			c.RateAt = min(end, c.ScoredAt+store.Micros(lasts)+1)
		}
		c.RateAt = max(c.RateAt, now+micros(time.Minute)) // a rounded time must not come due again at once
		return
	}
}

// The clock re-rates so many cards in one transaction, and so many of those
// in one go: after a large import a whole store comes due at once.
const (
	rateChunk  = 500
	rateChunks = 100
)

// rerate rates anew whom time alone has changed. A frozen card keeps its
// rating: working it out would be using the data (GDPR art. 18).
func (s *Service) rerate(ctx context.Context) error {
	for range rateChunks {
		now := store.At(s.now())
		ids, err := s.store.RatingsDue(ctx, now, rateChunk)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := s.store.InTx(ctx, func(tx *store.Tx) error { return rerateChunk(ctx, tx, ids, now) }); err != nil {
			return fmt.Errorf("rating anew: %w", err)
		}
		if len(ids) < rateChunk {
			return nil
		}
	}
	return nil
}

func rerateChunk(ctx context.Context, tx *store.Tx, ids []int64, now store.Micros) error {
	contacts, err := tx.ContactsOf(ctx, ids, false)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c := contacts[id]
		switch {
		case c == nil || c.RateAt == 0 || c.RateAt > now: // somebody was faster
			continue
		case c.Frozen:
			c.RateAt = now + micros(24*time.Hour)
		default:
			if rate(c, now); c.Rating == store.Dormant { // its weeks are too old to be shown
				if err := tx.DropActivity(ctx, id); err != nil {
					return err
				}
			}
		}
		if err := tx.SaveBehaviour(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// shownWeeks is how many weeks of behaviour a card keeps, the present one included.
const shownWeeks = 26

// Week is what a contact did with their mail in one week.
type Week struct {
	Start  time.Time `json:"start"` // a Monday, 00:00 UTC
	Opens  int64     `json:"opens"`
	Clicks int64     `json:"clicks"`
}

// weeks reads a card's last 26 weeks, oldest first, those without anything
// included.
func (s *Service) weeks(ctx context.Context, id int64) ([]Week, error) {
	kept, err := s.store.WeeksOf(ctx, id)
	if err != nil {
		return nil, err
	}
	last := store.WeekOf(s.now())
	out := make([]Week, shownWeeks)
	for i := range out {
		out[i].Start = (last - shownWeeks + 1 + store.Week(i)).Start()
	}
	for _, w := range kept {
		if i := int(w.Week - last + shownWeeks - 1); i >= 0 && i < shownWeeks {
			out[i].Opens, out[i].Clicks = w.Opens, w.Clicks
		}
	}
	return out, nil
}

// explainedWeeks is what ExplainRating looks back on.
const explainedWeeks = 8

// ExplainRating says in a sentence or two why a card has its rating, and what
// becomes of it without anything new; "" for a tombstone, which has none.
func ExplainRating(d Details, now time.Time) string {
	if d.Rating == nil || d.LastActivity == nil {
		return ""
	}
	var opens, clicks int64
	for _, w := range d.Weeks[max(0, len(d.Weeks)-explainedWeeks):] {
		opens, clicks = opens+w.Opens, clicks+w.Clicks
	}
	var b strings.Builder
	b.WriteString(*d.Rating + ": ")
	switch {
	case *d.Rating == store.Dormant.String():
		fmt.Fprintf(&b, "no open, click or update for %d weeks or more", int(ratingDormant/week))
	case opens+clicks > 0:
		fmt.Fprintf(&b, "%s and %s in the last %d weeks", number(opens, "open"), number(clicks, "click"), explainedWeeks)
	default:
		fmt.Fprintf(&b, "no open and no click in the last %d weeks", explainedWeeks)
	}
	fmt.Fprintf(&b, ", last seen %s.", ago(now.Sub(*d.LastActivity)))
	if d.broughtRating() {
		b.WriteString(" An import told this rating; events since then count on top.")
	}
	switch {
	case d.Frozen:
		b.WriteString(" The card is frozen, and so is its rating.")
	case d.RatingUntil != nil && d.RatingUntil.After(now):
		fmt.Fprintf(&b, " Without anything new it falls on %s.", d.RatingUntil.Format("2 January 2006"))
	}
	return b.String()
}

// broughtRating tells whether a card has a rating that its own events don't
// account for, even had they all come just now: an import told it.
func (d Details) broughtRating() bool {
	events := ratingBands[2].start + updatePoints*float64(d.Updates)
	for _, w := range d.Weeks {
		events += openPoints*float64(w.Opens) + clickPoints*float64(w.Clicks)
	}
	for _, band := range ratingBands {
		if band.rating.String() == *d.Rating {
			return events < band.least
		}
	}
	return false
}

func number(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// ago tells a time that went by in whole hours, days, weeks or years.
func ago(d time.Duration) string {
	days := int64(d / (24 * time.Hour))
	switch {
	case d < time.Hour:
		return "within the hour"
	case days < 2:
		return number(int64(d/time.Hour), "hour") + " ago"
	case days < 14:
		return number(days, "day") + " ago"
	case days < 2*365:
		return number(days/7, "week") + " ago"
	}
	return number(days/365, "year") + " ago"
}
