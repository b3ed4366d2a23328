package flows

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"kartotek/store"
)

// bulkKept is how long the file of a bulk export is kept.
const bulkKept = 7 * 24 * time.Hour

// bulkChunk is how many contacts are read and written at once.
const bulkChunk = 500

// mostMarked bounds how many contacts are asked for by their SubscriberIDs.
const mostMarked = 10_000

// BulkWish is what a bulk export is to hold: a list, everybody, or the contacts
// that were marked.
type BulkWish struct {
	List   string
	All    bool
	IDs    []int64
	Reason string
}

// AskExport asks for a bulk export. It is made when a second person approves,
// and is encrypted to the SSH keys of who asks.
func (s *Service) AskExport(ctx context.Context, a Actor, w BulkWish) (_ Request, err error) {
	defer func() { err = s.trace(ctx, a, doExport, 0, err) }()
	if err := s.allow(ctx, a, doExport); err != nil {
		return Request{}, err
	}
	if a.Staff == 0 {
		return Request{}, refuse("a bulk export needs a second person's approval, and there are no staff: begin with kartotek staff add NAME --role owner")
	}
	e := store.BulkExport{StaffID: a.Staff, User: a.User}
	switch {
	case w.List != "" && !w.All && len(w.IDs) == 0:
		l, err := s.listNamed(ctx, w.List)
		if err != nil {
			return Request{}, err
		}
		e.ListID = l.ID
	case w.All && w.List == "" && len(w.IDs) == 0:
	case len(w.IDs) > 0 && w.List == "" && !w.All:
		e.ListID = store.ExportMarked
		slices.Sort(w.IDs)
		if w.IDs = slices.Compact(w.IDs); len(w.IDs) > mostMarked {
			return Request{}, refuse("at most 10,000 contacts can be marked for an export: ask for a list")
		}
	default:
		return Request{}, refuse("say what the export is to hold: a list, everybody, or contacts that are marked")
	}
	var r store.Request
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		note, err := s.harmless(tx, nil, "the reason", w.Reason)
		if err != nil {
			return err
		}
		if e.Recipients, err = recipientsOf(ctx, tx, a.Staff); err != nil {
			return err
		}
		now := s.now()
		r = store.Request{Kind: KindExport, State: store.RequestOpen, ReceivedAt: store.At(now), DueAt: store.At(now.Add(bulkKept)), MadeBy: a.Name, Note: note}
		if err := tx.AddRequest(ctx, &r); err != nil {
			return err
		}
		e.RequestID = r.ID
		if err := tx.AddBulkExport(ctx, e, w.IDs); err != nil {
			return err
		}
		return audit(ctx, tx, a, r.ReceivedAt, "ask export", 0, fmt.Sprintf("request %d: %s", r.ID, note))
	})
	if err != nil {
		return Request{}, err
	}
	return s.requestOf(ctx, r)
}

// recipientsOf are the public keys of one of staff that a file can be
// encrypted to, one a line.
func recipientsOf(ctx context.Context, tx *store.Tx, staff int64) (string, error) {
	keys, err := tx.KeysOfStaffer(ctx, staff)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, k := range keys {
		if _, err := agessh.ParseRecipient(k.Line); err == nil {
			lines = append(lines, k.Line)
		}
	}
	if len(lines) == 0 {
		return "", refuse("the file is encrypted to your SSH key, and you have none that can be used for it: add one of the kind ssh-ed25519 or ssh-rsa with staff keys add")
	}
	return strings.Join(lines, "\n"), nil
}

// Approve lets a bulk export be made, by another one of staff than who asked,
// and makes it. One that was approved and broken off is made anew.
func (s *Service) Approve(ctx context.Context, a Actor, id int64, progress func(ImportProgress)) (_ Request, err error) {
	defer func() { err = s.trace(ctx, a, doApprove, 0, err) }()
	if err := s.allow(ctx, a, doApprove); err != nil {
		return Request{}, err
	}
	machine, err := os.Hostname()
	if err != nil {
		return Request{}, fmt.Errorf("finding this machine's name: %w", err)
	}
	var e store.BulkExport
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		r, err := tx.Request(ctx, id)
		if err != nil {
			return noRequest(err)
		}
		if r.Kind != KindExport {
			return refuse("only a bulk export is approved: close a person's request")
		}
		if r.State != store.RequestOpen && r.State != store.RequestApproved {
			return refuse("request %d is %s already", id, r.State)
		}
		if e, err = tx.BulkExport(ctx, id); err != nil {
			return err
		}
		if err := secondPerson(ctx, tx, a, e); err != nil {
			return err
		}
		if e.GoneAt != 0 {
			return refuse("somebody who was in this export was erased while it was made: ask for it anew")
		}
		e.File, e.Machine = fmt.Sprintf("%s%d-%s.jsonl.age", bulkPrefix, id, rand.Text()[:6]), machine
		if err := tx.BeginExport(ctx, &e); err != nil {
			return err
		}
		r.State, r.ClosedBy = store.RequestApproved, a.Name
		if err := tx.SaveRequest(ctx, &r); err != nil {
			return err
		}
		return audit(ctx, tx, a, store.At(s.now()), "approve export", 0, fmt.Sprintf("request %d", id))
	})
	if err != nil {
		return Request{}, err
	}
	if err := s.makeExport(ctx, a, &e, progress); err != nil {
		return Request{}, err
	}
	return s.Request(ctx, a, id)
}

// secondPerson refuses whoever may be the one who asked: the same of staff,
// somebody with one of their keys, or the same user of the operating system
// under another name.
func secondPerson(ctx context.Context, tx *store.Tx, a Actor, e store.BulkExport) error {
	if a.Staff == 0 {
		return refuse("only one of staff can approve: there are none, so there is no second person")
	}
	if a.Staff == e.StaffID {
		return refuse("a bulk export is approved by a second person, not by who asked for it")
	}
	if a.User != "" && a.User == e.User {
		return refuse("the same user of this machine asked for it under another name: approve it over SSH, with a key of your own")
	}
	asker, err := tx.StafferByID(ctx, e.StaffID)
	if err != nil {
		return err
	}
	if !asker.Enabled || may(Actor{Role: Role(asker.Role)}, doExport) != nil {
		return refuse("%s, who asked for it, may not export any more: reject it", asker.Name)
	}
	keys, err := tx.KeysOfStaffer(ctx, a.Staff)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if slices.Contains(strings.Split(e.Recipients, "\n"), k.Line) {
			return refuse("your key is one of those of who asked for it")
		}
	}
	return nil
}

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
		if e.ListID == store.ExportMarked {
			return nil // noted when it was asked for
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

// FetchExport writes the encrypted file of a bulk export, for who asked for it.
func (s *Service) FetchExport(ctx context.Context, a Actor, id int64, w io.Writer) (err error) {
	defer func() { err = s.trace(ctx, a, doExport, 0, err) }()
	if err := s.allow(ctx, a, doExport); err != nil {
		return err
	}
	e, err := s.store.BulkExport(ctx, id)
	switch {
	case err != nil:
		return noRequest(err)
	case e.StaffID != a.Staff:
		return refuse("the file is encrypted to who asked for it, and only they can fetch it")
	case e.GoneAt != 0 || e.ExpiresAt != 0 && e.ExpiresAt <= store.At(s.now()):
		return refuse("the file is gone: it was kept for 7 days, or somebody who was in it was erased")
	case e.ExpiresAt == 0:
		return refuse("the file is not made yet: a second person has to approve it first")
	}
	f, err := os.Open(filepath.Join(s.cfg.Exports, e.File))
	if errors.Is(err, os.ErrNotExist) {
		return refuse("the file lies on the machine %s: fetch it there", e.Machine)
	}
	if err != nil {
		return fmt.Errorf("opening the export: %w", err)
	}
	defer f.Close()
	if err := s.note(ctx, a, "fetch export", fmt.Sprintf("request %d", id)); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
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
