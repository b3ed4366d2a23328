package flows

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kartotek/flows/lang"
	"kartotek/flows/letters"
	"kartotek/store"
)

// ListPage is what a sign-up form shows of its list.
type ListPage struct{ List, Slug, Notice string }

// SignUp is a sign-up form as a visitor sent it.
type SignUp struct {
	Slug      string
	Address   string
	FirstName string
	Mobile    string // international form, or empty
	Lang      string
	Notice    string // the text that was shown
	Agreed    bool   // the box, which was not ticked before
	Client    Client
}

// InputError says which field of a form can't be taken as it is.
type InputError struct{ Field string } // "address", "mobile", "agreed"

func (e *InputError) Error() string { return "the field " + e.Field + " can't be taken as it is" }

// FormOf is the sign-up form of a list; ErrNotFound when there is no such list.
func (s *Service) FormOf(ctx context.Context, slug string, tag lang.Tag) (ListPage, error) {
	l, err := s.store.ListByName(ctx, slug)
	if err != nil {
		return ListPage{}, err
	}
	return ListPage{List: l.Name, Slug: l.Slug, Notice: letters.DefaultNotice(tag, l.Name, s.cfg.Company)}, nil
}

// SignUp takes a sign-up form. Its answer is the same whether or not the
// address is known, so that nobody can find out who is on a list.
func (s *Service) SignUp(ctx context.Context, in SignUp) error {
	address, err := store.ParseAddress(in.Address)
	if err != nil {
		return &InputError{"address"}
	}
	p := store.Person{Email: address.Canonical(), FirstName: oneLine(in.FirstName, 100), Language: in.Lang}
	if strings.TrimSpace(in.Mobile) != "" {
		number, err := store.ParseNumber(in.Mobile)
		if err != nil {
			return &InputError{"mobile"}
		}
		p.Mobile = number.Canonical()
	}
	if !in.Agreed {
		return &InputError{"agreed"}
	}
	list, err := s.store.ListByName(ctx, in.Slug)
	if err != nil {
		return err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := known(ctx, tx, address)
		if err != nil {
			return err
		}
		out, err := decide(c, ActSignUp)
		if err != nil {
			return nil // frozen: no mail, and no word of it to a stranger
		}
		_, err = s.signUp(ctx, tx, signUp{SignUp: in, person: p, address: address, list: list, base: store.Contact{Source: "Webform", Rating: store.Average}, actor: person(), by: "contact"}, c, out)
		return err
	})
	if err != nil {
		return fmt.Errorf("signing up: %w", err)
	}
	s.wake()
	return nil
}

// signUp is a sign-up from any door, checked.
type signUp struct {
	SignUp
	person  store.Person
	address store.Address
	list    store.List
	base    store.Contact // what a new card starts with
	actor   Actor
	by      string
	at      time.Time // when the person signed up elsewhere; zero means here and now
	note    string
	bulk    bool // one of a whole file
}

// signUp does what the table's column "sign up" says, in a transaction. It
// does nothing, and reports false, when the limits of the address allow no
// mail or there is nothing to confirm.
func (s *Service) signUp(ctx context.Context, tx *store.Tx, in signUp, c *store.Contact, out Outcome) (sent bool, err error) {
	if out.Verdict == AddList {
		m, err := membership(ctx, tx, c.SubscriberID, in.list.ID)
		if err != nil || (m != nil && m.Status == store.Subscribed) {
			return false, err
		}
	}
	now := s.now()
	at := store.At(now)
	if !in.at.IsZero() {
		at = store.At(in.at)
	}
	known := c != nil
	if !known {
		if c, err = in.contact(ctx, tx, out.To, at, store.At(now)); err != nil {
			return false, err
		}
	}
	mail := &confirmation{To: in.address, Contact: c, List: in.list, Purpose: letters.SignUp, Lang: in.Lang, Notice: in.Notice, SignedUp: in.at, Bulk: in.bulk}
	if out.Verdict == Beside {
		mail.Purpose = letters.Resubscribe
		mail.Data = store.TokenData{Address: in.address.Canonical(), Resubscribe: true, Asked: "asked on the sign-up form", By: in.by, IP: in.Client.IP, UserAgent: in.Client.UserAgent}
	}
	wait, err := s.send(ctx, tx, mail, now)
	if err != nil || !wait.IsZero() {
		return false, err // too many mails, or they come back: nothing happens, and nobody is told
	}
	if out.Verdict == Beside {
		return true, tx.SaveContact(ctx, c) // guards the tombstone against a second one at this moment
	}
	if !known {
		if err := tx.Seal(c, in.person); err != nil {
			return false, err
		}
		if err := tx.AddContact(ctx, c); err != nil {
			return false, err
		}
	}
	key, err := tx.Keys().EvidenceKey(in.address)
	if err != nil {
		return false, err
	}
	if err := tx.AddEvidence(ctx, key, c, store.SignedUp, at, in.evidence(mail)); err != nil {
		return false, err
	}
	if out.Verdict == Move {
		c.Permission = out.To
	}
	if c.Permission == Pending {
		c.ForgetAt = store.At(now.Add(ConfirmWithin))
	}
	if err := joinPending(ctx, tx, c, in.list.ID, store.At(now)); err != nil {
		return false, err
	}
	if err := tx.SaveContact(ctx, c); err != nil {
		return false, err
	}
	return true, audit(ctx, tx, in.actor, store.At(now), "sign up", c.SubscriberID, "")
}

// contact is a new one for who signed up at that time.
func (in signUp) contact(ctx context.Context, tx *store.Tx, p Permission, at, now store.Micros) (*store.Contact, error) {
	c := in.base
	c.Permission, c.SignedUpAt, c.LastSeenAt = p, at, now
	startRating(&c, 0, at)
	rate(&c, now) // who signed up elsewhere did long ago
	var err error
	c.SubscriberID, err = tx.NextIDs(ctx, "contacts", 1)
	return &c, err
}

// evidence is what the sign-up tells of itself; who signed up elsewhere has
// not seen our notice yet.
func (in signUp) evidence(mail *confirmation) store.EvidenceAct {
	act := store.EvidenceAct{IP: in.Client.IP, UserAgent: oneLine(in.Client.UserAgent, 300), List: in.list.Name, By: in.by, Note: in.note}
	if in.Agreed {
		act.Notice, act.MessageID = mail.NoticeID, mail.Data.MessageID
	}
	return act
}

// joinPending waits on a list for the click, unless the contact is on it.
func joinPending(ctx context.Context, tx *store.Tx, c *store.Contact, listID int64, at store.Micros) error {
	m, err := membership(ctx, tx, c.SubscriberID, listID)
	if err != nil || (m != nil && m.Status == store.Subscribed) {
		return err
	}
	return join(ctx, tx, c, listID, store.OnHold, at)
}

// oneLine makes a text of a stranger one line of valid UTF-8, at most n bytes.
func oneLine(s string, n int) string {
	if len(s) > 4*n {
		s = s[:4*n]
	}
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	for len(s) > n {
		r := []rune(s)
		s = string(r[:len(r)-1])
	}
	return s
}
