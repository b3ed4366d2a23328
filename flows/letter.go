package flows

import (
	"context"
	"fmt"
	"time"

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
	SignedUp time.Time // when the person signed up; zero means now
	Bulk     bool      // one of many: letters that somebody waits for go first
}

// send makes the tokens and puts the letter into the outbox, unless the limits
// of the address forbid it, or its mail came back: then it returns when the next
// one may go.
func (s *Service) send(ctx context.Context, tx *store.Tx, c *confirmation, now time.Time) (wait time.Time, err error) {
	if wait, err = s.noMailUntil(ctx, tx, tx.Keys().AddressKey(c.To)); err != nil || !wait.IsZero() {
		return wait, err
	}
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
	from := s.sender(c.List)
	letter, err := letters.Confirmation{
		Purpose: c.Purpose, Lang: tag, From: from, To: c.To.Canonical(), List: c.List.Name,
		ListID:     c.List.Slug + ".lists." + s.host(),
		ConfirmURL: s.cfg.PublicURL + "/confirm/" + confirm, CancelURL: s.cfg.PublicURL + "/unsubscribe/" + cancel, UnsubscribeMailto: s.leaveAddress(cancel),
		Notice: c.Notice, Expires: now.Add(ConfirmWithin), MessageID: messageID, Date: now,
	}.Compose()
	if err != nil {
		return wait, fmt.Errorf("writing the confirmation mail: %w", err)
	}
	c.Data.Lang, c.Data.Notice, c.Data.MessageID = string(tag), c.NoticeID, messageID
	token := store.Token{
		Purpose: store.ForConfirm, SubscriberID: c.Contact.SubscriberID, ListID: c.List.ID,
		CreatedAt: store.At(now), ExpiresAt: store.At(now.Add(ConfirmWithin)), Data: c.Data,
	}
	if !c.SignedUp.IsZero() {
		token.CreatedAt = store.At(c.SignedUp)
	}
	if err := tx.AddToken(ctx, confirm, token); err != nil {
		return wait, err
	}
	token.Purpose, token.ExpiresAt, token.Data = store.ForUnsubscribe, store.At(now.Add(cancelWithin)), store.TokenData{Lang: string(tag)}
	if err := tx.AddToken(ctx, cancel, token); err != nil {
		return wait, err
	}
	row := &store.Letter{
		SubscriberID: c.Contact.SubscriberID, ListID: c.List.ID, Kind: string(c.Purpose), ToMasked: c.To.Masked(),
		State: store.LetterUrgent, DueAt: store.At(now), CreatedAt: store.At(now),
	}
	if c.Bulk {
		row.State = store.LetterDue
	}
	return wait, tx.Enqueue(ctx, row, store.Envelope{From: from.Address, To: c.To.Canonical(), MessageID: messageID, Data: letter.Raw})
}
