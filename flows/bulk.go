package flows

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age/agessh"

	"kartotek/store"
)

// bulkKept is how long the file of a bulk export is kept.
const bulkKept = 7 * 24 * time.Hour

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
