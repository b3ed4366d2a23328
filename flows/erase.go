package flows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kartotek/store"
)

// wipePatience is how long an erasure waits for readers in other processes to
// let go of the write-ahead log, before the clock goes on trying.
const wipePatience = 5 * time.Second

// Erase turns a card into a tombstone (GDPR art. 17). The target is a full
// address or a SubscriberID. An address that nobody is known by is suppressed:
// only its key is kept, and blocks it. Erasing twice changes nothing, but
// takes away a resubscription that waits.
func (s *Service) Erase(ctx context.Context, a Actor, target, reason string) (_ Erased, err error) {
	var card int64
	defer func() { err = s.trace(ctx, a, doErase, card, err) }()
	if err := s.allow(ctx, a, doErase); err != nil {
		return Erased{}, err
	}
	reason, err = plain("the reason", reason)
	if err != nil {
		return Erased{}, err
	}
	id, address, err := parseTarget(target)
	if err != nil {
		return Erased{}, err
	}
	ids, err := s.generations(ctx, id, address)
	if err != nil {
		return Erased{}, notFound(err, target)
	}
	if len(ids) > 0 {
		card = ids[0]
	}
	// Files go first: killed in between, an export is missing that can be made again.
	files, err := s.dropExports(ids)
	if err != nil {
		return Erased{}, err
	}
	var done Erased
	err = s.store.InErasure(ctx, func(tx *store.Tx) (err error) {
		done, err = s.erase(ctx, tx, a, id, address, reason)
		return err
	})
	if err != nil {
		return Erased{}, err
	}
	more, err := s.dropExports(append(ids, done.SubscriberID)) // one that was being written meanwhile
	if err != nil {
		return Erased{}, err
	}
	if err := s.dropBulk(context.WithoutCancel(ctx), append(ids, done.SubscriberID)); err != nil {
		return Erased{}, err
	}
	done.Files = files + more
	wiped, err := s.store.WipeSoon(context.WithoutCancel(ctx), wipePatience)
	if err != nil { // the person is erased all the same: only the log is not wiped
		s.log.Error("the write-ahead log can't be wiped and is tried again", "error", err)
		done.Remnant = "the write-ahead log can't be wiped now (is the disk full?): earlier images of the row, sealed, stay in it until it can"
		return done, nil
	}
	if !wiped {
		done.Remnant = "another process is reading: earlier images of the row, sealed, leave the write-ahead log within a minute after it ends"
	}
	return done, nil
}

// parseTarget reads a SubscriberID or a full address.
func parseTarget(target string) (id int64, address store.Address, err error) {
	target = strings.TrimSpace(target)
	if id, err := strconv.ParseInt(target, 10, 64); err == nil && id > 0 && target[0] != '+' {
		return id, store.Address{}, nil
	}
	if address, err = store.ParseAddress(target); err != nil {
		return 0, address, ErrPiece
	}
	return 0, address, nil
}

// generations lists the cards that an erasure is about: the live one and the
// tombstones of its address, or one tombstone.
func (s *Service) generations(ctx context.Context, id int64, address store.Address) ([]int64, error) {
	if id == 0 {
		if err := s.store.Rekey(ctx, address); err != nil {
			return nil, err
		}
		return s.store.IDsOf(ctx, s.store.Keys().AddressKey(address))
	}
	c, err := s.store.Contact(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.Permission == Deleted { // whoever came back since is not meant
		return []int64{id}, nil
	}
	return s.store.IDsOf(ctx, c.AddressKey)
}

func (s *Service) erase(ctx context.Context, tx *store.Tx, a Actor, id int64, address store.Address, reason string) (Erased, error) {
	var c *store.Contact
	var err error
	if id != 0 {
		c, err = tx.Contact(ctx, id)
	} else {
		c, err = known(ctx, tx, address)
	}
	if err != nil {
		return Erased{}, err
	}
	out, err := decide(c, ActErase)
	if err != nil {
		return Erased{}, err
	}
	at := store.At(s.now())
	if c == nil {
		return s.suppress(ctx, tx, a, address, reason, at)
	}
	if out.Verdict == NoChange {
		return s.eraseAgain(ctx, tx, a, c, address, reason, at)
	}
	if err := s.purge(ctx, tx, c.AddressKey); err != nil {
		return Erased{}, err
	}
	done := Erased{SubscriberID: c.SubscriberID}
	p, key, err := openCard(tx, c)
	if err != nil {
		return done, err
	}
	if err := personal("the reason", reason, p); err != nil {
		return done, err
	}
	dropped, err := entomb(ctx, tx, c, key, at, store.EvidenceAct{IP: a.IP, By: a.Name, Note: reason})
	if err != nil {
		return done, err
	}
	return done, auditDrop(ctx, tx, a, at, "erase", c.SubscriberID, reason, dropped)
}

// eraseAgain takes away what waits beside a tombstone. Somebody who came back
// under a card of their own keeps what belongs to that.
func (s *Service) eraseAgain(ctx context.Context, tx *store.Tx, a Actor, c *store.Contact, address store.Address, reason string, at store.Micros) (Erased, error) {
	done := Erased{SubscriberID: c.SubscriberID, Before: true}
	if err := personal("the reason", reason, store.Person{Email: address.Canonical()}); err != nil {
		return done, err
	}
	newest, err := tx.Newest(ctx, c.AddressKey)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && newest.SubscriberID == c.SubscriberID:
		err = s.purge(ctx, tx, c.AddressKey)
	case err != nil:
	case newest.Permission == Deleted: // from which the person may come back at this moment
		if err = tx.Touch(ctx, newest); err == nil {
			err = s.purge(ctx, tx, c.AddressKey)
		}
	default:
		err = errors.Join(tx.DropTokens(ctx, c.SubscriberID, 0), tx.DropLetters(ctx, c.SubscriberID, 0))
	}
	if err != nil {
		return done, err
	}
	if err := tx.SaveContact(ctx, c); err != nil { // guards against a confirmation at this moment
		return done, err
	}
	return done, audit(ctx, tx, a, at, "erase", c.SubscriberID, "erased before; "+reason)
}

// purge removes what lies beside the cards of an address: links, letters in
// every state, captured mail, words in requests, bulk exports.
func (s *Service) purge(ctx context.Context, tx *store.Tx, addressKey []byte) error {
	ids, err := tx.IDsOf(ctx, addressKey)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := tx.ClearRequests(ctx, id); err != nil {
			return err
		}
		if err := tx.DropExportsWith(ctx, id, store.At(s.now())); err != nil {
			return err
		}
		if err := tx.DropTokens(ctx, id, 0); err != nil {
			return err
		}
		if err := tx.DropLetters(ctx, id, 0); err != nil {
			return err
		}
	}
	if _, err := tx.ForgetReturned(ctx, addressKey); err != nil {
		return err
	}
	return tx.DropCaptured(ctx, addressKey)
}

// entomb makes the tombstone: SubscriberID, address key, permission, three
// times, and the sealed evidence of those three acts. Nothing else stays: it
// tells of how many acts the evidence went.
func entomb(ctx context.Context, tx *store.Tx, c *store.Contact, key store.EvidenceKey, at store.Micros, act store.EvidenceAct) (int64, error) {
	acts, err := tx.EvidenceOf(ctx, c.SubscriberID)
	if err != nil {
		return 0, err
	}
	var keep []int64
	for _, e := range acts {
		signUp := (e.Kind == store.SignedUp || e.Kind == store.Resubscription) && e.At == c.SignedUpAt
		if signUp || (e.Kind == store.Confirmation && e.At == c.ConfirmedAt) {
			keep = append(keep, e.N)
		}
	}
	if len(keep) > 2 {
		keep = append(keep[:1], keep[len(keep)-1])
	}
	all, err := tx.Memberships(ctx, c.SubscriberID)
	if err != nil {
		return 0, err
	}
	for _, m := range all[c.SubscriberID] {
		if err := tx.RemoveMembership(ctx, m); err != nil {
			return 0, err
		}
	}
	act.Kept = keep
	if err := tx.AddEvidence(ctx, key, c, store.Erasure, at, act); err != nil {
		return 0, err
	}
	dropped, err := tx.KeepEvidence(ctx, c.SubscriberID, append(slices.Clone(keep), c.Acts)...)
	if err != nil {
		return 0, err
	}
	*c = c.Tombstone(at)
	return dropped, tx.SaveContact(ctx, c)
}

// suppress keeps the key of an address that nobody is known by, so that it
// can't be signed up, imported or added.
func (s *Service) suppress(ctx context.Context, tx *store.Tx, a Actor, address store.Address, reason string, at store.Micros) (Erased, error) {
	if err := personal("the reason", reason, store.Person{Email: address.Canonical()}); err != nil {
		return Erased{}, err
	}
	id, err := tx.NextIDs(ctx, "contacts", 1)
	if err != nil {
		return Erased{}, err
	}
	c := &store.Contact{SubscriberID: id, AddressKey: tx.Keys().AddressKey(address), Permission: Deleted, DeletedAt: at, LastSeenAt: at}
	key, err := tx.Keys().EvidenceKey(address)
	if err != nil {
		return Erased{}, err
	}
	if err := tx.AddEvidence(ctx, key, c, store.Erasure, at, store.EvidenceAct{IP: a.IP, By: a.Name, Note: reason}); err != nil {
		return Erased{}, err
	}
	if err := tx.AddContact(ctx, c); err != nil {
		return Erased{}, err
	}
	return Erased{SubscriberID: id, Suppressed: true}, audit(ctx, tx, a, at, "suppress", id, reason)
}

// notFound says who was not found, without saying who.
func notFound(err error, target string) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if _, parse := strconv.ParseInt(strings.TrimSpace(target), 10, 64); parse == nil {
		return fmt.Errorf("no card has that SubscriberID: %w", err)
	}
	return fmt.Errorf("nobody is known by that address: %w", err)
}
