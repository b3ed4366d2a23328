package flows

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"kartotek/flows/lang"
	"kartotek/flows/letters"
	"kartotek/store"
)

// confirmation is a confirmation mail that a flow wants to send.
type confirmation struct {
	To       store.Address
	Contact  *store.Contact // whom it is about; the tombstone, for one who comes back
	List     store.List
	Purpose  letters.Purpose
	Lang     string
	Notice   string // the text; "" means the default one
	NoticeID string // set by send
	Data     store.TokenData
}

// send makes the tokens and puts the letter into the outbox, unless the limits
// of the address forbid it: then it returns when the next one may go.
func (s *Service) send(ctx context.Context, tx *store.Tx, c *confirmation, now time.Time) (wait time.Time, err error) {
	if wait, err = tx.TakeMail(ctx, c.To, now); err != nil || !wait.IsZero() {
		return wait, err
	}
	tag, ok := lang.Parse(c.Lang)
	if !ok {
		tag = lang.English
	}
	if c.Notice == "" {
		c.Notice = letters.DefaultNotice(tag, c.List.Name, s.cfg.Company)
	}
	if c.NoticeID, err = tx.AddNotice(ctx, c.Notice, store.At(now)); err != nil {
		return wait, err
	}
	confirm, cancel := store.NewToken(), store.NewToken()
	messageID := store.NewToken()[:22] + "@" + s.host()
	letter, err := letters.Confirmation{
		Purpose: c.Purpose, Lang: tag, From: s.cfg.From, To: c.To.Canonical(), List: c.List.Name,
		ListID:     c.List.Slug + ".lists." + s.host(),
		ConfirmURL: s.cfg.PublicURL + "/confirm/" + confirm, CancelURL: s.cfg.PublicURL + "/unsubscribe/" + cancel,
		Notice: c.Notice, Expires: now.Add(ConfirmWithin), MessageID: messageID, Date: now,
	}.Compose()
	if err != nil {
		return wait, fmt.Errorf("writing the confirmation mail: %w", err)
	}
	c.Data.Lang, c.Data.Notice, c.Data.MessageID = string(tag), c.NoticeID, messageID
	token := store.Token{Purpose: store.ForConfirm, SubscriberID: c.Contact.SubscriberID, ListID: c.List.ID,
		CreatedAt: store.At(now), ExpiresAt: store.At(now.Add(ConfirmWithin)), Data: c.Data}
	if err := tx.AddToken(ctx, confirm, token); err != nil {
		return wait, err
	}
	token.Purpose, token.ExpiresAt, token.Data = store.ForUnsubscribe, store.At(now.Add(cancelWithin)), store.TokenData{Lang: string(tag)}
	if err := tx.AddToken(ctx, cancel, token); err != nil {
		return wait, err
	}
	return wait, tx.Enqueue(ctx, &store.Letter{SubscriberID: c.Contact.SubscriberID, Kind: string(c.Purpose), ToMasked: c.To.Masked(),
		DueAt: store.At(now), CreatedAt: store.At(now)},
		store.Envelope{From: s.cfg.From.Address, To: c.To.Canonical(), MessageID: messageID, ListID: c.List.ID, Data: letter.Raw})
}

// personal refuses a text for the audit that holds an address: the SubscriberID
// stands for the person there.
func personal(what, text string, p store.Person) error {
	if names(text, p) {
		return refuse("%s names the person: leave name, address and number out, the SubscriberID stands for them", what)
	}
	for word := range strings.FieldsSeq(text) {
		if _, err := store.ParseDisplay(strings.Trim(word, ".,;:()'\"")); err == nil {
			return refuse("%s holds an email address: leave it out, the SubscriberID stands for the person", what)
		}
	}
	return nil
}

// names tells whether a text holds a person's address, number in whatever
// writing, or name. Short names and first names count as whole words in their
// own case only: Per is a name, "per letter" is none.
func names(text string, p store.Person) bool {
	low := strings.ToLower(text)
	for _, v := range []string{p.Email, p.LastName} {
		if len(v) > 3 && strings.Contains(low, strings.ToLower(v)) {
			return true
		}
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
	if n := len(p.Mobile); n > 8 && strings.Contains(digits, p.Mobile[n-8:]) {
		return true
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' })
	for name := range strings.FieldsSeq(p.FirstName + " " + p.LastName) {
		if slices.Contains(words, name) {
			return true
		}
	}
	return false
}

// plain trims a text that staff typed, and refuses an empty or endless one.
func plain(what, text string) (string, error) {
	text = strings.Join(strings.Fields(strings.Map(printable, strings.ToValidUTF8(text, ""))), " ")
	switch {
	case text == "":
		return "", refuse("%s is missing", what)
	case len(text) > 1000:
		return "", refuse("%s is longer than 1,000 characters: shorten it", what)
	}
	return text, nil
}
