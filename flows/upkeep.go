package flows

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kartotek/store"
)

// Backup writes a copy of an embedded store to a new file. It is in the audit,
// and so in the copy, before it is made.
func (s *Service) Backup(ctx context.Context, a Actor, to string) (err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return err
	}
	if err := s.store.CanBackUp(to); err != nil {
		return err
	}
	if err := s.note(ctx, a, "backup", "to "+placeOf(to)); err != nil {
		return err
	}
	if err := s.Seal(ctx); err != nil {
		return err
	}
	return s.store.Backup(ctx, to)
}

// placeOf is a file's path for the audit.
func placeOf(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return oneLine(path, 300)
}

// Copy moves the store into another, which must be empty or a copy that was
// broken off. It is in the audit before anything is read, or, of one that goes
// on, at its end: what was copied already must stay as it is until then.
func (s *Service) Copy(ctx context.Context, a Actor, to *store.Store, progress func(done, total int64)) (_ store.Copied, err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return store.Copied{}, err
	}
	begun, err := to.CopyBegun(ctx, s.store)
	if err != nil {
		return store.Copied{}, err
	}
	if !begun {
		if err := s.note(ctx, a, "copy", "to "+to.Name()); err != nil {
			return store.Copied{}, err
		}
		if err := s.Seal(ctx); err != nil {
			return store.Copied{}, err
		}
	}
	done, err := to.CopyFrom(ctx, s.store, progress)
	if err == nil && begun {
		err = s.note(ctx, a, "copy", "to "+to.Name()+", gone on with after it was broken off")
	}
	return done, err
}

// Journal describes this machine's erasure journal.
func (s *Service) Journal(ctx context.Context, a Actor) (store.JournalInfo, error) {
	if err := s.allow(ctx, a, doKeys); err != nil {
		return store.JournalInfo{}, err
	}
	return s.store.Journal(ctx)
}

// RenewingJournal lets another erasure journal be begun where this machine's
// was lost for good. The store answers nothing yet but who is in staff.
func (s *Service) RenewingJournal(ctx context.Context, a Actor) error {
	if err := s.allow(ctx, a, doKeys); err != nil {
		return err
	}
	return s.note(ctx, a, "new journal", "this machine's was lost")
}

// Migrated writes down that a server's schema was made or brought up to date,
// as it is by whoever opens an embedded store first: no role is needed.
func (s *Service) Migrated(ctx context.Context, a Actor, version int64) error {
	if err := s.StillIn(ctx, a); err != nil {
		return err
	}
	return s.note(ctx, a, "migrate", "schema "+strconv.FormatInt(version, 10))
}

// Restoring lets a backup take the place of the store: who does so signs in
// here first, and is an owner by what the store says now, not by what it said
// when the backup was made.
func (s *Service) Restoring(ctx context.Context, a Actor, reason string) (err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return err
	}
	why, err := causeOf(reason)
	if err != nil {
		return err
	}
	if err := s.note(ctx, a, "restore", "begins: "+why); err != nil {
		return err
	}
	return s.Seal(ctx) // so that the file of checkpoints knows of the row
}

// Restored ends a restore, in the store that was one: who did so and why is in
// its audit, and what its log lacks is owned up to in the log itself. An actor
// of the store before is taken at their word; first is false when nobody
// could sign in there.
func (s *Service) Restored(ctx context.Context, a Actor, reason string, first bool) (_ *Setback, err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if first {
		a.Staff, a.Key, a.Local = 0, "", false
	}
	if err := s.allow(ctx, a, doKeys); err != nil {
		return nil, err
	}
	why, err := causeOf(reason)
	if err != nil {
		return nil, err
	}
	if !first {
		why += " (signed in by the backup's staff: the store before it could not be opened)"
	}
	lost, err := s.accept(ctx, a, why)
	if lost == nil && (err == nil || errors.Is(err, errTamperedTree)) { // audit verify tells of that
		err = s.note(ctx, a, "restore", why)
	}
	return lost, err
}

// AcceptRestore owns up to a restore by other means, such as a database
// server's own tools: the log lacks what was signed since the backup. Refused
// when it lacks nothing, or was tampered with besides.
func (s *Service) AcceptRestore(ctx context.Context, a Actor, reason string) (_ *Setback, err error) {
	defer func() { err = s.trace(ctx, a, doKeys, 0, err) }()
	if err := s.allow(ctx, a, doKeys); err != nil {
		return nil, err
	}
	why, err := causeOf(reason)
	if err != nil {
		return nil, err
	}
	lost, err := s.accept(ctx, a, why)
	if lost == nil && err == nil {
		err = refuse("the log lacks nothing that was signed: there is no restore to own up to")
	}
	return lost, err
}

// KeepSettings keeps what the processes on a store have in common, as whoever
// serves it says. It writes only what is new: a start must not wait behind
// another process's import. What was otherwise before is in the audit, under
// the operating system's user.
func (s *Service) KeepSettings(ctx context.Context, user string, values map[string]string) error {
	var changed []string
	values = maps.Clone(values)
	for name, value := range values {
		old, err := s.store.Setting(ctx, name)
		switch {
		case err != nil:
			return err
		case old == value:
			delete(values, name)
		case old != "":
			changed = append(changed, name)
		}
	}
	if len(values) == 0 {
		return nil
	}
	slices.Sort(changed)
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		for name, value := range values {
			if err := tx.SetSetting(ctx, name, value); err != nil {
				return err
			}
		}
		if len(changed) == 0 {
			return nil
		}
		a := Actor{Name: "system", Role: RoleSystem, From: "serve", User: short(user)}
		return audit(ctx, tx, a, store.At(s.now()), "settings", 0, "changed: "+strings.Join(changed, ", "))
	})
}

// causeOf is the reason of an act on the whole store, for the audit.
func causeOf(reason string) (string, error) {
	if err := goodReason(reason); err != nil {
		return "", err
	}
	cause, err := plain("the reason", reason)
	if err == nil {
		err = personal("the reason", cause, store.Person{})
	}
	return cause, err
}
