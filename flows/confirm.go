package flows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kartotek/flows/lang"
	"kartotek/store"
)

// The states of a page that a token opens.
const (
	PageOpen    = "open"    // one button waits for a click
	PageDone    = "done"    // the click was taken
	PageUsed    = "used"    // it was taken before
	PageExpired = "expired" // too late: everything was forgotten
	PageUnknown = "unknown" // no such link, or what it was for is gone
)

// TokenPage is what a page that a link in a letter opens shows.
type TokenPage struct {
	State         string
	Purpose       string // "sign-up" or "resubscribe"
	List          string
	Lists         []string // unsubscribing: all that the contact is on
	MaskedAddress string
	Lang          lang.Tag // the letter's
	Until         time.Time
	Notice        string
}

// LookConfirm shows what a confirmation link is for. It changes nothing and
// uses nothing up: robots open links too.
func (s *Service) LookConfirm(ctx context.Context, secret string) (TokenPage, error) {
	t, err := s.store.Token(ctx, secret, store.ForConfirm)
	if errors.Is(err, ErrNotFound) {
		return TokenPage{State: PageUnknown}, nil
	}
	if err != nil {
		return TokenPage{}, fmt.Errorf("looking up a link: %w", err)
	}
	return s.confirmPage(ctx, t)
}

func (s *Service) confirmPage(ctx context.Context, t *store.Token) (TokenPage, error) {
	page := TokenPage{State: PageOpen, Purpose: "sign-up", Lang: lang.Tag(t.Data.Lang), Until: t.ExpiresAt.Time()}
	if t.Data.Resubscribe {
		page.Purpose = "resubscribe"
	}
	switch {
	case t.UsedAt != 0:
		page.State = PageUsed
	case !s.now().Before(t.ExpiresAt.Time()):
		page.State = PageExpired
		return page, nil
	}
	list, err := s.store.ListByID(ctx, t.ListID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return page, err
	}
	page.List = list.Name
	if page.Notice, err = s.store.Notice(ctx, t.Data.Notice); err != nil && !errors.Is(err, ErrNotFound) {
		return page, err
	}
	if t.Data.Address != "" {
		page.MaskedAddress = store.Mask(t.Data.Address)
		return page, nil
	}
	c, err := s.store.Contact(ctx, t.SubscriberID)
	if errors.Is(err, ErrNotFound) || (err == nil && c.Permission == Deleted) {
		return TokenPage{State: PageUnknown}, nil
	}
	page.MaskedAddress = c.EmailMasked
	return page, err
}

// Confirm takes the click. Once: a second click finds out that it was taken.
func (s *Service) Confirm(ctx context.Context, secret string, client Client) (TokenPage, error) {
	var t *store.Token
	done := false
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		done = false
		if t, err = tx.Token(ctx, secret, store.ForConfirm); err != nil {
			return err
		}
		if t.UsedAt != 0 || !s.now().Before(t.ExpiresAt.Time()) {
			return nil
		}
		c, err := tx.Contact(ctx, t.SubscriberID)
		if err != nil {
			return err
		}
		if c.Permission == Deleted {
			done, err = s.comeBack(ctx, tx, t, c, client)
			return err
		}
		done = true
		return s.confirm(ctx, tx, t, c, client)
	})
	if errors.Is(err, ErrNotFound) {
		return TokenPage{State: PageUnknown}, nil
	}
	if err != nil {
		return TokenPage{}, fmt.Errorf("confirming: %w", err)
	}
	page, err := s.confirmPage(ctx, t)
	if done {
		page.State = PageDone
	}
	return page, err
}

// confirm completes the sign-up of a live contact.
func (s *Service) confirm(ctx context.Context, tx *store.Tx, t *store.Token, c *store.Contact, client Client) error {
	out, err := decide(c, ActConfirm)
	if err != nil {
		return err
	}
	p, key, err := openCard(tx, c)
	if err != nil {
		return err
	}
	at := store.At(s.now())
	list, err := tx.ListByID(ctx, t.ListID)
	if err != nil {
		return err
	}
	if err := tx.AddEvidence(ctx, key, c, store.Confirmation, at, store.EvidenceAct{
		IP: client.IP, UserAgent: oneLine(client.UserAgent, 300),
		Notice: t.Data.Notice, MessageID: t.Data.MessageID, List: list.Name, By: "contact", Handed: t.Data.Handed,
	}); err != nil {
		return err
	}
	c.LastSeenAt = max(c.LastSeenAt, at)
	if out.Verdict == Move {
		c.Permission, c.SignedUpAt, c.ConfirmedAt, c.ForgetAt, c.WithdrawnAt = out.To, t.CreatedAt, at, 0, 0
	}
	if p.Language == "" {
		p.Language = t.Data.Lang
		if err := tx.Seal(c, p); err != nil {
			return err
		}
	}
	if err := join(ctx, tx, c, t.ListID, store.Subscribed, at); err != nil {
		return err
	}
	if err := tx.SaveContact(ctx, c); err != nil {
		return err
	}
	if err := tx.UseToken(ctx, t, at); err != nil {
		return err
	}
	return audit(ctx, tx, person(), at, "confirm", c.SubscriberID, "")
}

// comeBack completes a resubscription beside a tombstone: a new contact under
// a new SubscriberID that holds nothing but the address.
func (s *Service) comeBack(ctx context.Context, tx *store.Tx, t *store.Token, tomb *store.Contact, client Client) (bool, error) {
	address, err := store.ParseAddress(t.Data.Address)
	if err != nil {
		return false, ErrNotFound
	}
	if err := tx.Rekey(ctx, address); err != nil {
		return false, err
	}
	live, err := tx.Live(ctx, tx.Keys().AddressKey(address))
	switch {
	case err == nil: // another link was faster: this one adds its list
		return true, s.confirm(ctx, tx, t, live, client)
	case !errors.Is(err, ErrNotFound):
		return false, err
	case tomb.Successor != 0: // who came back was erased again
		return false, ErrNotFound
	}
	list, err := tx.ListByID(ctx, t.ListID)
	if err != nil {
		return false, err
	}
	at := store.At(s.now())
	c := &store.Contact{
		Permission: Confirmed, Source: "Resubscribed", Rating: store.Average, SignedUpAt: t.CreatedAt, ConfirmedAt: at,
		LastSeenAt: at, Predecessor: tomb.SubscriberID,
	}
	startRating(c, 0, at)
	if c.SubscriberID, err = tx.NextIDs(ctx, "contacts", 1); err != nil {
		return false, err
	}
	if err := tx.Seal(c, store.Person{Email: address.Canonical()}); err != nil {
		return false, err
	}
	key, err := tx.Keys().EvidenceKey(address)
	if err != nil {
		return false, err
	}
	if err := returned(ctx, tx, key, c, t, list.Name, client); err != nil {
		return false, err
	}
	tomb.Successor = c.SubscriberID // makes room for the new card
	if err := tx.SaveContact(ctx, tomb); err != nil {
		return false, err
	}
	if err := tx.AddContact(ctx, c); err != nil {
		return false, err
	}
	if err := join(ctx, tx, c, t.ListID, store.Subscribed, at); err != nil {
		return false, err
	}
	if err := tx.UseToken(ctx, t, at); err != nil {
		return false, err
	}
	if err := tx.MoveWaiting(ctx, tomb.SubscriberID, c.SubscriberID); err != nil {
		return false, err
	}
	t.SubscriberID, t.Data.Address = c.SubscriberID, ""
	return true, audit(ctx, tx, person(), at, "resubscribe confirmed", c.SubscriberID, "")
}

// returned is the evidence of who came back: the wish, the letter, the click.
func returned(ctx context.Context, tx *store.Tx, key store.EvidenceKey, c *store.Contact, t *store.Token, list string, client Client) error {
	if err := tx.AddEvidence(ctx, key, c, store.Resubscription, t.CreatedAt, store.EvidenceAct{
		IP: t.Data.IP, UserAgent: oneLine(t.Data.UserAgent, 300),
		Notice: t.Data.Notice, MessageID: t.Data.MessageID, List: list, By: t.Data.By, Note: t.Data.Asked,
	}); err != nil {
		return err
	}
	if t.Data.Handed.At != 0 { // beside the tombstone there was no place for it
		if err := tx.AddEvidence(ctx, key, c, store.LetterSent, t.Data.Handed.At, store.EvidenceAct{MessageID: t.Data.MessageID, List: list, Handed: t.Data.Handed}); err != nil {
			return err
		}
	}
	return tx.AddEvidence(ctx, key, c, store.Confirmation, c.ConfirmedAt, store.EvidenceAct{
		IP: client.IP, UserAgent: oneLine(client.UserAgent, 300),
		Notice: t.Data.Notice, MessageID: t.Data.MessageID, List: list, By: "contact", Handed: t.Data.Handed,
	})
}
