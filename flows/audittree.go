package flows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"kartotek/store"
	"kartotek/store/ledger"
)

// walk rebuilds the tree from what was appended: one goroutine reads and
// hashes, another puts the tree together.
func (v *verifier) walk(ctx context.Context) error {
	head, err := v.s.LogHead(ctx)
	if err != nil {
		return err
	}
	v.size = head.Size
	g, ctx := errgroup.WithContext(ctx)
	read := make(chan []readBatch, 4)
	g.Go(func() error {
		defer close(read)
		return v.readLog(ctx, read)
	})
	g.Go(func() error { return v.buildTree(ctx, head, read) })
	return g.Wait()
}

// readBatch is a batch with its place, and what its leaves hash to. Without
// leaves it is not what was appended.
type readBatch struct {
	store.PlacedRow
	there  bool
	whole  bool // the batch; PlacedRow.Whole is of its place
	leaves [][]byte
	hashes []tlog.Hash
	prints []uint64
}

// Batches are read in pages, and handed on by so many leaves.
const (
	logPage   = 5000
	handLeafs = 4000
)

// readLog reads the log in its order, up to where it was signed when the walk began.
func (v *verifier) readLog(ctx context.Context, out chan<- []readBatch) error {
	var some []readBatch
	leaves := 0
	hand := func() error {
		if len(some) == 0 {
			return nil
		}
		select {
		case out <- some:
		case <-ctx.Done():
			return ctx.Err()
		}
		some, leaves = nil, 0
		return nil
	}
	for next, last := int64(0), int64(-1); next < v.size; { // last is where the last batch began
		rows, before := 0, last
		if err := v.s.LogFrom(ctx, next, logPage, func(p store.PlacedRow, b *store.Batch) error {
			rows++
			if p.First <= last || p.First >= v.size { // read before, or came since
				return nil
			}
			last, next = p.First, max(next, p.First+p.N)
			some = append(some, v.hashed(p, b))
			if leaves += int(p.N); leaves < handLeafs {
				return nil
			}
			return hand()
		}); err != nil {
			return err
		}
		if rows == 0 || last == before {
			break
		}
	}
	return hand()
}

// hashed computes what a batch's leaves hash to.
func (v *verifier) hashed(p store.PlacedRow, b *store.Batch) readBatch {
	r := readBatch{PlacedRow: p, there: b != nil}
	if b == nil {
		return r
	}
	r.whole = b.Whole
	leaves, err := ledger.Leaves(b.Leaves)
	if err != nil || int64(len(leaves)) != p.N {
		return r
	}
	r.leaves, r.hashes, r.prints = leaves, make([]tlog.Hash, len(leaves)), make([]uint64, len(leaves))
	for i, leaf := range leaves {
		r.hashes[i] = ledger.Hash(leaf)
		switch leaf[0] {
		case ledger.KindEvidence:
			r.prints[i] = maphash.Bytes(v.seed, ledger.SealedOf(leaf))
		default:
			r.prints[i] = maphash.Bytes(v.seed, leaf)
		}
	}
	return r
}

// buildTree puts the tree together of the batches that come.
func (v *verifier) buildTree(ctx context.Context, head store.LogHead, read <-chan []readBatch) error {
	tiles := &tileCheck{v: v, ctx: ctx, hashes: map[int][]tlog.Hash{}}
	var tree ledger.Frontier
	v.compare(&tree) // of nothing
	next := int64(0)
	for some := range read {
		n := int64(0)
		for _, b := range some {
			if err := v.walkBatch(ctx, &tree, b, next, tiles); err != nil {
				return err
			}
			next, n = max(next, b.First+b.N), n+b.N
		}
		if tiles.err != nil {
			return tiles.err
		}
		v.step(n)
	}
	if err := ctx.Err(); err != nil {
		return err // reading was broken off
	}
	if next < v.size {
		v.problem(next, fmt.Sprintf("entry %d of the log", next), "the entries from %d to %d are missing: they were removed", next, v.size-1)
		v.broken = true
	}
	v.headFits = head.Whole && bytes.Equal(head.Bytes(), tree.Bytes())
	if !v.broken && !v.headFits {
		v.problem(next, "the log's head", "it was changed: it is not the tree that the entries make")
	}
	v.cutTail(next)
	return tiles.end()
}

// walkBatch adds a batch to the tree.
func (v *verifier) walkBatch(ctx context.Context, tree *ledger.Frontier, b readBatch, next int64, tiles *tileCheck) error {
	if !b.Whole {
		v.inBatch(b.Batch, b.First, "its place in the log was changed or inserted")
	}
	switch {
	case b.First > next:
		v.problem(next, fmt.Sprintf("entry %d of the log", next), "the entries from %d to %d are missing: they were removed", next, b.First-1)
		v.broken = true
	case b.First < next:
		v.inBatch(b.Batch, b.First, "it stands where other entries stand: it was inserted or moved")
		v.broken = true
	}
	switch {
	case !b.there:
		v.inBatch(b.Batch, b.First, "its entries are missing: they were removed")
		v.broken = true
		return nil
	case b.leaves == nil:
		v.inBatch(b.Batch, b.First, "its entries were changed")
		v.broken = true
		return nil
	case !b.whole:
		v.inBatch(b.Batch, b.First, "its entries were changed or inserted")
	}
	v.first[b.Batch] = span{b.First, b.N}
	for int64(len(v.prints)) < b.First+b.N {
		v.prints = append(v.prints, 0)
	}
	for i, leaf := range b.leaves {
		at := b.First + int64(i)
		v.prints[at] = b.prints[i]
		switch leaf[0] {
		case ledger.KindAudit:
			v.audits.set(at)
		case ledger.KindSetback: // it has no row of its own
			v.seen.set(at)
			if err := v.tellSetback(ctx, leaf, at, b.Whole && b.whole); err != nil {
				return err
			}
		}
		if !v.broken {
			tree.Add(b.hashes[i], tiles.add)
			v.compare(tree)
		}
	}
	return nil
}

// tileCheck compares the kept hashes of subtrees with those that are computed.
type tileCheck struct {
	v      *verifier
	ctx    context.Context
	hashes map[int][]tlog.Hash // by level, of the row that is being filled
	err    error
}

func (t *tileCheck) add(level int, n int64, h tlog.Hash) {
	if level == 0 || level%ledger.TileHeight != 0 || t.err != nil {
		return
	}
	level /= ledger.TileHeight
	if t.hashes[level] = append(t.hashes[level], h); (n+1)%tileWidth == 0 {
		t.check(level, n/tileWidth)
	}
}

func (t *tileCheck) check(level int, number int64) {
	all := t.hashes[level]
	t.hashes[level] = nil
	kept, err := t.v.s.Subtrees(t.ctx, level, number)
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.err = err
		return
	}
	for i, h := range all {
		at := i * tlog.HashSize
		if len(kept) < at+tlog.HashSize || !bytes.Equal(kept[at:at+tlog.HashSize], h[:]) {
			wide := int64(1) << (ledger.TileHeight * level)
			from := (number*tileWidth + int64(i)) * wide
			t.v.problem(from, fmt.Sprintf("entry %d of the log", from), "the hash that the tree keeps of the entries from %d to %d is another: it or they were changed", from, from+wide-1)
			return
		}
	}
}

// end checks the rows that are not full yet.
func (t *tileCheck) end() error {
	for level, all := range t.hashes {
		if len(all) > 0 {
			t.check(level, t.v.size>>(ledger.TileHeight*level)/tileWidth)
		}
	}
	return t.err
}
