package flows

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"kartotek/store"
)

// bulkChunk is how many contacts are read and written at once.
const bulkChunk = 500

// bulkPrefix starts the names of bulk exports; the request's number follows it.
const bulkPrefix = "bulk-"

// makeExport writes the file. Who is in it is noted before anything of them is
// written, so that an erasure finds every file.
func (s *Service) makeExport(ctx context.Context, a Actor, e *store.BulkExport, progress func(ImportProgress)) error {
	var to []age.Recipient
	for line := range strings.SplitSeq(e.Recipients, "\n") {
		r, err := agessh.ParseRecipient(line)
		if err != nil {
			return fmt.Errorf("reading a key to encrypt to: %w", err)
		}
		to = append(to, r)
	}
	if err := os.MkdirAll(s.cfg.Exports, 0o700); err != nil {
		return fmt.Errorf("making the exports directory: %w", err)
	}
	path := filepath.Join(s.cfg.Exports, e.File)
	e.Contacts = 0
	_, err := writeFile(path, func(w io.Writer) error {
		sealed, err := age.Encrypt(w, to...)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(sealed)
		if err := s.writeContacts(ctx, e, out, progress); err != nil {
			return err
		}
		return errors.Join(out.Flush(), sealed.Close())
	})
	if errors.Is(err, errDropped) || errors.Is(err, os.ErrNotExist) { // the half file was swept away
		return errDropped
	}
	if err != nil {
		return fmt.Errorf("writing the export (it is approved: approve it again to make it anew): %w", err)
	}
	err = s.store.InTx(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		now := s.now()
		e.ExpiresAt = store.At(now.Add(bulkKept))
		switch err := tx.EndExport(ctx, *e); {
		case errors.Is(err, ErrNotFound):
			return errDropped
		case err != nil:
			return err
		}
		r, err := tx.Request(ctx, e.RequestID)
		if err != nil {
			return err
		}
		r.State, r.ClosedAt, r.ClosedBy = store.RequestDone, store.At(now), a.Name
		if err := tx.SaveRequest(ctx, &r); err != nil {
			return err
		}
		return audit(ctx, tx, a, store.At(now), "bulk export", 0, fmt.Sprintf("request %d: %d contacts", e.RequestID, e.Contacts))
	})
	if err != nil {
		return errors.Join(err, os.Remove(path)) // nothing leaves without its trace
	}
	return nil
}

var errDropped = refuse("somebody who is in the export was erased while it was made, or it was begun anew: the file was removed")

// bulkContact is one line of a bulk export.
type bulkContact struct {
	SubscriberID int64      `json:"subscriber_id"`
	Permission   Permission `json:"permission"`
	Email        string     `json:"email"`
	Mobile       string     `json:"mobile,omitempty"`
	FirstName    string     `json:"first_name,omitempty"`
	LastName     string     `json:"last_name,omitempty"`
	Language     string     `json:"language,omitempty"`
	Country      string     `json:"country,omitempty"`
	City         string     `json:"city,omitempty"`
	OwnFields    []Field    `json:"own_fields,omitempty"`
	Source       *string    `json:"source"`
	Rating       *string    `json:"rating"`
	Frozen       bool       `json:"frozen"`
	SignedUpAt   *time.Time `json:"signed_up_at"`
	ConfirmedAt  *time.Time `json:"confirmed_at"`
	Lists        []OnList   `json:"lists"`
}

// writeContacts writes one line of JSON for each contact, in constant memory.
func (s *Service) writeContacts(ctx context.Context, e *store.BulkExport, w io.Writer, progress func(ImportProgress)) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for after := int64(0); ; {
		ids, err := s.bulkIDs(ctx, *e, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		live, err := s.claim(ctx, *e, ids)
		if err != nil {
			return err
		}
		if err := s.writeChunk(ctx, enc, live, e); err != nil {
			return err
		}
		if progress != nil {
			progress(ImportProgress{Read: e.Contacts})
		}
	}
}

func (s *Service) bulkIDs(ctx context.Context, e store.BulkExport, after int64) ([]int64, error) {
	switch e.ListID {
	case 0:
		return s.store.ContactIDs(ctx, after, bulkChunk)
	case store.ExportMarked:
		return s.store.ExportMembers(ctx, e.RequestID, after, bulkChunk)
	default:
		return s.store.MemberIDs(ctx, e.ListID, after, bulkChunk)
	}
}

// claim notes that some contacts are in an export, those that are no tombstones.
func (s *Service) claim(ctx context.Context, e store.BulkExport, ids []int64) ([]int64, error) {
	var live []int64
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		live = live[:0]
		there, err := tx.ContactsOf(ctx, ids, false)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if c := there[id]; c != nil && c.Permission != Deleted {
				live = append(live, id)
			}
		}
		if err := tx.HoldExport(ctx, e, int64(len(live))); err != nil {
			if errors.Is(err, ErrNotFound) {
				return errDropped
			}
			return err
		}
		if err := tx.ForgetExportMembers(ctx, e.RequestID, live); err != nil { // of a run that was broken off
			return err
		}
		return tx.AddExportMembers(ctx, e.RequestID, live)
	})
	return live, err
}

// writeChunk writes contacts as they are after they were noted: who was erased
// before that is a tombstone here.
func (s *Service) writeChunk(ctx context.Context, enc *json.Encoder, ids []int64, e *store.BulkExport) error {
	there, err := s.store.ContactsOf(ctx, ids, true)
	if err != nil {
		return err
	}
	lists, err := s.store.Memberships(ctx, ids...)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c := there[id]
		if c == nil || c.Permission == Deleted {
			continue
		}
		p, err := s.store.Open(c)
		if err != nil {
			return err
		}
		card := cardOf(c, lists[id])
		line := bulkContact{
			SubscriberID: id, Permission: c.Permission, Email: p.Email, Mobile: p.Mobile, FirstName: p.FirstName, LastName: p.LastName, Language: p.Language,
			Country: p.Country, City: p.City, Source: card.Source, Rating: card.Rating, Frozen: c.Frozen, SignedUpAt: keptTime(c.SignedUpAt), ConfirmedAt: keptTime(c.ConfirmedAt), Lists: card.Lists,
		}
		for _, f := range p.Own {
			line.OwnFields = append(line.OwnFields, Field{Name: f.Name, Value: f.Value})
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
		e.Contacts++
	}
	return nil
}

// dropBulk removes the files of exports that a person is in, after they were
// erased: those that were being made meanwhile as well.
func (s *Service) dropBulk(ctx context.Context, ids []int64) error {
	in, err := s.store.ExportsWith(ctx, ids)
	if err != nil {
		return err
	}
	if !in {
		return s.sweepBulk(ctx)
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if err := tx.DropExportsWith(ctx, id, store.At(s.now())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.sweepBulk(ctx)
}

// sweepBulk removes from this machine the files of bulk exports whose time is
// over, or that were dropped, and forgets who was in them.
func (s *Service) sweepBulk(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(globSafe(s.cfg.Exports), bulkPrefix+"*"))
	if err != nil {
		return fmt.Errorf("looking for bulk exports: %w", err)
	}
	now := store.At(s.now())
	for _, path := range files {
		var id int64
		if _, err := fmt.Sscanf(filepath.Base(path), bulkPrefix+"%d-", &id); err != nil {
			continue
		}
		e, err := s.store.BulkExport(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		over := e.ExpiresAt != 0 && e.ExpiresAt <= now
		if info, err := os.Stat(path); err == nil && e.ExpiresAt == 0 {
			over = info.ModTime().Add(bulkKept).Before(s.now()) // one that was broken off and never made anew
		}
		if err == nil && e.GoneAt == 0 && !over && strings.HasPrefix(filepath.Base(path), e.File) {
			continue // it is kept, or is being written under its name and an ending
		}
		if over {
			if err := s.store.InTx(ctx, func(tx *store.Tx) error { return tx.ExpireExport(ctx, id, now) }); err != nil {
				return err
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing a bulk export: %w", err)
		}
	}
	return s.forgetMembers(ctx)
}

// forgetMembers forgets, in chunks, who was in exports that are gone.
func (s *Service) forgetMembers(ctx context.Context) error {
	gone, err := s.store.GoneExports(ctx, chunk)
	if err != nil {
		return err
	}
	for _, id := range gone {
		for more := true; more; {
			err := s.store.InTx(ctx, func(tx *store.Tx) error {
				n, err := tx.DropExportMembers(ctx, id, bulkChunk)
				more = n == bulkChunk
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
