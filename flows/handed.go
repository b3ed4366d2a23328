package flows

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"kartotek/store"
)

// handing is a letter that was handed over.
type handing struct {
	letter   store.Letter
	envelope store.Envelope
	handed   store.Handed
	// What was made ready before the transaction: the name of the letter's list,
	// the evidence key of the recipient, and the address key that the card must
	// have for it; nil for none.
	list       string
	key        store.EvidenceKey
	addressKey []byte
}

// ready derives the keys, which takes longer than anything else about a
// letter that was handed over. An address that is none has no keys of its own.
func (h *handing) ready(keys *store.Keys) error {
	a, err := store.ParseAddress(h.envelope.To)
	if err != nil {
		return nil
	}
	if h.key, err = keys.EvidenceKey(a); err != nil {
		return err
	}
	h.addressKey = keys.AddressKey(a)
	return nil
}

// handedOver writes the evidence that confirmation mails left, and notes it
// for the confirmations, whose evidence outlives the mails'. Beside a tombstone
// the note is all: it keeps its three acts only. The letters have ended before:
// none is given to another card meanwhile.
func handedOver(ctx context.Context, tx *store.Tx, all []handing) error {
	all = slices.DeleteFunc(all, func(h handing) bool { return h.letter.SubscriberID == 0 })
	if len(all) == 0 {
		return nil
	}
	contacts, err := takeActs(ctx, tx, all)
	if err != nil {
		return err
	}
	notes := make([]store.HandedLetter, len(all))
	for i, h := range all {
		notes[i] = store.HandedLetter{SubscriberID: h.letter.SubscriberID, MessageID: h.envelope.MessageID, Handed: h.handed}
	}
	if err := tx.NoteHanded(ctx, notes); err != nil {
		return err
	}
	acts := make([]*store.Evidence, 0, len(all))
	lists := map[int64]string{}
	for i := range all {
		c := contacts[all[i].letter.SubscriberID]
		if c == nil {
			continue
		}
		e, err := sentEvidence(ctx, tx, c, &all[i], lists)
		if err != nil {
			return err
		}
		acts = append(acts, e)
	}
	return tx.InsertEvidences(ctx, acts)
}

// takeActs makes room for an act on the card of each letter. Who came back from
// a tombstone while the letter was handed over has it on the new card.
func takeActs(ctx context.Context, tx *store.Tx, all []handing) (map[int64]*store.Contact, error) {
	ids := make([]int64, len(all))
	for i, h := range all {
		ids[i] = h.letter.SubscriberID
	}
	contacts, err := tx.TakeActs(ctx, ids)
	if err != nil {
		return nil, err
	}
	var beside []int64
	for _, h := range all {
		if contacts[h.letter.SubscriberID] == nil {
			beside = append(beside, h.letter.ID)
		}
	}
	now, err := tx.CardsOf(ctx, beside)
	if err != nil {
		return nil, err
	}
	var moved []int64
	for i := range all {
		l := &all[i].letter
		if id, ok := now[l.ID]; ok && id != l.SubscriberID {
			l.SubscriberID = id
			moved = append(moved, id)
		}
	}
	more, err := tx.TakeActs(ctx, moved)
	maps.Copy(contacts, more)
	return contacts, err
}

// sentEvidence is the act of one letter; lists remembers the names of those
// that were looked up.
func sentEvidence(ctx context.Context, tx *store.Tx, c *store.Contact, h *handing, lists map[int64]string) (*store.Evidence, error) {
	key, err := h.evidenceKey(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	name, ok := lists[h.letter.ListID]
	if h.list != "" {
		name, ok = h.list, true
	}
	if !ok {
		list, err := tx.ListByID(ctx, h.letter.ListID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		name = list.Name
		lists[h.letter.ListID] = name
	}
	return key.Prepare(c, store.LetterSent, h.handed.At, store.EvidenceAct{MessageID: h.envelope.MessageID, List: name, Handed: h.handed}), nil
}

// evidenceKey is the key of a card's evidence. The card need not be opened for
// it when the letter's address is still the card's.
func (h *handing) evidenceKey(ctx context.Context, tx *store.Tx, c *store.Contact) (store.EvidenceKey, error) {
	if h.addressKey != nil && bytes.Equal(h.addressKey, c.AddressKey) {
		return h.key, nil
	}
	whole, err := tx.Contact(ctx, c.SubscriberID)
	if err != nil {
		return store.EvidenceKey{}, err
	}
	_, key, err := openCard(tx, whole)
	return key, err
}
