package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// contest is held in rounds, ours and the other's right after each other: a machine may be half as fast again some
// minutes later, so that a rate compares only with those beside it.
type contest struct {
	rounds int
	other  func(ctx context.Context) (perSecond float64, err error)
	others []float64
	ours   []entrant
}

// entrant is one way of ours in a contest.
type entrant struct {
	what   string
	n      int
	way    mailWay
	least  float64 // how many times the other's rate it has to be; 0 for any
	rates  []float64
	ratios []float64 // to the other's rate in the same round
}

// hold holds one round of a contest. Who begins takes turns.
func (b *bench) hold(ctx context.Context, c *contest, round int) (err error) {
	rates := make([]float64, 1+len(c.ours))
	for i := range rates {
		k := (i + round) % len(rates)
		if k == 0 {
			rates[0], err = c.other(ctx)
		} else {
			rates[k], err = b.letters(ctx, c.ours[k-1].n, c.ours[k-1].way)
		}
		if err != nil {
			return err
		}
	}
	c.others = append(c.others, rates[0])
	for i := range c.ours {
		e := &c.ours[i]
		e.rates, e.ratios = append(e.rates, rates[i+1]), append(e.ratios, rates[i+1]/rates[0])
	}
	return nil
}

// median is the middle one of an odd number.
func median(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }

// mail compares the outbox with Postfix's queue, both durable, both on the way to smtp-sink; and where the sink is far away,
// with go-smtp's client, which has no queue at all. What is compared is a letter to nobody who has a card; a confirmation
// mail leaves evidence on its card as well, in the same transaction as its verdict, for which Postfix has nothing.
func (b *bench) mail(ctx context.Context) (err error) {
	n := max(b.n/50, 100)
	keys, err := b.signingKeys()
	if err != nil {
		return err
	}
	m, err := startMilter(b.tmp, keys[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	ceiling, err := b.signingAlone(n)
	if err != nil {
		return err
	}
	contests := mailContests(b.engine, n, map[string]string{"smtpd_milters": "inet:" + m.addr})
	for i := range contests {
		c := &contests[i]
		for round := range c.rounds {
			b.tell("%s: round %d of %d", c.ours[0].what, round+1, c.rounds)
			if err := b.hold(ctx, c, round); err != nil {
				return err
			}
		}
	}
	signed := median(contests[2].others)
	b.add(row{
		what: fmt.Sprint(n, " letters, signed by two keys on all cores and nothing else, beside Postfix and OpenDKIM"),
		ours: perSecond(ceiling), baseline: perSecond(signed), ratio: fmt.Sprintf("%.2fx", ceiling/signed),
	})
	for _, c := range contests {
		for _, e := range c.ours {
			b.addEntrant(e, median(c.others))
		}
	}
	return nil
}

// mailContests are those of the part mail. Postfix takes several times as long as ours for as many letters, so it gets
// half as many. A full queue is twice as long: of ours through n letters a good part is its start and its end. Both are told.
func mailContests(engine string, n int, milter map[string]string) []contest {
	postfix := func(further map[string]string) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return postfixRun(ctx, n/2, further) }
	}
	return []contest{
		{rounds: 3, other: postfix(nil), ours: []entrant{
			{what: "letters, end to end, against Postfix", n: n, least: map[string]float64{sqlite: 10, mariaDB: 4}[engine]},
			{what: "confirmation letters, each with evidence on its card, end to end", n: n, way: mailWay{evidence: true}},
		}},
		{rounds: 5, other: postfix(fullQueue), ours: []entrant{
			{what: "letters, a full queue, against Postfix", n: 2 * n, way: mailWay{queued: true}, least: 8},
			{what: "letters, a full queue, against Postfix", n: n, way: mailWay{queued: true}},
			{what: "confirmation letters, each with evidence on its card, a full queue", n: n, way: mailWay{evidence: true, queued: true}},
		}},
		{rounds: 3, other: postfix(milter), ours: []entrant{
			{what: "letters, signed by two keys, against Postfix and OpenDKIM", n: n, way: mailWay{signed: true}, least: 3},
		}},
		{rounds: 1, other: func(ctx context.Context) (float64, error) { return byGoSMTP(ctx, n/2) }, ours: []entrant{
			{what: "letters, 20 ms away, against go-smtp without a queue", n: n / 2, way: mailWay{queued: true, round: roundTrip}, least: 1.8},
		}},
	}
}

// addEntrant adds a line of one way of ours: the rates in the middle of its rounds, and the ratio in the middle of theirs.
func (b *bench) addEntrant(e entrant, other float64) {
	ratio := median(e.ratios)
	lowest, highest := slices.Min(e.ratios), slices.Max(e.ratios)
	r := row{what: fmt.Sprint(e.n, " ", e.what), ours: perSecond(median(e.rates)), baseline: perSecond(other), ratio: fmt.Sprintf("%.2fx", ratio)}
	if len(e.ratios) > 1 {
		r.what += fmt.Sprintf(" (%d rounds: %.2f–%.2fx)", len(e.ratios), lowest, highest)
	}
	if e.least > 0 {
		r.target, r.verdict = fmt.Sprintf(">= %.1fx", e.least), verdict(ratio >= e.least)
	}
	b.add(r)
}

func perSecond(rate float64) string { return fmt.Sprintf("%.0f /s", rate) }
