package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"kartotek/flows"
	"kartotek/mta"
	"kartotek/store"
)

const (
	// clicksMeasured is how many people sign up while a backlog of so many letters is sent.
	clicksMeasured = 250
	backlogLetters = 100_000
	// realLetters is how many of a large outbox can be sent: no run gets to the others, which are copies of their rows.
	realLetters = 10_000
)

// backlog tells how long somebody who signs up waits for the first attempt while many letters wait, and what memory the
// sender takes with few and with very many.
func (b *bench) backlog(ctx context.Context) error {
	b.tell("signing up beside %d letters", backlogLetters)
	waits, err := b.clicks(ctx, backlogLetters)
	if err != nil {
		return err
	}
	for _, share := range []struct {
		words string
		at    float64
	}{{"worst", 1}, {"99 of 100 within", 0.99}} {
		took := waits.at(share.at)
		b.add(row{
			what: fmt.Sprintf("from a sign-up to the first attempt, %d letters waiting: %s of %d, median", backlogLetters, share.words, len(waits)),
			ours: short(took), baseline: short(waits.median()), target: "< 100 ms", verdict: verdict(took < 100*time.Millisecond),
		})
	}
	var peaks []int64
	for _, n := range []int{b.n / 100, b.n} {
		b.tell("sending with %d letters waiting", n)
		peak, err := b.sendingPeak(ctx, n)
		if err != nil {
			return err
		}
		peaks = append(peaks, peak)
	}
	ratio := float64(peaks[1]) / float64(peaks[0])
	b.add(row{
		what: fmt.Sprintf("peak memory of sending, %d letters waiting against %d", b.n, b.n/100), ours: megabytes(peaks[1]), baseline: megabytes(peaks[0]),
		ratio: fmt.Sprintf("%.2fx", ratio), target: "within 20 %", verdict: verdict(math.Abs(ratio-1) <= 0.2),
	})
	return nil
}

// noticed is a route that notes when the first attempts with urgent letters begin.
type noticed struct {
	mta.Route
	began chan time.Time
}

// Deliver notes the time and passes the letter on.
func (r *noticed) Deliver(ctx context.Context, l mta.Letter, mark func(mta.Verdict)) {
	if l.Urgent && l.Attempts == 1 {
		r.began <- time.Now()
	}
	r.Route.Deliver(ctx, l, mark)
}

// clicks signs people up, one after the other, while n letters are on their way.
func (b *bench) clicks(ctx context.Context, n int) (waits times, err error) {
	p, err := b.fresh(ctx, "clicks")
	if err != nil {
		return nil, err
	}
	s, desk, err := openStore(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(), b.drop(ctx, p)) }()
	list, err := desk.AddList(ctx, staff, importList)
	if err != nil {
		return nil, err
	}
	if err := putAll(ctx, s, nobody(n), mailWay{evidence: true}); err != nil {
		return nil, err
	}
	addr, end, err := startFarSink(0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	relay, err := mta.NewRelay("smtp://" + addr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, relay.Close()) }()
	route := &noticed{Route: relay, began: make(chan time.Time, clicksMeasured)}
	stop, sender := sending(desk, route)
	defer func() { err = errors.Join(err, stop()) }()
	desk.OnLetter(sender.Wake)
	for i := range clicksMeasured {
		clicked := time.Now()
		if err := desk.SignUp(ctx, flows.SignUp{
			Slug: list.Slug, Address: fmt.Sprintf("click%d@example.dk", i), Lang: "en", Agreed: true, Client: flows.Client{IP: "192.0.2.1"},
		}); err != nil {
			return nil, err
		}
		select {
		case began := <-route.began:
			waits = append(waits, began.Sub(clicked))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	slices.Sort(waits)
	return waits, b.stillWaiting(ctx, s)
}

// stillWaiting makes sure that what was measured was measured beside a backlog.
func (b *bench) stillWaiting(ctx context.Context, s *store.Store) error {
	c, err := s.Counters(ctx)
	if err == nil && c.OpenLetters() == 0 {
		err = errors.New("the backlog was gone before the last sign-up: take more letters")
	}
	return err
}

// nobody is n times the address of somebody who has no card.
func nobody(n int) []string { return slices.Repeat([]string{"marie@example.dk"}, n) }

// sentInChild is how many letters a child sends before its memory is looked at.
const sentInChild = 2000

// sendingPeak is the most memory, in kilobytes, that a process takes which sends from an outbox of n letters.
func (b *bench) sendingPeak(ctx context.Context, n int) (peak int64, err error) {
	p, err := b.fresh(ctx, fmt.Sprint("peak-", n))
	if err != nil {
		return 0, err
	}
	if _, _, err := child(ctx, job{To: p, Put: n}); err != nil {
		return 0, err
	}
	addr, end, err := startFarSink(0)
	if err != nil {
		return 0, err
	}
	_, peak, err = child(ctx, job{To: p, Sink: addr})
	return peak, errors.Join(err, end(), b.drop(ctx, p))
}

// putLetters fills the outbox of a store.
func (j job) putLetters(ctx context.Context) (out outcome, err error) {
	s, _, err := openStore(ctx, j.To)
	if err != nil {
		return out, err
	}
	return out, errors.Join(putAll(ctx, s, nobody(min(j.Put, realLetters)), mailWay{evidence: true}), s.Close(), multiplyLetters(ctx, j.To, j.Put))
}

// multiplyLetters makes copies of the letters that wait in a store until there are n, behind them in the queue.
func multiplyLetters(ctx context.Context, p place, n int) error {
	db, err := openBare(p, writePragmas)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := inTx(ctx, db, fmt.Sprintf("UPDATE outbox SET due_at = due_at - %d", time.Hour.Microseconds())); err != nil {
		return err
	}
	const columns = "subscriber_id, list_id, kind, to_masked, state, owner, created_at, done_at, attempts, tried"
	for first := realLetters; first < n; first += realLetters {
		if err := inTx(ctx, db,
			fmt.Sprintf("INSERT INTO outbox (letter_id, due_at, %s) SELECT letter_id + %d, due_at + %d, %s FROM outbox WHERE letter_id <= %d", columns, first, time.Hour.Microseconds(), columns, realLetters),
			fmt.Sprintf("INSERT INTO bodies (letter_id, sealed) SELECT letter_id + %d, sealed FROM bodies WHERE letter_id <= %d", first, realLetters)); err != nil {
			return fmt.Errorf("multiplying letters: %w", err)
		}
	}
	return inTx(ctx, db, fmt.Sprintf("UPDATE counters SET n = %d WHERE name = 'outbox/due'", n), fmt.Sprintf("UPDATE sequences SET next_id = %d WHERE name = 'letters'", n+realLetters))
}

// send sends some of the letters that wait in a store.
func (j job) send(ctx context.Context) (out outcome, err error) {
	s, desk, err := openStore(ctx, j.To)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	route, err := mta.NewRelay("smtp://" + j.Sink)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, route.Close()) }()
	began := time.Now()
	before, err := s.Counters(ctx)
	if err != nil {
		return out, err
	}
	stop, _ := sending(desk, route)
	defer func() { err = errors.Join(err, stop()) }()
	for want := min(sentInChild, before.OpenLetters()); out.Rows < want; {
		time.Sleep(5 * time.Millisecond)
		now, err := s.Counters(ctx)
		if err != nil {
			return out, err
		}
		out.Rows = before.OpenLetters() - now.OpenLetters()
	}
	out.Took = time.Since(began)
	return out, nil
}
