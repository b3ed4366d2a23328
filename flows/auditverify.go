package flows

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store"
	"kartotek/store/ledger"
)

// Verification is what a walk through the whole log found.
type Verification struct {
	At       time.Time `json:"at"`
	Entries  int64     `json:"entries"`     // of the log
	Audit    int64     `json:"audit_rows"`  // that were checked against it
	Evidence int64     `json:"evidence"`    // likewise
	InStore  int       `json:"checkpoints"` // in the database
	InFile   int       `json:"kept_checkpoints"`
	CutOff   int       `json:"cut_off_checkpoints,omitempty"` // in the file: a crash came between
	Setbacks []Setback `json:"restores,omitempty"`            // that were owned up to
	Problems int       `json:"problems"`
	First    *Problem  `json:"first_problem"` // in the order of the log
}

// Problem is something in the log, or outside of it, that was tampered with.
type Problem struct {
	Entry int64  `json:"entry"` // of the log, from 0: where it begins
	Row   string `json:"row"`   // "audit row 57", or what else can be named
	What  string `json:"what"`
}

// Whole tells that nothing was changed, removed, inserted or put in another
// order, except for what Setbacks tells of.
func (v Verification) Whole() bool { return v.Problems == 0 }

// VerifyAudit walks the whole log: it rebuilds the tree from what was
// appended, compares it with every checkpoint in the database and in the file
// beside it, and every row of audit and evidence with its entry. It goes on
// while others work.
func (s *Service) VerifyAudit(ctx context.Context, a Actor, progress func(ImportProgress)) (Verification, error) {
	if err := s.allow(ctx, a, doAudit); err != nil {
		return Verification{}, err
	}
	if err := s.Seal(ctx); err != nil && !errors.Is(err, errLogChanged) { // where it was changed is found below
		return Verification{}, err
	}
	res, err := s.verifyLog(ctx, progress)
	if err != nil {
		return res, err
	}
	return res, s.keepVerification(ctx, a, res)
}

// verifyLog walks the log as far as it is signed.
func (s *Service) verifyLog(ctx context.Context, progress func(ImportProgress)) (Verification, error) {
	v, err := s.walkLog(ctx, progress)
	if err != nil {
		return Verification{}, err
	}
	return v.res, nil
}

func (s *Service) walkLog(ctx context.Context, progress func(ImportProgress)) (*verifier, error) {
	if progress == nil {
		progress = func(ImportProgress) {}
	}
	v := &verifier{s: s.store, seed: maphash.MakeSeed(), progress: progress, first: map[int64]span{}, batches: map[int64][]*Problem{}, missing: map[int64]*absent{}}
	v.res.At = s.now().UTC().Truncate(time.Second)
	if err := v.readCheckpoints(ctx, s.keptCheckpoints); err != nil {
		return v, err
	}
	for _, step := range []func(context.Context) error{v.walk, v.walkEvidence, v.walkAudit, v.unseen, v.strangers} {
		if err := step(ctx); err != nil {
			return v, err
		}
	}
	v.judge()
	v.conclude()
	return v, nil
}

// keepVerification notes how the walk ended: for the next who looks, and in the audit.
func (s *Service) keepVerification(ctx context.Context, a Actor, v Verification) error {
	short := v
	why := fmt.Sprintf("%d entries, whole", v.Entries)
	if n := len(v.Setbacks); n > 0 {
		why = fmt.Sprintf("%d entries, whole but for what %d restores lost", v.Entries, n)
		short.Setbacks = slices.Clone(v.Setbacks[max(0, n-keptSetbacks):])
		for i := range short.Setbacks {
			short.Setbacks[i].Why = ""
		}
	}
	if v.First != nil {
		why = fmt.Sprintf("%d entries, %d problems; the first: %s: %s", v.Entries, v.Problems, v.First.Row, v.First.What)
		first := *v.First
		first.What = oneLine(first.What, 120)
		short.First = &first
	}
	kept, err := json.Marshal(short)
	if err != nil {
		return fmt.Errorf("keeping the verification: %w", err)
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.SetSetting(ctx, store.SettingVerified, string(kept)); err != nil {
			return err
		}
		return audit(ctx, tx, a, store.At(s.now()), "verify audit", 0, why)
	})
}

// LastVerification is how the last walk through the log ended; nil when there
// was none yet.
func (s *Service) LastVerification(ctx context.Context, a Actor) (*Verification, error) {
	if err := s.allow(ctx, a, doAudit); err != nil {
		return nil, err
	}
	kept, err := s.store.Setting(ctx, store.SettingVerified)
	if err != nil || kept == "" {
		return nil, err
	}
	var v Verification
	if err := json.Unmarshal([]byte(kept), &v); err != nil {
		return nil, nil // another version's
	}
	return &v, nil
}

// keptSetbacks is how many restores the last verification is kept with: a
// setting has an end.
const keptSetbacks = 1

// signedTree is a checkpoint, and whether it lies in the file or in the database.
type signedTree struct {
	size   int64
	root   tlog.Hash
	at     time.Time
	inFile bool
}

func (t signedTree) where() string {
	if t.inFile {
		return "the file of checkpoints"
	}
	return "the database"
}

// span is which entries of the log a batch is.
type span struct{ first, n int64 }

// absent is what a card lacks of its acts.
type absent struct{ count, first int64 }

// verifier is one walk under way.
type verifier struct {
	s        *store.Store
	seed     maphash.Seed
	progress func(ImportProgress)
	res      Verification
	problems []*Problem

	trees []signedTree // by size
	size  int64        // of the log when the walk began
	done  int64

	first   map[int64]span // of each batch
	prints  []uint64       // of each entry, what its row must give
	audits  bits           // which entries are of audit rows
	seen    bits           // which have a row
	batches map[int64][]*Problem
	missing map[int64]*absent
	dropped int64
	good    int64 // the tree is as it was signed up to here
	broken  bool  // entries are missing: the tree can't be rebuilt from here on

	headFits bool         // the kept head is that of the tree
	agreed   []signedTree // checkpoints that fit the tree
	strays   []stray      // and those that don't, by size
	setbacks []*setback
	forks    []stray // that no setback explains
}

// bits is a set of entries.
type bits []uint64

func (b *bits) set(i int64) {
	for int64(len(*b)) <= i/64 {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bits) has(i int64) bool { return i/64 < int64(len(b)) && b[i/64]>>(i%64)&1 == 1 }

func (v *verifier) problem(entry int64, row, format string, a ...any) *Problem {
	p := &Problem{entry, row, fmt.Sprintf(format, a...)}
	v.problems = append(v.problems, p)
	return p
}

// inBatch is a problem of a batch, whose rows are named when they come by.
func (v *verifier) inBatch(batch, entry int64, what string) {
	p := v.problem(entry, fmt.Sprintf("batch %d of the log", batch), "%s", what)
	v.batches[batch] = append(v.batches[batch], p)
}

// name gives the problems of a batch the name of a row in it.
func (v *verifier) name(batch int64, row string) {
	for _, p := range v.batches[batch] {
		p.Row = row
	}
	delete(v.batches, batch)
}

func (v *verifier) step(n int64) {
	v.done += n
	v.progress(ImportProgress{Done: v.done, Total: max(2*v.size, v.done), Read: v.done})
}

// readCheckpoints reads all there are. Those in the file come first: of two
// that say the same the file's is named.
func (v *verifier) readCheckpoints(ctx context.Context, kept func() ([]string, int, error)) error {
	key, err := ledger.Verifier(v.s.Keys().Log().Public())
	if err != nil {
		return err
	}
	notes, cut, err := kept()
	if err != nil {
		return err
	}
	v.res.InFile, v.res.CutOff = len(notes), cut
	v.take(key, notes, nil)
	for after := int64(-1); ; {
		sizes, notes, err := v.s.Checkpoints(ctx, after, 1000)
		if err != nil {
			return err
		}
		if len(notes) == 0 {
			break
		}
		v.res.InStore += len(notes)
		v.take(key, notes, sizes)
		after = sizes[len(sizes)-1]
	}
	slices.SortStableFunc(v.trees, func(a, b signedTree) int { return cmp.Compare(a.size, b.size) })
	return nil
}

// take checks the signatures of checkpoints: of the file, or with sizes given
// of the database.
func (v *verifier) take(key note.Verifier, notes []string, sizes []int64) {
	where := signedTree{inFile: sizes == nil}.where()
	for i, text := range notes {
		c, err := ledger.OpenCheckpoint(text, key)
		switch {
		case err != nil && sizes != nil:
			v.problem(sizes[i], fmt.Sprintf("checkpoint %d in %s", sizes[i], where), "it was changed or inserted: its signature is not the log's")
		case err != nil:
			v.problem(0, fmt.Sprintf("checkpoint number %d in %s", i+1, where), "it was changed or inserted: its signature is not the log's")
		case sizes != nil && sizes[i] != c.Size:
			v.problem(sizes[i], fmt.Sprintf("checkpoint %d in %s", sizes[i], where), "it was changed: it is signed for %d entries", c.Size)
		default:
			v.trees = append(v.trees, signedTree{c.Size, c.Root, c.At, sizes == nil})
		}
	}
}

// walk rebuilds the tree from what was appended.
func (v *verifier) walk(ctx context.Context) error {
	head, err := v.s.LogHead(ctx)
	if err != nil {
		return err
	}
	v.size = head.Size
	tiles := &tileCheck{v: v, ctx: ctx, hashes: map[int][]tlog.Hash{}}
	var tree ledger.Frontier
	v.compare(&tree)                  // of nothing
	next, last := int64(0), int64(-1) // last is where the last batch began
	for next < v.size {
		places, err := v.s.PlacedFrom(ctx, next, 500)
		if err != nil {
			return err
		}
		if len(places) == 0 || places[len(places)-1].First <= last {
			break
		}
		for _, p := range places {
			if p.First <= last { // read before
				continue
			}
			last = p.First
			if err := v.walkBatch(ctx, &tree, p, next, tiles); err != nil {
				return err
			}
			next = max(next, p.First+p.N)
			if err := tiles.err; err != nil {
				return err
			}
			v.step(p.N)
		}
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
func (v *verifier) walkBatch(ctx context.Context, tree *ledger.Frontier, p store.PlacedRow, next int64, tiles *tileCheck) error {
	if !p.Whole {
		v.inBatch(p.Batch, p.First, "its place in the log was changed or inserted")
	}
	switch {
	case p.First > next:
		v.problem(next, fmt.Sprintf("entry %d of the log", next), "the entries from %d to %d are missing: they were removed", next, p.First-1)
		v.broken = true
	case p.First < next:
		v.inBatch(p.Batch, p.First, "it stands where other entries stand: it was inserted or moved")
		v.broken = true
	}
	b, err := v.s.Batch(ctx, p.Batch)
	if errors.Is(err, ErrNotFound) {
		v.inBatch(p.Batch, p.First, "its entries are missing: they were removed")
		v.broken = true
		return nil
	}
	if err != nil {
		return err
	}
	leaves, err := ledger.Leaves(b.Leaves)
	if err != nil || int64(len(leaves)) != p.N {
		v.inBatch(p.Batch, p.First, "its entries were changed")
		v.broken = true
		return nil
	}
	if !b.Whole {
		v.inBatch(p.Batch, p.First, "its entries were changed or inserted")
	}
	v.first[p.Batch] = span{p.First, p.N}
	for int64(len(v.prints)) < p.First+p.N {
		v.prints = append(v.prints, 0)
	}
	for i, leaf := range leaves {
		at := p.First + int64(i)
		switch leaf[0] {
		case ledger.KindAudit:
			v.audits.set(at)
			v.prints[at] = maphash.Bytes(v.seed, leaf)
		case ledger.KindSetback: // it has no row of its own
			v.seen.set(at)
			if err := v.tellSetback(ctx, leaf, at, p.Whole && b.Whole); err != nil {
				return err
			}
		default:
			v.prints[at] = maphash.Bytes(v.seed, ledger.SealedOf(leaf))
		}
		if !v.broken {
			tree.Add(ledger.Hash(leaf), tiles.add)
			v.compare(tree)
		}
	}
	return nil
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
