package flows

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"kartotek/store"
)

// Retention says how long what an erasure leaves is kept.
type Retention struct {
	// EvidenceKept is how long the evidence of an erased person stays: a number
	// and d, w, m or y, counted from the erasure.
	EvidenceKept string `json:"evidence_kept"`
}

// defaultKept outlasts the time in which most claims about mail can be made.
const defaultKept = "2y"

// Retention reads for how long evidence is kept.
func (s *Service) Retention(ctx context.Context, a Actor) (Retention, error) {
	if err := s.allow(ctx, a, doRetention); err != nil {
		return Retention{}, err
	}
	return s.retention(ctx)
}

func (s *Service) retention(ctx context.Context) (Retention, error) {
	kept, err := evidenceKept(ctx, s.store)
	return Retention{EvidenceKept: kept}, err
}

// settings are read of the store, or of a transaction.
type settings interface {
	Setting(ctx context.Context, name string) (string, error)
}

func evidenceKept(ctx context.Context, from settings) (string, error) {
	kept, err := from.Setting(ctx, store.SettingEvidenceKept)
	return cmp.Or(kept, defaultKept), err
}

// SetRetention changes it. What is over its time then goes with the next run.
func (s *Service) SetRetention(ctx context.Context, a Actor, r Retention) (err error) {
	defer func() { err = s.trace(ctx, a, doRetention, 0, err) }()
	if err := s.allow(ctx, a, doRetention); err != nil {
		return err
	}
	kept := strings.ToLower(strings.ReplaceAll(r.EvidenceKept, " ", ""))
	if _, err := spanBefore(s.now(), kept); err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.SetSetting(ctx, store.SettingEvidenceKept, kept); err != nil {
			return err
		}
		return audit(ctx, tx, a, store.At(s.now()), "set retention", 0, "evidence_kept "+kept)
	})
}

// spanBefore is the time that lies a span, such as 90d or 2y, before now.
func spanBefore(now time.Time, span string) (time.Time, error) {
	wrong := refuse("a time to keep evidence is a number and d, w, m or y, such as 2y or 18m: from 1d to 100y")
	if span == "" {
		return now, wrong
	}
	n, err := strconv.Atoi(span[:len(span)-1])
	if err != nil || n < 1 || n > 36_500 {
		return now, wrong
	}
	then := now
	switch span[len(span)-1] {
	case 'd':
		then = now.AddDate(0, 0, -n)
	case 'w':
		then = now.AddDate(0, 0, -7*n)
	case 'm':
		then = now.AddDate(0, -n, 0)
	case 'y':
		then = now.AddDate(-n, 0, 0)
	default:
		return now, wrong
	}
	if then.Before(now.AddDate(-100, 0, 0)) {
		return now, wrong
	}
	return then, nil
}

// RunRetention removes the evidence that is over its time now, and tells of
// how many erased people; progress, unless nil, is told after each chunk.
func (s *Service) RunRetention(ctx context.Context, a Actor, progress func(done int)) (_ int, err error) {
	defer func() { err = s.trace(ctx, a, doRetention, 0, err) }()
	if err := s.allow(ctx, a, doRetention); err != nil {
		return 0, err
	}
	return s.expire(ctx, a, progress)
}

// expire removes the evidence of tombstones past its time, a chunk at a time.
// What is left of each is the suppression: the address key, that it is
// deleted, and since when; and who came back, for the address is that card's.
func (s *Service) expire(ctx context.Context, a Actor, progress func(done int)) (n int, err error) {
	for {
		before, err := s.keptSince(ctx, s.store)
		if err != nil {
			return n, err
		}
		ids, err := s.store.TombstonesBefore(ctx, store.At(before), chunk)
		if err != nil || len(ids) == 0 {
			return n, err
		}
		done := 0
		if err := s.store.InTx(ctx, func(tx *store.Tx) error {
			done = 0
			before, err := s.keptSince(ctx, tx) // it may be kept longer since
			if err != nil {
				return err
			}
			for _, id := range ids {
				removed, err := s.removeEvidence(ctx, tx, a, id, store.At(before))
				if err != nil {
					return err
				}
				if removed {
					done++
				}
			}
			return nil
		}); err != nil {
			return n, err
		}
		if n += done; progress != nil {
			progress(n)
		}
		// What was exported of them tells what is gone.
		if _, err := s.dropExports(ids); err != nil {
			return n, err
		}
	}
}

// keptSince is when evidence began that is kept still; what is older goes.
func (s *Service) keptSince(ctx context.Context, from settings) (time.Time, error) {
	kept, err := evidenceKept(ctx, from)
	if err != nil {
		return time.Time{}, err
	}
	return spanBefore(s.now(), kept)
}

func (s *Service) removeEvidence(ctx context.Context, tx *store.Tx, a Actor, id int64, before store.Micros) (bool, error) {
	c, err := tx.Contact(ctx, id)
	if errors.Is(err, ErrNotFound) || (err == nil && (c.Permission != Deleted || evidenceRemoved(c) || c.DeletedAt > before)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	dropped, err := tx.KeepEvidence(ctx, id)
	if err != nil {
		return false, err
	}
	c.SignedUpAt, c.ConfirmedAt, c.LastSeenAt, c.Predecessor = 0, 0, 0, 0
	if err := tx.SaveContact(ctx, c); err != nil {
		return false, err
	}
	return true, auditDrop(ctx, tx, a, store.At(s.now()), "remove evidence", id, "kept long enough", dropped)
}

// evidenceRemoved tells a tombstone that is a suppression only: it is last
// seen at no time.
func evidenceRemoved(c *store.Contact) bool { return c.Permission == Deleted && c.LastSeenAt == 0 }
