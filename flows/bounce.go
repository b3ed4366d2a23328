package flows

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"kartotek/store"
)

const (
	// liftAfter is when mail to an address that took none is tried again: somebody
	// may have mended the mailbox, and nobody else could tell.
	liftAfter = 30 * 24 * time.Hour
	// returnedKept is how long it is remembered at all.
	returnedKept = 365 * 24 * time.Hour
	// senderKey is the name of the key, in the key file, of the letters' own senders.
	senderKey = "verp"
	// senderMAC is how many bytes of the HMAC stand in a sender.
	senderMAC = 10
	// The first letters of the addresses that mail comes back to.
	bouncePrefix, leavePrefix = "b-", "u-"
	// AlarmPolicy: servers refuse our mail for what we are, not for whom it is to.
	AlarmPolicy = "policy"
)

// tokens32 writes tokens in an address: case doesn't matter there.
var tokens32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// senderSecret is the key that the letters' own senders are made with.
func (s *Service) senderSecret() ([]byte, error) {
	return s.store.Keys().NamedOrNew(senderKey, func() ([]byte, error) {
		key := make([]byte, 32)
		rand.Read(key)
		return key, nil
	})
}

// senderOf is the envelope sender of one letter (VERP): what comes back tells by
// it which letter it is about. It holds the letter's number and a keyed hash,
// and nothing of the person. Without a bounce domain it is the plain one.
func (s *Service) senderOf(id int64, plain string) (string, error) {
	if s.cfg.BounceDomain == "" {
		return plain, nil
	}
	key, err := s.senderSecret()
	if err != nil {
		return "", err
	}
	return bouncePrefix + tokens32.EncodeToString(senderToken(key, id)) + "@" + s.cfg.BounceDomain, nil
}

func senderToken(key []byte, id int64) []byte {
	token := binary.BigEndian.AppendUint64(nil, uint64(id))
	h := hmac.New(sha256.New, key)
	h.Write([]byte("sender\x00"))
	h.Write(token)
	return append(token, h.Sum(nil)[:senderMAC]...)
}

// letterOfSender is the letter that a local part was made for; false for any
// that was not made here.
func (s *Service) letterOfSender(local string) (int64, bool, error) {
	text, ok := strings.CutPrefix(strings.ToLower(local), bouncePrefix)
	token, err := tokens32.DecodeString(text)
	if !ok || err != nil || len(token) != 8+senderMAC {
		return 0, false, nil
	}
	key, err := s.senderSecret()
	if err != nil {
		return 0, false, err
	}
	id := int64(binary.BigEndian.Uint64(token))
	return id, hmac.Equal(token, senderToken(key, id)), nil
}

// leaveAddress is where a mail goes that takes its writer off the list; "" where
// none is taken.
func (s *Service) leaveAddress(secret string) string {
	token, err := base64.RawURLEncoding.DecodeString(secret)
	if s.cfg.BounceDomain == "" || err != nil {
		return ""
	}
	return "mailto:" + leavePrefix + tokens32.EncodeToString(token) + "@" + s.cfg.BounceDomain + "?subject=unsubscribe"
}

// secretOfLeave is the token in such an address.
func secretOfLeave(local string) (string, bool) {
	text, ok := strings.CutPrefix(strings.ToLower(local), leavePrefix)
	token, err := tokens32.DecodeString(text)
	if !ok || err != nil || len(token) != 32 {
		return "", false
	}
	return base64.RawURLEncoding.EncodeToString(token), true
}

// Bounce is what a mail that came back to a letter's own sender says.
type Bounce struct {
	Local     string // of the address that it came to
	Complaint bool   // its reader calls the letter unwanted (RFC 5965)
	Final     bool   // not delivered for good; else only delayed
	Status    string // of RFC 3463
	Words     string // the server's
}

// errUnderWay: a letter came back before it was written down that it was handed
// over. Whoever brings it back tries again later.
var errUnderWay = errors.New("the letter that came back is still being sent")

// TakeBounce does what a mail that came back asks for: a letter that was handed
// over counts as refused, an address that takes no mail gets none for now, and
// a complaint unsubscribes from the letter's list. Whom it is about, only the
// token in the address tells. It does nothing about what isn't there any more,
// and fails about a letter that is still being sent: that is to be told again.
func (s *Service) TakeBounce(ctx context.Context, b Bounce) error {
	id, ok, err := s.letterOfSender(b.Local)
	if err != nil || !ok {
		return err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		l, err := tx.Letter(ctx, id)
		if err != nil {
			return err
		}
		if b.Complaint {
			return s.complaint(ctx, tx, l)
		}
		at := store.At(s.now())
		words, err := s.hidden(ctx, tx, l, b.Words)
		if err != nil {
			return err
		}
		if !b.Final {
			return s.comesBack(ctx, tx, l, b.Status, words, false)
		}
		if l.State == store.LetterSending {
			return errUnderWay
		}
		fresh, err := tx.ReturnLetter(ctx, l, store.Attempt{At: at, Enhanced: b.Status, Reply: words, Host: "returned"})
		if err != nil || !fresh {
			return err
		}
		if err := s.comesBack(ctx, tx, l, b.Status, words, true); err != nil {
			return err
		}
		return audit(ctx, tx, Actor{Name: "mail", Role: RoleSystem, From: "bounce"}, at, "letter returned", l.SubscriberID, fmt.Sprintf("letter %d: %s", l.ID, b.Status))
	})
	if errors.Is(err, ErrNotFound) {
		return nil // erased, or forgotten
	}
	return err
}

// complaint unsubscribes from the letter's list; on a sign-up that waits it
// cancels that.
func (s *Service) complaint(ctx context.Context, tx *store.Tx, l store.Letter) error {
	c, err := cardBehind(ctx, tx, l.SubscriberID)
	if err != nil {
		return err
	}
	by := Actor{Name: "complaint", Role: RolePerson, From: "bounce"}
	if c.Permission == Deleted {
		return s.callOffBeside(ctx, tx, c, l.ListID, by)
	}
	return s.withdraw(ctx, tx, c, l.ListID, by, Client{})
}

// hidden takes the recipient out of a report's words: beside the masked address
// they would tell the rest of it. Of a tombstone nobody knows what to take out,
// so nothing is left but the status.
func (s *Service) hidden(ctx context.Context, tx *store.Tx, l store.Letter, words string) (string, error) {
	c, err := tx.Contact(ctx, l.SubscriberID)
	if err != nil || c.Permission == Deleted {
		return "", err
	}
	p, err := tx.Open(c)
	if err != nil {
		return "", err
	}
	return withoutRecipient(p.Email, words), nil
}

// comesBack notes what a letter that was not delivered says of its address and
// of us: from a server's own reply, or from a report. On a card it becomes
// evidence: a sign-up that waits tells why nobody confirmed it.
func (s *Service) comesBack(ctx context.Context, tx *store.Tx, l store.Letter, status, words string, final bool) error {
	at := store.At(s.now())
	if aboutUs(status) {
		if err := tx.RaiseAlarm(ctx, AlarmPolicy, at, Answer(status, words)); err != nil {
			return err
		}
	}
	c, err := cardBehind(ctx, tx, l.SubscriberID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !final || c.Permission == Deleted { // else it is saved
		if err := tx.Touch(ctx, c); err != nil {
			return err
		}
		if there, err := tx.CardsOf(ctx, []int64{l.ID}); err != nil || len(there) == 0 {
			return err // erased since the letter was read
		}
	}
	if !aboutUs(status) {
		if err := tx.NoteReturned(ctx, c.AddressKey, final && hard(status), at, status); err != nil {
			return err
		}
	}
	if !final || c.Permission == Deleted {
		return nil
	}
	_, key, err := openCard(tx, c)
	if err != nil {
		return err
	}
	list, err := tx.ListByID(ctx, l.ListID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := tx.AddEvidence(ctx, key, c, store.MailReturned, at, store.EvidenceAct{List: list.Name, Note: Answer(status, words)}); err != nil {
		return err
	}
	return tx.SaveContact(ctx, c)
}

// tellReturned fills in why mail came back where the evidence of it is closed:
// the outbox says that of a letter without saying whose it is.
func (s *Service) tellReturned(ctx context.Context, c *store.Contact, events []Event) error {
	var closed []*Event
	for i := range events {
		if events[i].Kind == store.MailReturned.String() && events[i].Closed {
			closed = append(closed, &events[i])
		}
	}
	if len(closed) == 0 {
		return nil
	}
	letters, err := s.store.LettersOf(ctx, c.SubscriberID)
	for i := len(letters) - 1; i >= 0 && len(closed) > 0; i-- {
		if l := letters[i]; l.State == store.LetterRefused {
			e := closed[len(closed)-1]
			closed = closed[:len(closed)-1]
			e.Note, e.Closed = Answer(l.Enhanced, l.Reply), false
		}
	}
	return err
}

// hard tells the statuses that say that an address takes no mail, and won't
// (RFC 3463 sections 3.2 and 3.3): 5.1.7 and 5.1.8 are about the sender.
func hard(status string) bool {
	switch status {
	case "5.1.7", "5.1.8", "5.1.9":
		return false
	case "5.2.1", "5.1.10":
		return true
	}
	return strings.HasPrefix(status, "5.1.")
}

// aboutUs tells the statuses that are about the sender: its reputation, its
// domain, its keys. The person can't help them.
func aboutUs(status string) bool {
	return strings.HasPrefix(status, "5.7.") || status == "5.1.7" || status == "5.1.8"
}

// undelivered is what became of the newest letter to a card that waits; nil when
// it arrived, or may yet.
func (s *Service) undelivered(ctx context.Context, id int64) (*Undelivered, error) {
	letters, err := s.store.LettersOf(ctx, id)
	if err != nil || len(letters) == 0 {
		return nil, err
	}
	l := letters[len(letters)-1]
	if l.State != store.LetterRefused {
		return nil, nil
	}
	return &Undelivered{Status: l.Enhanced, Reply: l.Reply}, nil
}

// noMail fills in until when the address of a live card gets no mail.
func (s *Service) noMail(ctx context.Context, c *store.Contact, card *Card) error {
	if c.Permission == Deleted {
		return nil
	}
	until, err := s.noMailUntil(ctx, s.store, c.AddressKey)
	if err == nil && !until.IsZero() {
		until = until.Truncate(time.Second)
		card.NoMailUntil = &until
	}
	return err
}

// returns reads how mail to an address has come back: of the store, or of a
// transaction.
type returns interface {
	Returned(ctx context.Context, addressKey []byte) (store.Returned, error)
}

// noMailUntil is until when an address gets no mail, since it was said to take
// none; zero when it gets some.
func (s *Service) noMailUntil(ctx context.Context, from returns, addressKey []byte) (time.Time, error) {
	r, err := from.Returned(ctx, addressKey)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if until := r.HardAt.Time().Add(liftAfter); err == nil && r.HardAt != 0 && s.now().Before(until) {
		return until, nil
	}
	return time.Time{}, err
}

// addressOf is the address key of a card, or of an address that need not have
// one; the card is nil then.
func addressOf(ctx context.Context, tx *store.Tx, target string) (*store.Contact, []byte, error) {
	id, address, err := parseTarget(target)
	if err != nil {
		return nil, nil, err
	}
	if id != 0 {
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		return c, c.AddressKey, nil
	}
	c, err := known(ctx, tx, address)
	return c, tx.Keys().AddressKey(address), err
}

// AllowMail lets mail go again to an address, or that of a card, from which it
// came back.
func (s *Service) AllowMail(ctx context.Context, a Actor, target, reason string) (lifted bool, err error) {
	var id int64
	defer func() { err = s.trace(ctx, a, doLetters, id, err) }()
	if err := s.allow(ctx, a, doLetters); err != nil {
		return false, err
	}
	if reason, err = plain("the reason", reason); err != nil {
		return false, err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, key, err := addressOf(ctx, tx, target)
		if err != nil {
			return err
		}
		var p store.Person
		if c != nil {
			id = c.SubscriberID
			if p, err = tx.Open(c); err != nil {
				return err
			}
		}
		if err := personal("the reason", reason, p); err != nil {
			return err
		}
		if lifted, err = tx.ForgetReturned(ctx, key); err != nil || !lifted {
			return err
		}
		return audit(ctx, tx, a, store.At(s.now()), "allow mail", id, reason)
	})
	return lifted, notFound(err, target)
}
