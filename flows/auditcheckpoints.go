package flows

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"kartotek/store/ledger"
)

// readCheckpoints reads all there are. Those in the file come first: of two
// that say the same the file's is named.
func (v *verifier) readCheckpoints(ctx context.Context, kept func(take func(notes []string)) (cut int, err error)) error {
	key, err := ledger.Verifier(v.s.Keys().Log().Public())
	if err != nil {
		return err
	}
	known := map[uint64]int{}
	v.res.CutOff, err = kept(func(notes []string) {
		v.take(key, notes, nil, known)
		v.res.InFile += len(notes)
	})
	if err != nil {
		return err
	}
	for after := int64(-1); ; {
		sizes, notes, err := v.s.Checkpoints(ctx, after, 1000)
		if err != nil {
			return err
		}
		if len(notes) == 0 {
			break
		}
		v.res.InStore += len(notes)
		v.take(key, notes, sizes, known)
		after = sizes[len(sizes)-1]
	}
	slices.SortStableFunc(v.trees, func(a, b signedTree) int { return cmp.Compare(a.size, b.size) })
	return nil
}

// take checks the signatures of checkpoints: of the file, or with sizes given
// of the database. What is known from the file by every byte isn't checked
// twice: a signature takes as long as a hundred entries.
func (v *verifier) take(key note.Verifier, notes []string, sizes []int64, known map[uint64]int) {
	where := signedTree{inFile: sizes == nil}.where()
	opened := make([]*signedTree, len(notes))
	var wg sync.WaitGroup
	part := (len(notes) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	for from := 0; from < len(notes); from += part {
		wg.Go(func() {
			for i := from; i < min(from+part, len(notes)); i++ {
				if k, ok := known[maphash.String(v.seed, notes[i])]; ok && sizes != nil {
					t := v.trees[k]
					t.inFile = false
					opened[i] = &t
				} else if c, err := ledger.OpenCheckpoint(notes[i], key); err == nil {
					opened[i] = &signedTree{c.Size, c.Root, c.At, sizes == nil}
				}
			}
		})
	}
	wg.Wait()
	for i, t := range opened {
		switch {
		case t == nil && sizes != nil:
			v.problem(sizes[i], fmt.Sprintf("checkpoint %d in %s", sizes[i], where), "it was changed or inserted: its signature is not the log's")
		case t == nil:
			v.problem(0, fmt.Sprintf("checkpoint number %d in %s", v.res.InFile+i+1, where), "it was changed or inserted: its signature is not the log's")
		case sizes != nil && sizes[i] != t.size:
			v.problem(sizes[i], fmt.Sprintf("checkpoint %d in %s", sizes[i], where), "it was changed: it is signed for %d entries", t.size)
		default:
			if sizes == nil {
				known[maphash.String(v.seed, notes[i])] = len(v.trees)
			}
			v.trees = append(v.trees, *t)
		}
	}
}

// compare compares the tree with the checkpoints of its size.
func (v *verifier) compare(tree *ledger.Frontier) {
	for ; len(v.trees) > 0 && v.trees[0].size <= tree.Size; v.trees = v.trees[1:] {
		switch t := v.trees[0]; {
		case t.size < tree.Size:
		case t.root != tree.Root():
			v.strays = append(v.strays, stray{t, v.good, -1})
		default:
			v.good = tree.Size
			v.agreed = append(v.agreed, t)
		}
	}
}

// cutTail takes the checkpoints of a larger log than there is.
func (v *verifier) cutTail(size int64) {
	if v.broken {
		return
	}
	for _, t := range v.trees {
		if t.size > size && t.size > v.size {
			v.strays = append(v.strays, stray{t, v.good, size})
		}
	}
}
