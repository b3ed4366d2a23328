package flows

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"kartotek/store"
)

// What can be revealed of a card besides its sensitive own fields, which are
// named with OwnPrefix.
const (
	RevealEmail  = "email"
	RevealMobile = "mobile"
)

// leastReason is how long a reason for revealing is, in characters, and
// leastLetters how many different ones it has.
const (
	leastReason  = 10
	leastLetters = 5
)

// revealsAnHour is how many values one of staff may uncover within an hour: more
// than complaints and calls take, and too few to take a list away by a script.
const revealsAnHour = 60

// Revealed is what was uncovered of a card.
type Revealed struct {
	SubscriberID int64  `json:"subscriber_id"`
	What         string `json:"field"`
	Value        string `json:"value"`
}

// Reveal uncovers an address, a number or a sensitive own field. The audit
// keeps who, what and why, and not the value; a refusal too, or else a reason
// would be a guess that leaves no trace.
func (s *Service) Reveal(ctx context.Context, a Actor, id int64, what, reason string) (_ Revealed, err error) {
	defer func() { err = s.trace(ctx, a, doReveal, id, err) }()
	if err := s.allow(ctx, a, doReveal); err != nil {
		return Revealed{}, err
	}
	if err := goodReason(reason); err != nil {
		return Revealed{}, err
	}
	r := Revealed{SubscriberID: id, What: what}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		at := store.At(s.now())
		if err := fewReveals(ctx, tx, a, at); err != nil {
			return err
		}
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		if c.Permission == Deleted {
			return refuse("a tombstone holds nothing that could be revealed")
		}
		cause, err := s.harmless(tx, c, "the reason", reason)
		if err != nil {
			return err
		}
		p, err := tx.Open(c)
		if err != nil {
			return err
		}
		if r.Value, err = uncovered(p, what); err != nil {
			return err
		}
		return audit(ctx, tx, a, at, doReveal, id, what+": "+cause)
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return Revealed{}, notFound(err, "1")
	case err != nil:
		return Revealed{}, err
	}
	return r, nil
}

// fewReveals refuses one who uncovers a value after the other: data leaves in
// bulk with a second person's approval only. The audit itself is the count.
func fewReveals(ctx context.Context, tx *store.Tx, a Actor, at store.Micros) error {
	rows, err := tx.Audit(ctx, store.AuditQuery{Actor: a.Name, Act: doReveal, Since: at - store.Micros(time.Hour/time.Microsecond), Limit: revealsAnHour})
	if err != nil {
		return err
	}
	if len(rows) == revealsAnHour {
		return refuse("%d values within an hour are the most that one of staff may uncover: for many, ask for a bulk export, which a second person approves", revealsAnHour)
	}
	return nil
}

func uncovered(p store.Person, what string) (string, error) {
	value := ""
	switch name, own := strings.CutPrefix(what, OwnPrefix); {
	case what == RevealEmail:
		value = p.Email
	case what == RevealMobile:
		value = p.Mobile
	case own:
		i := slices.IndexFunc(p.Own, func(f store.OwnField) bool { return f.Name == name })
		if i >= 0 {
			value = p.Own[i].Value
		}
	default:
		return "", refuse("what can be revealed is email, mobile, and an own field as %sNAME", OwnPrefix)
	}
	if value == "" {
		return "", refuse("the card holds no such value")
	}
	return value, nil
}

// goodReason refuses a reason that says nothing: too short, or one key held down.
func goodReason(reason string) error {
	reason = strings.Join(strings.Fields(reason), " ")
	different := map[rune]bool{}
	for _, r := range strings.ToLower(reason) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			different[r] = true
		}
	}
	if utf8.RuneCountInString(reason) < leastReason || len(different) < leastLetters {
		return refuse("say why in ten characters or more, in words: the audit keeps the reason")
	}
	return nil
}
