package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"kartotek/cmd"
	"kartotek/flows"
	"kartotek/flows/lang"
	"kartotek/flows/letters"
	"kartotek/mta"
	"kartotek/store"
)

// roundTrip is that of a server far away.
const roundTrip = 20 * time.Millisecond

// mailWay is how letters are sent.
type mailWay struct {
	evidence bool          // they are about cards, which keep what became of them
	queued   bool          // all wait before the first is sent
	signed   bool          // by an RSA and an Ed25519 key
	round    time.Duration // to the sink and back
}

// letters is how many of n letters are sent in a second, from the first put into the outbox until the last has been
// marked as delivered; or from a full outbox.
func (b *bench) letters(ctx context.Context, n int, way mailWay) (perSecond float64, err error) {
	p, err := b.fresh(ctx, fmt.Sprintf("mail-%v-%v-%v-%v", way.evidence, way.queued, way.signed, way.round))
	if err != nil {
		return 0, err
	}
	if err := b.importInto(ctx, p, n); err != nil {
		return 0, err
	}
	s, desk, err := openStore(ctx, p)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close(), b.drop(ctx, p)) }()
	addr, end, err := startFarSink(way.round)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if way.round == 0 { // go-smtp, which is far away too, has as many connections as a relay gets untold
		addr += "?connections=" + sinkConns
	}
	route, err := mta.NewRelay("smtp://" + addr)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, route.Close()) }()
	to, err := addresses(ctx, s, n)
	if err != nil {
		return 0, err
	}
	if way.queued {
		if err := putAll(ctx, s, to, way); err != nil {
			return 0, err
		}
	}
	var opts []mta.Option
	if way.signed {
		keys, err := b.signingKeys()
		if err != nil {
			return 0, err
		}
		signer, err := mta.NewSigner(keys...)
		if err != nil {
			return 0, err
		}
		opts = append(opts, mta.WithSigning(mta.Signers{signingDomain: signer}))
	}
	began := time.Now()
	stop, sender := sending(desk, route, opts...)
	defer func() { err = errors.Join(err, stop()) }()
	if !way.queued {
		if err := putEach(ctx, s, to, way, sender.Wake); err != nil {
			return 0, err
		}
	}
	err = untilMarked(ctx, s)
	return float64(n) / time.Since(began).Seconds(), err
}

// signingAlone is how many of n letters all cores sign in a second: what sending signed ones can't be faster than.
func (b *bench) signingAlone(n int) (perSecond float64, err error) {
	keys, err := b.signingKeys()
	if err != nil {
		return 0, err
	}
	signer, err := mta.NewSigner(keys...)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for range n {
		g.Go(func() error {
			_, err := signer.Sign(letterText)
			return err
		})
	}
	err = g.Wait()
	return float64(n) / time.Since(began).Seconds(), err
}

// signingKeys are those of this run.
func (b *bench) signingKeys() (keys []mta.SigningKey, err error) {
	if b.dkim == nil {
		b.dkim, err = mta.NewSigningKeys(signingDomain, "bench")
	}
	return b.dkim, err
}

// sending runs a sender until stop is called, as the program itself does.
func sending(desk *flows.Service, route mta.Route, opts ...mta.Option) (stop func() error, s *mta.Sender) {
	cmd.Garbage(false)
	s = mta.NewSender(desk.Spool(), route, append(opts, mta.WithLogger(slog.New(slog.DiscardHandler)), mta.WithRush(cmd.Garbage))...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error {
		defer debug.SetGCPercent(100) // the other parts measure what commands do
		cancel()
		return <-done
	}, s
}

// untilMarked returns when no letter is on its way any more.
func untilMarked(ctx context.Context, s *store.Store) error {
	for {
		c, err := s.Counters(ctx)
		if err != nil || c.OpenLetters() == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// letterText is a confirmation mail as flows write it, with a short notice: 3.6 KB. The store packs its own wording, so a
// text made up would be another measure.
var letterText = func() []byte {
	host, token, now := "mail.lindholms-tradgard.example", store.NewToken, time.Now()
	letter, err := letters.Confirmation{
		Purpose: letters.SignUp, Lang: lang.English, From: letters.Sender{Name: "Lindholms Trädgård AB", Address: "news@example.com"}, To: "marie@example.dk",
		List: "Garden letter", ListID: "garden-letter.lists." + host, ConfirmURL: "https://" + host + "/confirm/" + token(),
		CancelURL: "https://" + host + "/unsubscribe/" + token(), UnsubscribeMailto: "mailto:leave-" + token() + "@" + host,
		Notice: "Yes, send me the garden letter.", Expires: now.Add(flows.ConfirmWithin), MessageID: token()[:22] + "@" + host, Date: now,
	}.Compose()
	if err != nil {
		panic(err)
	}
	return letter.Raw
}()

// letter is one to the contact of a number.
func (way mailWay) letter(id int64, to string) (store.Letter, store.Envelope) {
	if !way.evidence {
		id = 0
	}
	now := store.At(time.Now())
	return store.Letter{SubscriberID: id, ListID: 1, Kind: "sign-up", ToMasked: "mar**@example.dk", State: store.LetterDue, DueAt: now, CreatedAt: now},
		store.Envelope{From: "news@example.com", To: to, MessageID: "1@example.com", Data: letterText}
}

// addresses are those of the first n contacts.
func addresses(ctx context.Context, s *store.Store, n int) ([]string, error) {
	out := make([]string, n)
	for i := range out {
		c, err := s.Contact(ctx, int64(i)+1)
		if err != nil {
			return nil, err
		}
		p, err := s.Open(c)
		if err != nil {
			return nil, err
		}
		if out[i] = p.Email; strings.ContainsFunc(p.Email, func(r rune) bool { return r > unicode.MaxASCII }) {
			out[i] = "marie@example.dk" // the sink takes no others
		}
	}
	return out, nil
}

// putEach puts letters into the outbox from several goroutines, a transaction each, as flows do.
func putEach(ctx context.Context, s *store.Store, to []string, way mailWay, put func()) error {
	g, ctx := errgroup.WithContext(ctx)
	next := make(chan int)
	g.Go(func() error {
		defer close(next)
		for i := range to {
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range sourceConns {
		g.Go(func() error {
			for i := range next {
				if err := s.InTx(ctx, func(tx *store.Tx) error {
					l, e := way.letter(int64(i)+1, to[i])
					return tx.Enqueue(ctx, &l, e)
				}); err != nil {
					return err
				}
				put()
			}
			return nil
		})
	}
	return g.Wait()
}

// putAll puts them there in large transactions.
func putAll(ctx context.Context, s *store.Store, to []string, way mailWay) error {
	for first := 0; first < len(to); first += importChunk {
		if err := s.InTx(ctx, func(tx *store.Tx) error {
			for i := first; i < min(len(to), first+importChunk); i++ {
				l, e := way.letter(int64(i)+1, to[i])
				if err := tx.Enqueue(ctx, &l, e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
