package flows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store"
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
	v := &verifier{s: s.store, seed: maphash.MakeSeed(), progress: progress, first: map[int64]span{}, batches: map[int64][]*Problem{}, names: map[int64]rowPrint{}, missing: map[int64]*absent{}, dropped: map[int64]int64{}}
	v.res.At = s.now().UTC().Truncate(time.Second)
	if err := v.readCheckpoints(ctx, s.keptCheckpoints); err != nil {
		return v, err
	}
	for _, step := range []func(context.Context) error{v.walk, v.walkRows, v.unseen, v.strangers} {
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
		why = fmt.Sprintf("%d entries, whole but for what restores lost (%d)", v.Entries, n)
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
	names   map[int64]rowPrint // of batches with problems
	missing map[int64]*absent
	dropped map[int64]int64 // by card, what the audit says went by an erasure
	mu      sync.Mutex      // held while rows are matched
	good    int64           // the tree is as it was signed up to here
	broken  bool            // entries are missing: the tree can't be rebuilt from here on

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

// name notes a row of a batch, which the batch's problems are named after: an
// act rather than a row of the audit, and the lowest.
func (v *verifier) name(batch int64, row rowPrint) {
	if _, bad := v.batches[batch]; !bad {
		return
	}
	if now, ok := v.names[batch]; !ok || row.before(now) {
		v.names[batch] = row
	}
}

func (v *verifier) step(n int64) {
	v.done += n
	v.progress(ImportProgress{Done: v.done, Total: max(2*v.size, v.done), Read: v.done})
}
