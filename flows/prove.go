package flows

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/flows/proof"
	"kartotek/store"
	"kartotek/store/ledger"
)

// ProofFormats are the forms that a proof is written in, by the file's ending.
var ProofFormats = []string{"json", "html"}

// LogKey is the public key that the log's signatures are checked with: the
// company makes it known, so that proofs can be checked.
func (s *Service) LogKey() string { return s.store.Keys().Log().Public() }

const whyNoProof = "a proof shows the whole address, and so is made only for who knows it: search the full address first"

// Prove collects what is recorded of an address, with all that somebody else
// needs to check it (GDPR art. 7 (1)). A proof shows the address, so it is made
// for nobody who doesn't know that already: target holds it, or given does, and
// then target may be the SubscriberID of a card of it. The log is signed first,
// so that the newest act is in it.
func (s *Service) Prove(ctx context.Context, a Actor, target string, given *Given) (_ *proof.Bundle, err error) {
	defer func() { err = s.trace(ctx, a, doProve, 0, err) }()
	if err := s.allow(ctx, a, doProve); err != nil {
		return nil, err
	}
	address, err := s.addressFor(ctx, target, given)
	if err != nil {
		return nil, notFound(err, target)
	}
	if err := s.store.Rekey(ctx, address); err != nil {
		return nil, err
	}
	contacts, err := s.store.ByAddress(ctx, s.store.Keys().AddressKey(address))
	if err == nil && len(contacts) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, notFound(err, target)
	}
	slices.Reverse(contacts) // the oldest first
	b := &proof.Bundle{
		Format: proof.Format, MadeAt: s.now().UTC().Format(ledger.TimeForm), Controller: s.cfg.Company, Address: address.Canonical(),
		Acts: []proof.Act{}, Notices: []proof.Notice{}, PublicKey: s.LogKey(),
	}
	acts, err := s.openAll(ctx, b, contacts, address)
	if err != nil {
		return nil, err
	}
	if err := s.Seal(ctx); err != nil {
		return nil, err
	}
	if err := s.include(ctx, b, acts, address); err != nil {
		return nil, err
	}
	newest := contacts[len(contacts)-1].SubscriberID
	return b, s.store.InTx(ctx, func(tx *store.Tx) error {
		return audit(ctx, tx, a, store.At(s.now()), "prove", newest, "")
	})
}

// addressFor is the full address that a proof is about.
func (s *Service) addressFor(ctx context.Context, target string, given *Given) (store.Address, error) {
	id, address, err := parseTarget(target)
	if err != nil || id == 0 {
		return address, err
	}
	c, err := s.store.Contact(ctx, id)
	if err != nil {
		return address, err
	}
	switch {
	case given == nil:
		return address, refuse(whyNoProof)
	case !slices.ContainsFunc(s.store.Keys().AddressKeys(given.address), func(key []byte) bool { return bytes.Equal(c.AddressKey, key) }):
		return address, refuse("this is not the address of card %d: check it with the person", id)
	}
	return given.address, nil
}

// openAll opens the acts of all cards of an address, and tells how things stand.
func (s *Service) openAll(ctx context.Context, b *proof.Bundle, contacts []*store.Contact, address store.Address) ([]*store.Evidence, error) {
	key, err := s.store.Keys().EvidenceKey(address)
	if err != nil {
		return nil, err
	}
	var out []*store.Evidence
	for _, c := range contacts {
		acts, err := s.store.EvidenceOf(ctx, c.SubscriberID)
		if err != nil {
			return nil, err
		}
		for _, e := range acts {
			if err := key.Open(e); err != nil {
				return nil, fmt.Errorf("act %d of card %d: %w", e.N, c.SubscriberID, err)
			}
			if err := s.addNotice(ctx, b, e.Act.Notice); err != nil {
				return nil, err
			}
		}
		out = append(out, acts...)
		b.Cards = append(b.Cards, proof.Card{
			SubscriberID: c.SubscriberID, Permission: c.Permission.String(), Frozen: c.Frozen,
			DeletedAt: recordTime(c.DeletedAt), WithdrawnAt: recordTime(c.WithdrawnAt), EvidenceRemoved: evidenceRemoved(c),
		})
	}
	return out, nil
}

func recordTime(at store.Micros) string {
	if at == 0 {
		return ""
	}
	return at.Time().Format(ledger.TimeForm)
}

func (s *Service) addNotice(ctx context.Context, b *proof.Bundle, id string) error {
	if id == "" || slices.ContainsFunc(b.Notices, func(n proof.Notice) bool { return n.SHA256 == id }) {
		return nil
	}
	text, err := s.store.Notice(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("the text of a notice is missing in the store: %w", store.ErrDamaged)
	}
	b.Notices = append(b.Notices, proof.Notice{SHA256: id, Text: text})
	return err
}

// include adds the acts with their paths in the tree, and its checkpoint.
func (s *Service) include(ctx context.Context, b *proof.Bundle, acts []*store.Evidence, address store.Address) error {
	note, err := s.store.LastCheckpoint(ctx)
	if err != nil {
		return err
	}
	verifier, err := ledger.Verifier(b.PublicKey)
	if err != nil {
		return err
	}
	at, err := ledger.OpenCheckpoint(note, verifier)
	if err != nil {
		return errLogChanged
	}
	b.Checkpoint = at.Note
	tree := newTreeReader(ctx, s.store)
	for _, e := range acts {
		first, err := s.store.Placed(ctx, e.Leaf.Batch)
		if errors.Is(err, ErrNotFound) {
			err = errLogChanged
		}
		if err != nil {
			return err
		}
		act := proof.Act{Salt: hex.EncodeToString(e.Salt[:]), Leaf: first + e.Leaf.Place, Path: []string{}}
		sealed := e.SealedDigest()
		act.Sealed = hex.EncodeToString(sealed[:])
		if err := act.SetRecord(e.Record(address)); err != nil {
			return err
		}
		path, err := tlog.ProveRecord(at.Size, act.Leaf, tree)
		if err != nil {
			return fmt.Errorf("proving an act: %w", err)
		}
		for _, h := range path {
			act.Path = append(act.Path, h.String())
		}
		b.Acts = append(b.Acts, act)
	}
	return nil
}

// WriteProof writes a proof as JSON.
func (s *Service) WriteProof(b *proof.Bundle, w io.Writer) error {
	return b.Write(w, s.store.Keys().Log())
}

// SaveProof writes a proof to a new file of mode 0600, in the form that its
// ending names.
func (s *Service) SaveProof(b *proof.Bundle, path string) error {
	write := s.WriteProof
	switch {
	case strings.HasSuffix(path, ".json"):
	case strings.HasSuffix(path, ".html"):
		write = func(b *proof.Bundle, w io.Writer) error { return b.WriteHTML(w, s.store.Keys().Log()) }
	default:
		return refuse("a proof is written to a file that ends in .json or .html")
	}
	if _, err := writeFile(path, func(w io.Writer) error { return write(b, w) }); err != nil {
		return fmt.Errorf("writing the proof: %w", err)
	}
	return nil
}

// KeepProof writes a proof, in one of ProofFormats, to the exports directory,
// which an erasure clears of the person. One that was made before an erasure
// holds what that took away: it is refused.
func (s *Service) KeepProof(ctx context.Context, b *proof.Bundle, format string) (string, error) {
	if !slices.Contains(ProofFormats, format) {
		return "", refuse("a proof is written as %s", strings.Join(ProofFormats, " or "))
	}
	if err := os.MkdirAll(s.cfg.Exports, 0o700); err != nil {
		return "", fmt.Errorf("making the exports directory: %w", err)
	}
	name := fmt.Sprintf("%s%d-%s-%s-proof.%s", exportPrefix, b.Cards[len(b.Cards)-1].SubscriberID, s.now().UTC().Format("20060102T150405"), rand.Text()[:6], format)
	path := filepath.Join(s.cfg.Exports, name)
	if err := s.SaveProof(b, path); err != nil {
		return "", err
	}
	// An erasure at the same moment finds the file, or is found here.
	if err := s.stillStands(ctx, b); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}

// stillStands tells whether the cards of a proof still hold what it shows.
func (s *Service) stillStands(ctx context.Context, b *proof.Bundle) error {
	for _, was := range b.Cards {
		c, err := s.store.Contact(ctx, was.SubscriberID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err != nil || c.Permission == Deleted && was.Permission != Deleted.String() || evidenceRemoved(c) && !was.EvidenceRemoved {
			return refuse("the person was erased, or the evidence removed, since the proof was made: make it anew")
		}
	}
	return nil
}
