package flows

import (
	"context"
	"errors"
	"fmt"

	"kartotek/store"
)

// What staff can do with a letter in the outbox.
const (
	ActRetry   = "retry"
	ActHold    = "hold"
	ActRelease = "release"
	ActDrop    = "drop"
)

// letterStates says what can be done with a letter in a state; "" is that it
// can, anything else why not.
var letterStates = map[string]map[string]string{
	"due":       {ActRetry: "it is due already and goes out in its turn", ActRelease: notHeld},
	"deferred":  {ActRelease: notHeld},
	"sending":   {ActRetry: beingSent, ActHold: beingSent, ActRelease: notHeld, ActDrop: beingSent},
	"held":      {ActRetry: "it is held: release it", ActHold: "it is held already"},
	"refused":   {ActRetry: "it was refused for good, and its text is gone", ActHold: "it was refused and goes nowhere", ActRelease: notHeld},
	"delivered": {ActRetry: wasDelivered, ActHold: wasDelivered, ActRelease: notHeld, ActDrop: wasDelivered},
}

const (
	notHeld      = "it is not held"
	beingSent    = "it is being sent at this moment"
	wasDelivered = "it was handed over to the next server"
)

// WhyLetter tells in a few words why an act (ActRetry, ActHold, ActRelease,
// ActDrop) is not possible on a letter now; "" when it is.
func (s *Service) WhyLetter(a Actor, act string, l Letter) string {
	if err := may(a, doLetters); err != nil {
		return err.Error()
	}
	return letterStates[l.State][act]
}

// Letter reads one letter of the outbox; ErrNotFound when it isn't there.
func (s *Service) Letter(ctx context.Context, a Actor, id int64) (Letter, error) {
	if err := s.allow(ctx, a, doOutbox); err != nil {
		return Letter{}, err
	}
	l, err := s.store.Letter(ctx, id)
	if err != nil {
		return Letter{}, noLetter(err)
	}
	return letterOf(l), nil
}

// Retry makes a deferred letter due now.
func (s *Service) Retry(ctx context.Context, a Actor, id int64) (Letter, error) {
	return s.moveLetter(ctx, a, ActRetry, id, store.LetterUrgent)
}

// Hold keeps a letter that waits from being sent, until it is released. Its
// links go on running out.
func (s *Service) Hold(ctx context.Context, a Actor, id int64) (Letter, error) {
	return s.moveLetter(ctx, a, ActHold, id, store.LetterHeld)
}

// Release makes a held letter due now, unless its card is frozen.
func (s *Service) Release(ctx context.Context, a Actor, id int64) (Letter, error) {
	return s.moveLetter(ctx, a, ActRelease, id, store.LetterUrgent)
}

func (s *Service) moveLetter(ctx context.Context, a Actor, act string, id int64, state store.LetterState) (_ Letter, err error) {
	defer func() { err = s.trace(ctx, a, act+" letter", 0, err) }()
	if err := s.allow(ctx, a, doLetters); err != nil {
		return Letter{}, err
	}
	var l store.Letter
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := s.letterFor(ctx, tx, act, id, &l)
		if err != nil {
			return err
		}
		if state == store.LetterUrgent && c != nil {
			if c.Frozen {
				return refuse("the card is frozen: it gets no mail until it is unfrozen (GDPR art. 18)")
			}
			if err := tx.Touch(ctx, c); err != nil { // who freezes it at this moment holds the letter, or comes before
				return err
			}
		}
		at := store.At(s.now())
		if err := tx.MoveLetter(ctx, &l, state, at); err != nil {
			return err
		}
		return audit(ctx, tx, a, at, act+" letter", l.SubscriberID, fmt.Sprintf("letter %d", id))
	})
	if err != nil {
		return Letter{}, err
	}
	if state == store.LetterUrgent {
		s.wake()
	}
	return letterOf(l), nil
}

// Drop removes a letter that was not delivered, with its text. What it asked
// the person to confirm is forgotten when its time is over, unless another
// letter asks for it.
func (s *Service) Drop(ctx context.Context, a Actor, id int64, reason string) (err error) {
	defer func() { err = s.trace(ctx, a, ActDrop+" letter", 0, err) }()
	if err := s.allow(ctx, a, doLetters); err != nil {
		return err
	}
	reason, err = plain("the reason", reason)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		var l store.Letter
		c, err := s.letterFor(ctx, tx, ActDrop, id, &l)
		if err != nil {
			return err
		}
		var p store.Person
		if c != nil {
			if p, err = tx.Open(c); err != nil {
				return err
			}
		}
		if err := personal("the reason", reason, p); err != nil {
			return err
		}
		if err := tx.DropLetter(ctx, l); err != nil {
			return err
		}
		return audit(ctx, tx, a, store.At(s.now()), "drop letter", l.SubscriberID, fmt.Sprintf("letter %d: %s", id, reason))
	})
}

// letterFor reads a letter that something is to be done with, and its card;
// nil when there is none.
func (s *Service) letterFor(ctx context.Context, tx *store.Tx, act string, id int64, l *store.Letter) (*store.Contact, error) {
	var err error
	if *l, err = tx.Letter(ctx, id); err != nil {
		return nil, noLetter(err)
	}
	if why := letterStates[l.State.String()][act]; why != "" {
		return nil, refuse("letter %d stays as it is: %s", id, why)
	}
	c, err := tx.Contact(ctx, l.SubscriberID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return c, err
}

func noLetter(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("there is no letter of that number: %w", err)
	}
	return err
}
