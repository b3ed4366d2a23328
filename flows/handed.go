package flows

import (
	"bytes"
	"context"
	"errors"

	"kartotek/store"
)

// handing is a letter that was handed over.
type handing struct {
	letter   store.Letter
	envelope store.Envelope
	handed   store.Handed
}

// handedOver writes the evidence that confirmation mails left, and notes it
// for the confirmations, whose evidence outlives the mails'. Beside a tombstone
// the note is all: it keeps its three acts only.
func handedOver(ctx context.Context, tx *store.Tx, all []handing) error {
	var ids []int64
	var notes []store.HandedLetter
	for _, h := range all {
		if h.letter.SubscriberID != 0 {
			ids = append(ids, h.letter.SubscriberID)
			notes = append(notes, store.HandedLetter{SubscriberID: h.letter.SubscriberID, MessageID: h.envelope.MessageID, Handed: h.handed})
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := tx.NoteHanded(ctx, notes); err != nil {
		return err
	}
	contacts, err := tx.TakeActs(ctx, ids)
	if err != nil {
		return err
	}
	var acts []*store.Evidence
	lists := map[int64]string{}
	for _, h := range all {
		c := contacts[h.letter.SubscriberID]
		if c == nil {
			continue
		}
		e, err := sentEvidence(ctx, tx, c, h, lists)
		if err != nil {
			return err
		}
		acts = append(acts, e)
	}
	return tx.InsertEvidences(ctx, acts)
}

// sentEvidence is the act of one letter; lists remembers the names of those
// that were looked up.
func sentEvidence(ctx context.Context, tx *store.Tx, c *store.Contact, h handing, lists map[int64]string) (*store.Evidence, error) {
	key, err := evidenceKeyOf(tx, c, h.envelope.To)
	if err != nil {
		return nil, err
	}
	name, ok := lists[h.letter.ListID]
	if !ok {
		list, err := tx.ListByID(ctx, h.letter.ListID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		name = list.Name
		lists[h.letter.ListID] = name
	}
	return key.Prepare(c, store.LetterSent, h.handed.At, store.EvidenceAct{MessageID: h.envelope.MessageID, List: name, Handed: h.handed})
}

// evidenceKeyOf is the key of a card's evidence. The card need not be opened
// for it when an address that is known is still the card's.
func evidenceKeyOf(tx *store.Tx, c *store.Contact, known string) (store.EvidenceKey, error) {
	if a, err := store.ParseAddress(known); err == nil && bytes.Equal(tx.Keys().AddressKey(a), c.AddressKey) {
		return tx.Keys().EvidenceKey(a)
	}
	_, key, err := openCard(tx, c)
	return key, err
}
