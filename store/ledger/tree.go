package ledger

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// TileHeight is how many levels of the tree lie in one row: 256 hashes.
const TileHeight = 8

// Frontier is the right edge of a tree: the hashes of its largest complete
// subtrees from the left to the right, which is all that growing takes.
type Frontier struct {
	Size   int64
	hashes []tlog.Hash
}

// ParseFrontier reads what Bytes wrote; false when it is none of a tree of
// that size.
func ParseFrontier(size int64, b []byte) (Frontier, bool) {
	f := Frontier{Size: size}
	if size < 0 || len(b) != tlog.HashSize*bits.OnesCount64(uint64(size)) {
		return f, false
	}
	for ; len(b) > 0; b = b[tlog.HashSize:] {
		f.hashes = append(f.hashes, tlog.Hash(b[:tlog.HashSize]))
	}
	return f, true
}

// Bytes are the hashes, one after the other.
func (f *Frontier) Bytes() []byte {
	out := make([]byte, 0, tlog.HashSize*len(f.hashes))
	for _, h := range f.hashes {
		out = append(out, h[:]...)
	}
	return out
}

// Add puts a leaf at the end. done, unless nil, is told of each subtree that
// is complete with it: its level (a leaf is level 0), number and hash.
func (f *Frontier) Add(h tlog.Hash, done func(level int, n int64, h tlog.Hash)) {
	for level := 0; ; level++ {
		if done != nil {
			done(level, f.Size>>level, h)
		}
		if f.Size>>level&1 == 0 {
			break
		}
		last := len(f.hashes) - 1
		h = tlog.NodeHash(f.hashes[last], h)
		f.hashes = f.hashes[:last]
	}
	f.hashes = append(f.hashes, h)
	f.Size++
}

// Root is the hash of the whole tree.
func (f *Frontier) Root() tlog.Hash {
	if len(f.hashes) == 0 {
		root, _ := tlog.TreeHash(0, nil) // of nothing, without reading anything
		return root
	}
	last := len(f.hashes) - 1
	root := f.hashes[last]
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(f.hashes[i], root)
	}
	return root
}

// Clone is a frontier that grows by itself.
func (f *Frontier) Clone() Frontier {
	return Frontier{f.Size, append([]tlog.Hash(nil), f.hashes...)}
}
