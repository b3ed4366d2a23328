package flows

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store"
	"kartotek/store/ledger"
)

// treeReader reads the hashes of the log's tree: those of leaves out of the
// batches, those of larger subtrees out of the rows that keep every eighth
// level.
type treeReader struct {
	ctx  context.Context
	s    *store.Store
	rows map[[2]int64][]tlog.Hash // by level and number, 256 hashes at most
}

func newTreeReader(ctx context.Context, s *store.Store) *treeReader {
	return &treeReader{ctx, s, map[[2]int64][]tlog.Hash{}}
}

const tileWidth = 1 << ledger.TileHeight

// ReadHashes implements tlog.HashReader.
func (t *treeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		var err error
		if out[i], err = t.hash(level, n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hash is that of a complete subtree, made of those of the next level that is kept.
func (t *treeReader) hash(level int, n int64) (tlog.Hash, error) {
	below := level % ledger.TileHeight
	first := n << below
	row, err := t.row(level/ledger.TileHeight, first/tileWidth)
	if err != nil {
		return tlog.Hash{}, err
	}
	from := first % tileWidth
	if int64(len(row)) < from+1<<below {
		return tlog.Hash{}, errLogChanged
	}
	var f ledger.Frontier
	for _, h := range row[from : from+1<<below] {
		f.Add(h, nil)
	}
	return f.Root(), nil
}

func (t *treeReader) row(level int, number int64) ([]tlog.Hash, error) {
	key := [2]int64{int64(level), number}
	if row, ok := t.rows[key]; ok {
		return row, nil
	}
	read := t.kept
	if level == 0 {
		read = t.leaves
	}
	row, err := read(level, number)
	if err == nil {
		t.rows[key] = row
	}
	return row, err
}

func (t *treeReader) kept(level int, number int64) ([]tlog.Hash, error) {
	b, err := t.s.Subtrees(t.ctx, level, number)
	if err != nil {
		return nil, err
	}
	var out []tlog.Hash
	for ; len(b) >= tlog.HashSize; b = b[tlog.HashSize:] {
		out = append(out, tlog.Hash(b[:tlog.HashSize]))
	}
	return out, nil
}

// leaves reads the hashes of 256 leaves.
func (t *treeReader) leaves(_ int, number int64) ([]tlog.Hash, error) {
	from, to := number*tileWidth, (number+1)*tileWidth
	var out []tlog.Hash
	for next := from; next < to; {
		places, err := t.s.PlacedFrom(t.ctx, next, tileWidth)
		if err != nil || len(places) == 0 || places[len(places)-1].First < next && len(out) > 0 {
			return out, err
		}
		for _, p := range places {
			if p.First >= to {
				return out, nil
			}
			if p.First > next || p.First+p.N <= next {
				return nil, errLogChanged
			}
			b, err := t.s.Batch(t.ctx, p.Batch)
			if err != nil {
				return nil, err
			}
			all, err := ledger.Leaves(b.Leaves)
			if err != nil || int64(len(all)) != p.N {
				return nil, errLogChanged
			}
			for _, leaf := range all[next-p.First : min(p.N, to-p.First)] {
				out = append(out, ledger.Hash(leaf))
			}
			next = p.First + p.N
		}
	}
	return out, nil
}
