package flows

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"kartotek/mta"
	"kartotek/store"
)

// Spool joins the mail sender to the outbox.
type Spool struct{ s *Service }

// Spool is the outbox as the mail sender sees it.
func (s *Service) Spool() Spool { return Spool{s} }

// Claim leases up to n due letters to owner, and counts the attempt, before
// anything is dialled.
func (sp Spool) Claim(ctx context.Context, owner string, n int, lease time.Duration) ([]mta.Letter, error) {
	s := sp.s
	now := s.now()
	due, err := s.store.DueLetters(ctx, store.At(now), n)
	if err != nil || len(due) == 0 {
		return nil, err // nothing to do takes no lock
	}
	var out []mta.Letter
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		out = nil
		for _, l := range due {
			l := l
			mine, err := tx.ClaimLetter(ctx, &l, owner, store.At(now.Add(lease)))
			if err != nil {
				return err
			}
			if !mine {
				continue
			}
			e, err := tx.Envelope(ctx, l.ID)
			if err != nil {
				return err
			}
			out = append(out, mta.Letter{ID: l.ID, From: e.From, To: e.To, Data: e.Data, Attempts: l.Attempts, Created: l.CreatedAt.Time()})
		}
		return nil
	})
	return out, err
}

// Mark writes the verdict of a delivery, fenced by the owner of the lease. A
// letter that was handed over becomes evidence on the card.
func (sp Spool) Mark(ctx context.Context, owner string, id int64, v mta.Verdict) error {
	s := sp.s
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		l, err := tx.Letter(ctx, id)
		if err != nil {
			return err
		}
		e, err := tx.Envelope(ctx, id)
		if err != nil {
			return err
		}
		l.Code, l.Reply, l.Host, l.TLS = v.Code, withoutDomain(v.Reply, e.To), v.Host, v.TLS
		switch v.State {
		case mta.Deferred:
			l.DueAt = store.At(v.Retry)
		case mta.Delivered:
			l.State, l.DoneAt = store.LetterDelivered, store.At(v.At)
		default:
			l.State, l.DoneAt = store.LetterRefused, store.At(v.At)
		}
		if err := tx.MarkLetter(ctx, l, owner); err != nil {
			return err
		}
		if v.State == mta.Delivered {
			return handedOver(ctx, tx, l, e, v)
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return mta.ErrLost
	}
	return err
}

// withoutDomain takes the recipient's domain out of a server's words: beside
// the masked address it would tell the rest of it.
func withoutDomain(reply, to string) string {
	domain := to[strings.LastIndexByte(to, '@')+1:]
	if domain == "" {
		return reply
	}
	return regexp.MustCompile("(?i)"+regexp.QuoteMeta(domain)).ReplaceAllLiteralString(reply, "<domain>")
}

// handedOver writes the evidence that a confirmation mail left. Beside a
// tombstone nothing is written: it keeps its three acts only.
func handedOver(ctx context.Context, tx *store.Tx, l store.Letter, e store.Envelope, v mta.Verdict) error {
	c, err := tx.Contact(ctx, l.SubscriberID)
	if errors.Is(err, ErrNotFound) || (err == nil && c.Permission == Deleted) {
		return nil
	}
	if err != nil {
		return err
	}
	_, key, err := openCard(tx, c)
	if err != nil {
		return err
	}
	list, err := tx.ListByID(ctx, e.ListID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := tx.AddEvidence(ctx, key, c, store.LetterSent, store.At(v.At), store.EvidenceAct{MessageID: e.MessageID, List: list.Name, Note: v.Reply}); err != nil {
		return err
	}
	return tx.SaveContact(ctx, c)
}

// letterOf is a row of the outbox as doors show it.
func letterOf(l store.Letter, now time.Time) Letter {
	out := Letter{
		ID: l.ID, SubscriberID: l.SubscriberID, Kind: l.Kind, ToMasked: l.ToMasked, Created: seconds(l.CreatedAt),
		Attempts: l.Attempts, Reply: l.Reply, Host: l.Host,
	}
	switch {
	case l.State == store.LetterDelivered:
		out.State, out.Delivered = "delivered", keptTime(l.DoneAt)
	case l.State == store.LetterRefused:
		out.State = "refused"
	case l.State == store.LetterHeld:
		out.State = "held"
	case l.Owner != "" && l.DueAt.Time().After(now):
		out.State = "sending"
	case l.Attempts > 0:
		out.State, out.Due = "deferred", keptTime(l.DueAt)
	default:
		out.State, out.Due = "due", keptTime(l.DueAt)
	}
	return out
}

// Outbox reads letters, newest first, with numbers below after (0: all).
// state is due, sending, deferred, held, refused, delivered, or "" for any.
func (s *Service) Outbox(ctx context.Context, a Actor, state string, after int64, limit int) ([]Letter, error) {
	if err := may(a, doOutbox); err != nil {
		return nil, err
	}
	coarse := map[string]int{
		"": 0, "due": store.LetterOpen, "sending": store.LetterOpen, "deferred": store.LetterOpen,
		"held": store.LetterHeld, "refused": store.LetterRefused, "delivered": store.LetterDelivered,
	}
	code, ok := coarse[state]
	if !ok {
		return nil, refuse("a letter is due, sending, deferred, held, refused or delivered")
	}
	out := []Letter{}
	for len(out) < limit { // what is due and what is deferred lie in one state
		rows, err := s.store.Letters(ctx, code, after, limit)
		if err != nil {
			return nil, err
		}
		for _, l := range rows {
			if row := letterOf(l, s.now()); (state == "" || row.State == state) && len(out) < limit {
				out = append(out, row)
			}
		}
		if len(rows) < limit {
			break
		}
		after = rows[len(rows)-1].ID
	}
	return out, nil
}
