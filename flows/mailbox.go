package flows

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kartotek/flows/letters"
	"kartotek/store"
)

// Capture keeps a mail that the capture route took, sealed. It is what the
// capture route hands every message to. A mail to somebody who was erased or
// forgotten while it was on its way is taken and not kept.
func (s *Service) Capture(ctx context.Context, _, to string, data []byte) error {
	address, err := store.ParseDisplay(to)
	if err != nil {
		return fmt.Errorf("keeping a captured mail: %w", err)
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		now := store.At(s.now())
		c, err := known(ctx, tx, address)
		if err != nil || c == nil {
			return err
		}
		if c.Permission == Deleted {
			if until, err := tx.WaitingUntil(ctx, c.SubscriberID, now); err != nil {
				return err
			} else if until == 0 {
				return tx.Touch(ctx, c) // nothing waits beside it either since the person came back this moment
			}
		}
		_, err = tx.AddCaptured(ctx, c, address, now, data)
		return err
	})
}

// Mailbox reads the newest captured mails.
func (s *Service) Mailbox(ctx context.Context, a Actor, limit int) ([]Mail, error) {
	if err := s.allow(ctx, a, doMailbox); err != nil {
		return nil, err
	}
	rows, err := s.store.CapturedMails(ctx, 0, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Mail, len(rows))
	for i, row := range rows {
		if out[i], err = s.mail(row, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Mail reads one captured mail with its text; ErrNotFound when it isn't there.
func (s *Service) Mail(ctx context.Context, a Actor, number int64) (Mail, error) {
	if err := s.allow(ctx, a, doMailbox); err != nil {
		return Mail{}, err
	}
	rows, err := s.store.CapturedMails(ctx, number, 1)
	if err != nil {
		return Mail{}, err
	}
	if len(rows) == 0 {
		return Mail{}, fmt.Errorf("there is no captured mail of that number: %w", ErrNotFound)
	}
	return s.mail(rows[0], true)
}

func (s *Service) mail(row store.Captured, text bool) (Mail, error) {
	raw, err := s.store.OpenCaptured(row)
	if err != nil {
		return Mail{}, err
	}
	m := Mail{Number: row.Number, At: seconds(row.At), ToMasked: row.ToMasked, Links: []string{}}
	msg, err := letters.Read(raw)
	if err != nil && !errors.Is(err, letters.ErrDamaged) { // of a damaged one shows what can be read
		m.Subject = "(a mail that can't be read)"
		return m, nil
	}
	m.Subject, m.From = msg.Subject, msg.From
	if msg.Links != nil {
		m.Links = msg.Links
	}
	if text {
		m.Text = msg.Text
		if to, err := store.ParseDisplay(msg.To); err == nil { // staff see the masked form here too
			m.Text = strings.ReplaceAll(m.Text, to.Canonical(), to.Masked())
		}
	}
	return m, nil
}
