package flows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/store"
)

// activityFile writes a file of activity: lines under the given header.
func (d *desk) activityFile(header string, lines ...string) string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "activity.csv")
	d.must(os.WriteFile(path, []byte(header+"\n"+strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

func (d *desk) takeActivity(path string) ActivityResult {
	d.t.Helper()
	res, err := d.ImportActivity(d.t.Context(), anna, path, ActivityOptions{}, nil)
	d.must(err)
	return res
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func TestActivityIsCountedOnTheCard(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	d.pass(20 * week)
	days := func(n int) string { return stamp(d.time.Add(-time.Duration(n) * 24 * time.Hour)) }
	header := "address,SubscriberID,kind,at,city,country,list"
	res := d.takeActivity(d.activityFile(header,
		marie+",,open,"+days(1)+",\"Aarhus\x1b[2J\",Denmark,News",
		","+strconv.FormatInt(id, 10)+",click,"+days(2)+",Odense,Denmark,news",
		marie+",,open,"+days(9)+",,,",
		marie+",,update,"+days(3)+",,,",
		marie+",,open,"+days(300)+",Skagen,Denmark,", // before the card, and the weeks, began
	))
	if diff := cmp.Diff(ActivityResult{Read: 5, Opens: 3, Clicks: 1, Updates: 1, Report: res.Report}, res); diff != "" {
		t.Errorf("result (-want +got)\n%s", diff)
	}
	card, err := d.Open(ctx, anna, id, nil)
	d.must(err)
	if card.Opens != 3 || card.Clicks != 1 || card.Updates != 1 || card.Position != "Aarhus[2J, Denmark" || !card.LastActivity.Equal(d.time.Add(-24*time.Hour)) {
		t.Errorf("the card: %+v", card)
	}
	var opens, clicks int64
	for i, w := range card.Weeks {
		if opens, clicks = opens+w.Opens, clicks+w.Clicks; i > 0 && w.Start.Sub(card.Weeks[i-1].Start) != week {
			t.Errorf("week %d starts at %s", i, w.Start)
		}
	}
	if last := card.Weeks[25].Start; len(card.Weeks) != 26 || last.Weekday() != time.Monday || d.time.Sub(last) > week || opens != 2 || clicks != 1 {
		t.Errorf("%d weeks up to %s, %d opens and %d clicks", len(card.Weeks), last, opens, clicks)
	}
	if got := ExplainRating(card, d.time); !strings.HasPrefix(got, "average: 2 opens and 1 click in the last 8 weeks, last seen 24 hours ago.") {
		t.Error(got)
	}
	page, err := d.Browse(ctx, anna, Page{Filter: Filter{List: "News"}})
	if d.must(err); len(page.Cards) != 1 || page.First.LastSeen != int64(store.At(d.time.Add(-24*time.Hour))) {
		t.Errorf("browsing a list: %+v", page)
	}
	d.check()
}

// TestPlaceOfActivity: a card shows where the person was seen last.
func TestPlaceOfActivity(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	d.pass(week)
	for _, step := range []struct{ ago, place, want string }{
		{"200h", "Aarhus,Denmark", "Aarhus, Denmark"}, // before the confirmation, but there is no other
		{"300h", "Odense,Denmark", "Aarhus, Denmark"},
		{"10h", "Malmö,Sverige", "Malmö, Sverige"},
		{"9h", ",", "Malmö, Sverige"},
		{"10h", "Lund,Sverige", "Malmö, Sverige"},
		{"8h", ",Norge", "Norge"},
	} {
		by, err := time.ParseDuration(step.ago)
		d.must(err)
		d.takeActivity(d.activityFile("email,kind,at,city,country", marie+",open,"+stamp(d.time.Add(-by))+","+step.place))
		card, err := d.Open(t.Context(), anna, id, nil)
		if d.must(err); card.Position != step.want {
			t.Errorf("seen %s ago at %s: the card says %q, want %q", step.ago, step.place, card.Position, step.want)
		}
	}
}

// TestActivityOfWhomNothingIsCounted: nobody is made a contact, and what an
// erased, frozen or unsubscribed person does is skipped.
func TestActivityOfWhomNothingIsCounted(t *testing.T) {
	d := newDesk(t)
	d.bring("erased@example.dk", Deleted)
	d.bring("gone@example.dk", Unsubscribed)
	d.bring("again@example.dk", withdrawnAgain)
	d.bring("frozen@example.dk", Confirmed)
	_, err := d.Freeze(t.Context(), anna, d.newest("frozen@example.dk").SubscriberID, "disputed")
	d.must(err)
	d.bring(marie, Confirmed)
	before, err := d.Counts(t.Context(), anna)
	d.must(err)
	at := stamp(d.time.Add(-time.Minute))
	res := d.takeActivity(d.activityFile("email,kind,at,list", "nobody@example.dk,open,"+at+",", "erased@example.dk,open,"+at+",", "gone@example.dk,open,"+at+",",
		"again@example.dk,click,"+at+",", "frozen@example.dk,open,"+at+",", marie+",open,"+at+",", marie+",bounce,"+at+",", marie+",open,,", ",open,"+at+",",
		"marie,open,"+at+",", marie+",open,"+at+",Nowhere", marie+",open,"+stamp(d.time.Add(time.Hour))+","))
	want := ActivityResult{Read: 12, Opens: 1, Unknown: 1, Erased: 1, Frozen: 1, Withdrawn: 2, Invalid: 6, Report: res.Report}
	if diff := cmp.Diff(want, res); diff != "" || res.Skipped() != 11 {
		t.Errorf("result (-want +got)\n%s", diff)
	}
	after, err := d.Counts(t.Context(), anna)
	if d.must(err); cmp.Diff(before, after) != "" {
		t.Errorf("counters: %+v, before %+v", after, before)
	}
	report, err := os.ReadFile(res.Report)
	if d.must(err); strings.Contains(string(report), "@") || strings.Count(string(report), "\n") != 12 || !strings.Contains(string(report), "\n12,invalid,no list is called that\n") {
		t.Errorf("report:\n%s", report)
	}
	d.check()
}

func TestActivityIsForSomeRolesOnly(t *testing.T) {
	d := newDesk(t)
	var refusal *Refusal
	if _, err := d.ImportActivity(t.Context(), Actor{Role: Support}, "x", ActivityOptions{}, nil); !errors.As(err, &refusal) {
		t.Errorf("%v", err)
	}
}

// TestInterruptedActivityCountsOnce stops an import in its middle, again and
// again: run to its end it has counted every line once, and is refused then.
func TestInterruptedActivityCountsOnce(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	d.pass(time.Hour)
	const lines = 5*activityChunk + 7
	all := make([]string, lines)
	for i := range all {
		all[i] = marie + ",open," + stamp(d.time.Add(-time.Duration(i)*time.Second))
	}
	path := d.activityFile("email,kind,at", all...)
	runs := 0
	for earlier := int64(0); ; runs++ {
		ctx, stop := context.WithCancel(t.Context())
		chunks := 0
		res, err := d.ImportActivity(ctx, anna, path, ActivityOptions{}, func(ImportProgress) {
			if chunks++; chunks == 2 {
				stop()
			}
		})
		stopped := ctx.Err() != nil
		stop()
		if res.Earlier != earlier {
			t.Errorf("went on behind line %d, want %d", res.Earlier, earlier)
		}
		if err == nil {
			break
		}
		if !stopped || !errors.Is(err, context.Canceled) || res.Stopped <= earlier || res.Opens != res.Stopped-1-max(earlier, 1) {
			t.Fatalf("%+v, %v", res, err)
		}
		earlier = res.Stopped - 1
	}
	card, err := d.Open(t.Context(), anna, d.newest(marie).SubscriberID, nil)
	if d.must(err); card.Opens != lines || runs == 0 {
		t.Errorf("%d opens after %d interruptions, want %d", card.Opens, runs, lines)
	}
	var refusal *Refusal
	if _, err := d.ImportActivity(t.Context(), anna, path, ActivityOptions{}, nil); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "counted before") {
		t.Errorf("run again: %v", err)
	}
}

// TestErasingLeavesNoActivity: the person's figures go, by erasing and by
// forgetting; the totals, which name nobody, stay.
func TestErasingLeavesNoActivity(t *testing.T) {
	for name, end := range map[string]func(*desk, string){
		"erased":    func(d *desk, a string) { _, err := d.Erase(d.t.Context(), anna, a, "asked for it"); d.must(err) },
		"forgotten": func(d *desk, _ string) { d.pass(ConfirmWithin + time.Hour); d.must(d.Tick(d.t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			state := Confirmed
			if name == "forgotten" {
				state = Pending
			}
			d.bring("other@example.dk", Confirmed)
			d.bring(marie, state)
			id, other := d.newest(marie).SubscriberID, d.newest("other@example.dk").SubscriberID
			at := stamp(d.time.Add(-time.Minute))
			d.takeActivity(d.activityFile("email,kind,at,city", marie+",open,"+at+",Aarhus", marie+",click,"+at+",", "other@example.dk,open,"+at+","))
			totals, err := d.store.Totals(t.Context(), 0)
			d.must(err)
			end(d, marie)
			if left, err := d.store.WeeksOf(t.Context(), id); err != nil || len(left) != 0 {
				t.Errorf("weeks left: %v, %v", left, err)
			}
			if kept, err := d.store.WeeksOf(t.Context(), other); err != nil || len(kept) != 1 {
				t.Errorf("somebody else's weeks: %v, %v", kept, err)
			}
			after, err := d.store.Totals(t.Context(), 0)
			if d.must(err); len(totals) != 1 || cmp.Diff(totals, after) != "" || after[0].Opens != 2 || after[0].Clicks != 1 {
				t.Errorf("totals %+v, before %+v", after, totals)
			}
			if c, err := d.store.Contact(t.Context(), id); err == nil && (c.Score != 0 || c.ScoredAt != 0 || c.RateAt != 0 || c.Opens != 0) {
				t.Errorf("the tombstone keeps behaviour: %+v", c)
			}
			d.check()
		})
	}
}

// TestOldWeeksGo: a card keeps no weeks that nobody is shown.
func TestOldWeeksGo(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	id := d.newest(marie).SubscriberID
	for i := range 40 {
		d.pass(week)
		d.takeActivity(d.activityFile("email,kind,at", fmt.Sprintf("%s,open,%s", marie, stamp(d.time.Add(-time.Minute)))))
		if kept, err := d.store.WeeksOf(t.Context(), id); err != nil || len(kept) > shownWeeks+trimWeeks {
			t.Fatalf("after %d weeks %d are kept, %v", i, len(kept), err)
		}
	}
	d.pass(ratingDormant)
	d.must(d.Tick(t.Context()))
	if kept, err := d.store.WeeksOf(t.Context(), id); err != nil || len(kept) != 0 || *d.newest(marie).Rating != "dormant" {
		t.Errorf("a dormant card keeps %d weeks, %v", len(kept), err)
	}
}

// TestSampleHasBehaviour: what is loaded to try things on fills every rating,
// the cards' charts and the overview's weeks, and loading it twice adds nothing.
func TestSampleHasBehaviour(t *testing.T) {
	d := deskAt(t, t.TempDir())
	d.time = time.Now()
	for range 2 {
		_, err := d.Sample(t.Context(), anna, 300, nil)
		d.must(err)
		d.must(d.Tick(t.Context()))
		ratings := map[string]int{}
		cards, err := d.Browse(t.Context(), anna, Page{Limit: 500})
		d.must(err)
		shown := 0
		for _, c := range cards.Cards {
			ratings[*c.Rating]++
			card, err := d.Open(t.Context(), anna, c.SubscriberID, nil)
			d.must(err)
			for _, w := range card.Weeks {
				shown += int(w.Opens + w.Clicks)
			}
		}
		var total int64
		for _, w := range d.overview().Weeks {
			total += w.Opens + w.Clicks
		}
		if len(ratings) != 5 || shown < 300 || total < int64(shown) || total > 2*int64(shown) {
			t.Errorf("ratings %v, %d opens and clicks on the cards, %d in all", ratings, shown, total)
		}
		d.check()
	}
}

// TestSampleLeavesOthersAlone: people whom somebody imports while samples are
// loaded stay on their lists, and a store that people are in takes none.
func TestSampleLeavesOthersAlone(t *testing.T) {
	d := deskAt(t, t.TempDir())
	d.time = time.Now()
	var people []string
	for i := range 30 {
		people = append(people, fmt.Sprintf("person%d@example.dk", i))
		d.importOne(people[i])
	}
	_, err := d.Sample(t.Context(), anna, 60, nil)
	d.must(err)
	for _, p := range people {
		if c := d.newest(p); c.Permission != Confirmed {
			t.Errorf("card %d is %s", c.SubscriberID, c.Permission)
		}
	}
	left, err := d.Browse(t.Context(), anna, Page{Filter: Filter{Permission: Unsubscribed}})
	if d.must(err); len(left.Cards) != 5 {
		t.Errorf("%d samples have unsubscribed, want 5", len(left.Cards))
	}
	var refusal *Refusal
	if _, err := d.Sample(t.Context(), anna, 60, nil); !errors.As(err, &refusal) {
		t.Errorf("samples among people: %v", err)
	}
}
