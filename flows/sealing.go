package flows

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store"
	"kartotek/store/ledger"
)

const (
	// sealEvery is how often what was appended is put into the tree.
	sealEvery = 2 * time.Second
	// sealLease is how long others leave it to the process that did so last.
	sealLease = 10 * time.Second
	// sealBatches and sealLeaves bound what one transaction puts there.
	sealBatches = 500
	sealLeaves  = 100_000
)

// errLogChanged: somebody without the key file has written to the log. It is
// left as it is, since signing it would vouch for it.
var errLogChanged = errors.New("the log in the database was changed from outside, and is not signed any more: kartotek audit verify says where")

// Sealing puts what was appended into the tree and signs it, every few
// seconds, until ctx ends. Of several processes one does so.
func (s *Service) Sealing(ctx context.Context) error {
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(sealEvery):
		}
		err := s.seal(ctx, false)
		switch {
		case err == nil || ctx.Err() != nil:
			told = ""
		case err.Error() != told: // once, not every few seconds
			told = err.Error()
			s.log.Error("the log was not signed and is tried again", "error", err)
		}
	}
}

// Seal puts everything that was appended into the tree and signs it now,
// whoever else does so as well.
func (s *Service) Seal(ctx context.Context) error { return s.seal(ctx, true) }

// SealRest is Seal unless another process is at it.
func (s *Service) SealRest(ctx context.Context) error { return s.seal(ctx, false) }

// EndSealing is SealRest for a process that ends: it gives the lease back, so
// that the next one need not wait for it.
func (s *Service) EndSealing(ctx context.Context) error {
	if err := s.SealRest(ctx); err != nil {
		return err
	}
	head, err := s.store.LogHead(ctx)
	if err != nil || head.Owner != s.sealer || head.Until <= store.At(s.now()) {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error { return tx.ReleaseLog(ctx, s.sealer) })
}

// seal goes on until nothing is left; without force only if no other process
// does.
func (s *Service) seal(ctx context.Context, force bool) error {
	s.sealTurn.Lock()
	defer s.sealTurn.Unlock()
	grown := false
	for {
		more, err := s.sealSome(ctx, force)
		if err != nil {
			return fmt.Errorf("signing the log: %w", err)
		}
		if !more {
			break
		}
		grown = true
	}
	if !grown && s.sealed && !force {
		return nil // the file was brought up to date before
	}
	note, err := s.store.LastCheckpoint(ctx)
	if err != nil || note == "" {
		return err
	}
	if err := s.keepCheckpoint(note); err != nil {
		return err
	}
	s.sealed = true
	if grown && s.cfg.Publish != nil {
		if err := s.cfg.Publish(ctx, note); err != nil {
			s.log.Error("the checkpoint was not published; the next one is tried again", "error", err)
		}
	}
	return nil
}

// sealSome puts some batches into the tree and signs a checkpoint; false when
// there was nothing to do.
func (s *Service) sealSome(ctx context.Context, force bool) (bool, error) {
	head, err := s.store.LogHead(ctx) // before what waits, so that somebody faster is noticed
	if err != nil {
		return false, err
	}
	now := store.At(s.now())
	if !force && head.Owner != s.sealer && head.Until > now {
		return false, nil
	}
	waiting, err := s.store.UnplacedBatches(ctx, sealBatches)
	if err != nil || len(waiting) == 0 {
		return false, err
	}
	if !head.Whole {
		return false, errLogChanged
	}
	to := head
	to.Frontier, to.Owner, to.Until = head.Clone(), s.sealer, now+store.Micros(sealLease.Microseconds())
	g, err := grow(&to.Frontier, waiting)
	if err != nil || len(g.Placed) == 0 {
		return false, err
	}
	if g.Checkpoint, err = s.store.Keys().Log().Sign(to.Size, to.Root(), s.now()); err != nil {
		return false, err
	}
	return true, s.store.InTx(ctx, func(tx *store.Tx) error {
		if at, err := tx.LogHead(ctx); err != nil || at.Size != head.Size {
			return err // somebody else was faster
		}
		return tx.Grow(ctx, head, to, g)
	})
}

// grow adds the leaves of batches to a tree. A batch that was written or
// changed by somebody without the key file stays out.
func grow(tree *ledger.Frontier, waiting []store.Batch) (store.Growth, error) {
	var g store.Growth
	foreign := false
	done := func(level int, n int64, h tlog.Hash) {
		if level > 0 && level%ledger.TileHeight == 0 {
			g.Subtrees = append(g.Subtrees, store.Subtree{Level: level / ledger.TileHeight, Number: n, Hash: h})
		}
	}
	start := tree.Size
	for _, b := range waiting {
		leaves, err := ledger.Leaves(b.Leaves)
		if err != nil || !b.Whole {
			foreign = true
			continue
		}
		g.Placed = append(g.Placed, store.PlacedRow{First: tree.Size, Batch: b.ID, N: int64(len(leaves))})
		for _, leaf := range leaves {
			tree.Add(ledger.Hash(leaf), done)
		}
		if tree.Size-start >= sealLeaves {
			break
		}
	}
	if foreign && len(g.Placed) == 0 {
		return g, errLogChanged
	}
	return g, nil
}

// sealerName tells the processes on a store apart.
func sealerName() string { return rand.Text() }
