package flows

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kartotek/store"
)

var newYear = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

// rated is a card that was made on new year and did things every so often.
func rated(start store.Rating, every time.Duration, points float64, until time.Duration) *store.Contact {
	c := &store.Contact{Rating: start}
	startRating(c, 0, store.At(newYear))
	for at := every; every > 0 && at <= until; at += every {
		score(c, points, store.At(newYear.Add(at)))
	}
	rate(c, store.At(newYear.Add(until)))
	return c
}

// TestRatingRule holds the rule to the table of docs/rating.md.
func TestRatingRule(t *testing.T) {
	for name, c := range map[string]struct {
		got  *store.Contact
		want store.Rating
	}{
		"new":                                {rated(store.Average, 0, 0, 0), store.Average},
		"new, four weeks but an hour":        {rated(store.Average, 0, 0, 4*week-time.Hour), store.Average},
		"new, four weeks and an hour":        {rated(store.Average, 0, 0, 4*week+time.Hour), store.Low},
		"never did anything, 26 weeks":       {rated(store.Average, 0, 0, 26*week), store.Dormant},
		"opens and clicks a mail a week":     {rated(store.Average, week, openPoints+clickPoints, 52*week), store.VIP},
		"opens a mail a week":                {rated(store.Average, week, openPoints, 52*week), store.High},
		"opens and clicks every other week":  {rated(store.Average, 2*week, openPoints+clickPoints, 52*week), store.VIP},
		"opens a mail every other week":      {rated(store.Average, 2*week, openPoints, 52*week), store.Average},
		"opens a mail a month":               {rated(store.Average, 4*week, openPoints, 52*week), store.Average},
		"opens a mail every other month":     {rated(store.Average, 8*week, openPoints, 52*week), store.Low},
		"imported as VIP":                    {rated(store.VIP, 0, 0, 0), store.VIP},
		"imported as VIP, eight weeks later": {rated(store.VIP, 0, 0, 8*week), store.High},
		"imported as VIP, 26 weeks later":    {rated(store.VIP, 0, 0, 26*week), store.Dormant},
		"imported as high":                   {rated(store.High, 0, 0, 0), store.High},
		"imported as low":                    {rated(store.Low, 0, 0, 0), store.Low},
		"imported as dormant":                {rated(store.Dormant, 0, 0, 0), store.Dormant},
		"imported as dormant, then a click":  {rated(store.Dormant, week, clickPoints, week), store.Average},
	} {
		if c.got.Rating != c.want {
			t.Errorf("%s: %s with %.2f points, want %s", name, c.got.Rating, c.got.Score, c.want)
		}
	}
}

func TestImportedLastActivityMakesDormant(t *testing.T) {
	now := store.At(newYear)
	for weeks, want := range map[time.Duration]store.Rating{25: store.VIP, 27: store.Dormant} {
		c := &store.Contact{Rating: store.VIP}
		if startRating(c, now-micros(weeks*week), now); c.Rating != want {
			t.Errorf("last active %d weeks ago: %s, want %s", weeks, c.Rating, want)
		}
	}
}

type event struct {
	points float64
	at     store.Micros
}

func drawEvents(rt *rapid.T) []event {
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) event {
		return event{
			rapid.SampledFrom([]float64{openPoints, clickPoints, updatePoints}).Draw(rt, "points"),
			store.At(newYear.Add(time.Duration(rapid.Int64Range(-int64(60*week), int64(60*week)).Draw(rt, "at")))),
		}
	}), 0, 40).Draw(rt, "events")
}

// TestRatingIncrementallyEqualsFromScratch: whatever order events come in, and
// however often a card is rated in between, points and rating are those of the
// sum over all events.
func TestRatingIncrementallyEqualsFromScratch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := rapid.SampledFrom([]store.Rating{store.Dormant, store.Low, store.Average, store.High, store.VIP}).Draw(rt, "start")
		events := drawEvents(rt)
		c := &store.Contact{Rating: start}
		startRating(c, 0, store.At(newYear))
		first := *c
		last := c.ScoredAt
		for _, e := range events {
			score(c, e.points, e.at)
			if rapid.Bool().Draw(rt, "rate") {
				rate(c, c.ScoredAt+micros(time.Duration(rapid.IntRange(0, 2000).Draw(rt, "hours"))*time.Hour))
			}
			last = max(last, e.at)
		}
		now := max(last, store.At(newYear)) + micros(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "later"))*time.Hour)
		rate(c, now)

		sum := func(at store.Micros) float64 {
			total := 0.0
			if first.ScoredAt != 0 {
				total = first.Score * math.Pow(2, -float64(at-first.ScoredAt)/float64(8*7*24*3600e6))
			}
			for _, e := range events {
				total += e.points * math.Pow(2, -float64(at-e.at)/float64(8*7*24*3600e6))
			}
			return total
		}
		if want, got := sum(now), c.Score*left(now-c.ScoredAt); math.Abs(want-got) > 1e-9*max(1, want) {
			rt.Errorf("%v points, from scratch %v", got, want)
		}
		want := store.Dormant
		if last != 0 && now-last < micros(26*week) {
			switch points := sum(now) + almost; {
			case points >= 16:
				want = store.VIP
			case points >= 8:
				want = store.High
			case points >= 2:
				want = store.Average
			default:
				want = store.Low
			}
		}
		if c.Rating != want {
			rt.Errorf("rated %s, from scratch %s", c.Rating, want)
		}
		checkRateAt(rt, c, now)
	})
}

// checkRateAt: until RateAt the rating stays what it is, and then it is worse.
func checkRateAt(rt *rapid.T, c *store.Contact, now store.Micros) {
	if c.RateAt == 0 {
		if c.Rating != store.Dormant {
			rt.Errorf("a %s card is never rated again", c.Rating)
		}
		return
	}
	if c.RateAt <= now {
		rt.Errorf("due again at once")
	}
	before, then := *c, *c
	if rate(&before, max(now, c.RateAt-micros(time.Minute))); before.Rating != c.Rating && c.RateAt-now > micros(time.Minute) {
		rt.Errorf("%s falls to %s before its time", c.Rating, before.Rating)
	}
	if rate(&then, c.RateAt+micros(time.Minute)); then.Rating >= c.Rating {
		rt.Errorf("%s is %s after it fell", c.Rating, then.Rating)
	}
}

func TestClockRatesAnew(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	d.bring("frozen@example.dk", Confirmed)
	if _, err := d.Freeze(t.Context(), anna, d.newest("frozen@example.dk").SubscriberID, "disputed"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		pass time.Duration
		want string
	}{{0, "average"}, {4 * week, "low"}, {21 * week, "low"}, {2 * week, "dormant"}, {52 * week, "dormant"}} {
		d.pass(step.pass)
		d.must(d.Tick(t.Context()))
		if got := *d.newest(marie).Rating; got != step.want {
			t.Errorf("after %s: %s, want %s", step.pass, got, step.want)
		}
		if got := *d.newest("frozen@example.dk").Rating; got != "average" {
			t.Errorf("a frozen card is rated anew: %s", got)
		}
	}
	d.check()
}

func TestExplainRating(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	until := time.Date(2026, 6, 20, 0, 0, 0, 0, time.UTC)
	card := func(rating string, seen time.Duration, opens, clicks int64) Details {
		at := now.Add(-seen)
		d := Details{Card: Card{Rating: &rating, LastActivity: &at}, Weeks: make([]Week, 26), RatingUntil: &until}
		d.Weeks[10] = Week{Opens: 100, Clicks: 100} // too long ago
		d.Weeks[18], d.Weeks[25] = Week{Clicks: clicks}, Week{Opens: opens}
		return d
	}
	dormant := card("dormant", 30*week, 0, 0)
	dormant.RatingUntil = nil
	frozen := card("low", 3*24*time.Hour, 1, 0)
	frozen.Frozen = true
	brought := card("VIP", time.Minute, 1, 0)
	brought.Weeks[10] = Week{}
	for want, d := range map[string]Details{
		"VIP: 1 open and 0 clicks in the last 8 weeks, last seen within the hour. An import told this rating; events since then count on top. Without anything new it falls on 20 June 2026.": brought,
		"VIP: 14 opens and 5 clicks in the last 8 weeks, last seen 2 days ago. Without anything new it falls on 20 June 2026.":                                                                card("VIP", 50*time.Hour, 14, 5),
		"average: 1 open and 0 clicks in the last 8 weeks, last seen 1 hour ago. Without anything new it falls on 20 June 2026.":                                                              card("average", time.Hour, 1, 0),
		"low: no open and no click in the last 8 weeks, last seen 12 weeks ago. Without anything new it falls on 20 June 2026.":                                                               card("low", 12*week, 0, 0),
		"dormant: no open, click or update for 26 weeks or more, last seen 30 weeks ago.":                                                                                                     dormant,
		"low: 1 open and 0 clicks in the last 8 weeks, last seen 3 days ago. The card is frozen, and so is its rating.":                                                                       frozen,
		"": {Card: Card{Permission: Deleted}},
	} {
		if got := ExplainRating(d, now); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
