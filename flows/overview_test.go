package flows

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kartotek/mta"
	"kartotek/store"
	"kartotek/store/storetest"
)

// numbers are what a recount of the whole store says.
type numbers struct {
	by         map[Permission]int64
	bySource   map[string]int64
	subscribed map[string]int64
	acts       map[string]int64 // since the beginning
}

// round is a random life of a few contacts, with what it should have counted.
type round struct {
	*desk
	rt       *rapid.T
	acts     map[string]int64
	evenings map[store.Day]numbers
	now      numbers
	events   map[int64][]event // counted, by card
	weeks    map[store.Week][2]int64
	log      []string
	made     map[int64]time.Time // when each card was first seen
}

var roundAddresses = []string{"a@example.dk", "b@example.dk", "c@example.dk"}

// recount walks through everything.
func (r *round) recount() numbers {
	ctx := r.t.Context()
	n := numbers{by: map[Permission]int64{}, bySource: map[string]int64{}, subscribed: map[string]int64{"News": 0, "Shop": 0}, acts: map[string]int64{}}
	for id := int64(1); id < r.next("contacts"); id++ {
		c, err := r.store.Contact(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		r.must(err)
		if _, seen := r.made[id]; !seen {
			r.made[id] = r.time
		}
		n.by[c.Permission]++
		if c.Source != "" {
			n.bySource[c.Source]++
		}
		lists, err := r.store.Memberships(ctx, id)
		r.must(err)
		for _, m := range lists[id] {
			if m.Status == store.Subscribed {
				n.subscribed[m.List]++
			}
		}
	}
	r.acts["asked"] = r.next("letters") - 1 + r.acts["tokens"]
	r.acts["erased"] = n.by[Deleted]
	for name, v := range r.acts {
		n.acts[name] = v
	}
	return n
}

// next is the next id of a sequence.
func (r *round) next(sequence string) (id int64) {
	r.must(r.store.InTx(r.t.Context(), func(tx *store.Tx) (err error) {
		id, err = tx.NextIDs(r.t.Context(), sequence, 0)
		return err
	}))
	return id
}

// later lets time go by, and keeps what every evening stood at.
func (r *round) later(by time.Duration) {
	for d := store.DayOf(r.time); d < store.DayOf(r.time.Add(by)); d++ {
		r.evenings[d] = r.now
	}
	r.pass(by)
}

func (r *round) step() {
	ctx := r.t.Context()
	address := rapid.SampledFrom(roundAddresses).Draw(r.rt, "address")
	card := r.newest(address)
	act := rapid.SampledFrom([]string{"sign up", "confirm", "confirm", "unsubscribe", "erase", "resubscribe", "import", "activity", "activity", "send", "tick"}).Draw(r.rt, "act")
	r.log = append(r.log, fmt.Sprintf("%s %s (%s)", act, address, card.Permission))
	var refusal *Refusal
	var err error
	switch act {
	case "sign up":
		err = r.SignUp(ctx, SignUp{Slug: rapid.SampledFrom([]string{"news", "shop"}).Draw(r.rt, "list"), Address: address, Agreed: true, Client: click})
	case "confirm":
		r.confirm(card)
	case "unsubscribe":
		_, err = r.Unsubscribe(ctx, anna, card.SubscriberID, "")
	case "erase":
		_, err = r.Erase(ctx, anna, address, "asked for it")
		delete(r.events, card.SubscriberID)
	case "resubscribe":
		_, err = r.Resubscribe(ctx, anna, Resubscription{Address: address, List: "News", Asked: "called on Monday"})
	case "import":
		r.importOne(address)
	case "activity":
		r.activity(address, card)
	case "send":
		r.send()
	case "tick":
		r.must(r.Tick(ctx))
	}
	if err != nil && !errors.As(err, &refusal) && !errors.Is(err, ErrNotFound) {
		r.must(err)
	}
}

// confirm clicks a link to the card as it stands, when there is one.
func (r *round) confirm(card Card) {
	if card.SubscriberID == 0 || card.Permission == Deleted && card.WaitingUntil == nil {
		return
	}
	c, err := r.store.Contact(r.t.Context(), card.SubscriberID)
	r.must(err)
	var secret string
	if card.Permission == Deleted {
		rows, err := r.store.LettersIn(r.t.Context(), store.LetterStates("due"), 0, 0, 1)
		r.must(err)
		if len(rows) == 0 || rows[0].ID != r.next("letters")-1 {
			return // the newest letter was sent, and its body is gone
		}
		secret = r.link("confirm") // of the newest letter, which may be somebody else's
		if page, err := r.LookConfirm(r.t.Context(), secret); err != nil || page.State != PageOpen || page.Purpose != "resubscribe" {
			r.must(err)
			return
		}
		t, err := r.store.Token(r.t.Context(), secret, store.ForConfirm)
		r.must(err)
		c, err = r.store.Contact(r.t.Context(), t.SubscriberID)
		r.must(err)
	} else {
		secret = r.token(card.SubscriberID)
		r.acts["tokens"]++
	}
	cards := r.next("contacts")
	page, err := r.Confirm(r.t.Context(), secret, click)
	r.must(err)
	if page.State == PageDone {
		r.acts["given"]++
		if r.next("contacts") > cards || c.Permission != Deleted && c.WithdrawnAt != 0 {
			r.acts["resubscribed"]++
		}
	}
}

// activity takes a file with a few events of one person, in any order.
func (r *round) activity(address string, card Card) {
	var lines []string
	var events []event
	for range rapid.IntRange(1, 4).Draw(r.rt, "events") {
		at := r.time.Add(-time.Duration(rapid.IntRange(1, 3000).Draw(r.rt, "hours")) * time.Hour)
		kind := rapid.SampledFrom([]string{"open", "click"}).Draw(r.rt, "kind")
		lines = append(lines, fmt.Sprintf("%s,%s,%s,%d", address, kind, stamp(at), len(r.log)))
		events = append(events, event{map[string]float64{"open": openPoints, "click": clickPoints}[kind], store.At(at.Truncate(time.Second))})
	}
	res := r.takeActivity(r.activityFile("email,kind,at,campaign", lines...))
	if res.Opens+res.Clicks == 0 {
		return
	}
	r.events[card.SubscriberID] = append(r.events[card.SubscriberID], events...)
	for _, e := range events {
		w := r.weeks[store.WeekOf(e.at.Time())]
		if e.points == openPoints {
			w[0]++
		} else {
			w[1]++
		}
		r.weeks[store.WeekOf(e.at.Time())] = w
	}
}

// send delivers, defers or refuses what is due.
func (r *round) send() {
	letters, err := r.Spool().Claim(r.t.Context(), "me", 3, 0, time.Minute)
	r.must(err)
	for _, l := range letters {
		v := mta.Verdict{At: r.time}
		switch rapid.SampledFrom([]string{"delivered", "deferred", "refused"}).Draw(r.rt, "verdict") {
		case "delivered":
			v.State = mta.Delivered
			r.acts["delivered"]++
		case "deferred":
			v.State, v.Retry = mta.Deferred, r.time.Add(time.Hour)
			r.acts["deferred"]++
		default:
			v.State = mta.Refused
			r.acts["refused"]++
		}
		r.must(r.Spool().Mark(r.t.Context(), l, v))
	}
}

// TestOverviewEqualsARecount: after any sequence of acts, over days on which
// something or nothing happens, the counters, every evening of them, the
// week's totals and each card's points are what a recount of everything says.
func TestOverviewEqualsARecount(t *testing.T) {
	storetest.Embedded(t) // the recount goes by ids, which have gaps elsewhere
	rapid.Check(t, func(rt *rapid.T) {
		r := &round{desk: newDesk(t), rt: rt, acts: map[string]int64{}, evenings: map[store.Day]numbers{}, events: map[int64][]event{}, weeks: map[store.Week][2]int64{}, made: map[int64]time.Time{}}
		defer r.store.Close()
		defer func() {
			if t.Failed() {
				t.Log(r.log)
			}
		}()
		r.now = r.recount()
		r.evenings[store.DayOf(r.time)-1] = r.now
		first := store.DayOf(r.time)
		for range rapid.IntRange(1, 14).Draw(rt, "acts") {
			r.later(time.Duration(rapid.IntRange(0, 72).Draw(rt, "later")) * time.Hour)
			r.step()
			r.now = r.recount()
		}
		r.later(time.Duration(rapid.IntRange(0, 72).Draw(rt, "last")) * time.Hour)
		today := store.DayOf(r.time)
		r.evenings[today] = r.now
		o, err := r.Overview(t.Context(), anna)
		r.must(err)
		r.check()
		r.checkOutbox()
		r.checkDays(o, first)
		r.checkActivity(o)
	})
}

func (r *round) checkDays(o Overview, first store.Day) {
	positive := func(m map[Permission]int64) map[Permission]int64 {
		out := map[Permission]int64{}
		for p, n := range m {
			if n != 0 {
				out[p] = n
			}
		}
		return out
	}
	if cmp.Diff(positive(r.now.by), positive(o.ByPermission)) != "" || cmp.Diff(r.now.bySource, o.BySource) != "" {
		r.rt.Errorf("now %v %v, recounted %v %v", o.ByPermission, o.BySource, r.now.by, r.now.bySource)
	}
	for i, got := range o.Days {
		day := store.DayOf(o.At) - overviewDays + 1 + store.Day(i)
		if !got.Day.Equal(day.Start()) {
			r.rt.Fatalf("day %d is %s", i, got.Day)
		}
		if day < first {
			continue
		}
		want, before := r.evenings[day], r.evenings[day-1]
		on := func(name string) int64 { return want.acts[name] - before.acts[name] }
		wanted := DayNumbers{
			Day: got.Day, ByPermission: positive(want.by), Subscribed: want.subscribed, Asked: on("asked"), Given: on("given"), Erased: on("erased"),
			Resubscribed: on("resubscribed"), Delivered: on("delivered"), Deferred: on("deferred"), Refused: on("refused"),
		}
		got.ByPermission = positive(got.ByPermission)
		if diff := cmp.Diff(wanted, got); diff != "" {
			r.rt.Errorf("%s (-recounted +shown)\n%s", got.Day.Format(time.DateOnly), diff)
		}
	}
}

func (r *round) checkActivity(o Overview) {
	for _, w := range o.Weeks {
		if want := r.weeks[store.WeekOf(w.Start)]; want != [2]int64{w.Opens, w.Clicks} {
			r.rt.Errorf("the week of %s has %d opens and %d clicks, want %v", w.Start.Format(time.DateOnly), w.Opens, w.Clicks, want)
		}
	}
	ids := make([]int64, 0, len(r.events))
	for id := range r.events {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c, err := r.store.Contact(r.t.Context(), id)
		if errors.Is(err, ErrNotFound) { // forgotten
			continue
		}
		r.must(err)
		seed := &store.Contact{Rating: store.Average}
		startRating(seed, 0, store.At(r.made[id]))
		for _, e := range r.events[id] {
			score(seed, e.points, e.at)
		}
		if now := store.At(r.time); math.Abs(points(c, now)-points(seed, now)) > 0.011 {
			r.rt.Errorf("card %d has %v points, from scratch %v", id, points(c, now), points(seed, now))
		}
		if len(r.events[id]) != int(c.Opens+c.Clicks) {
			r.rt.Errorf("card %d has %d opens and %d clicks of %d events", id, c.Opens, c.Clicks, len(r.events[id]))
		}
	}
}

func TestOverviewOfAnEmptyStore(t *testing.T) {
	d := deskAt(t, t.TempDir())
	o, err := d.Overview(t.Context(), anna)
	d.must(err)
	if _, ok := o.Conversion(30); ok || len(o.Days) != overviewDays || len(o.Weeks) != shownWeeks || o.Forgotten.Day != 0 || o.AndMore {
		t.Errorf("%+v", o)
	}
	if _, err := d.Overview(t.Context(), Actor{Name: "x", Role: Auditor}); err == nil {
		t.Error("an auditor sees the overview")
	}
}

func TestOverviewLooksAhead(t *testing.T) {
	d := newDesk(t)
	d.bring("confirmed@example.dk", Confirmed) // its link to unsubscribe ends some day too
	d.bring(marie, Pending)
	for _, step := range []struct {
		pass time.Duration
		want int64
	}{{0, 0}, {6*24*time.Hour - time.Minute, 0}, {2 * time.Minute, 1}, {24 * time.Hour, 0}} {
		d.pass(step.pass)
		o, err := d.Overview(t.Context(), anna)
		if d.must(err); o.Forgotten.Day != step.want || o.AndMore {
			t.Errorf("after %s: %d (and more: %v), want %d", step.pass, o.Forgotten.Day, o.AndMore, step.want)
		}
	}
	if share, ok := d.overview().Conversion(30); !ok || share != 0.5 {
		t.Errorf("conversion %v, %v", share, ok)
	}
	if _, ok := d.overview().Conversion(1); ok {
		t.Error("a conversion of a day on which nothing was asked")
	}
}

func (d *desk) overview() Overview {
	d.t.Helper()
	o, err := d.Overview(d.t.Context(), anna)
	d.must(err)
	return o
}

// TestEvidenceThatEnds counts the erased whose evidence goes soon by the
// history of the counter alone.
func TestEvidenceThatEnds(t *testing.T) {
	d := newDesk(t)
	d.bring("first@example.dk", Deleted)
	d.pass(10 * 24 * time.Hour)
	for _, address := range []string{"second@example.dk", "third@example.dk"} {
		d.bring(address, Deleted)
	}
	d.must(d.SetRetention(t.Context(), anna, Retention{EvidenceKept: "30d"}))
	for _, step := range []struct {
		pass time.Duration
		want Ends
	}{
		{0, Ends{0, 0, 3}},
		{15 * 24 * time.Hour, Ends{0, 1, 3}},
		{10 * 24 * time.Hour, Ends{0, 2, 2}},
		{10 * 24 * time.Hour, Ends{}},
	} {
		d.pass(step.pass)
		if got := d.overview().Evidence; got != step.want {
			t.Errorf("%s on: %+v, want %+v", step.pass, got, step.want)
		}
	}
}

// TestRequestsDue: a request has a calendar month, and is late after it.
func TestRequestsDue(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Confirmed)
	_, err := d.AddRequest(t.Context(), anna, NewRequest{Kind: KindAccess, SubscriberID: d.newest(marie).SubscriberID, Note: "by letter"})
	d.must(err)
	for _, step := range []struct {
		pass time.Duration
		want DueRequests
	}{
		{0, DueRequests{Open: 1}},
		{22 * 24 * time.Hour, DueRequests{Open: 1, Week: 1}},
		{10 * 24 * time.Hour, DueRequests{Open: 1, Week: 1, Late: 1}},
	} {
		d.pass(step.pass)
		got := d.overview().Requests
		if got.Next == nil {
			t.Fatal("none is due")
		}
		if got.Next = nil; got != step.want {
			t.Errorf("%s on: %+v, want %+v", step.pass, got, step.want)
		}
	}
}
