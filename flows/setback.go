package flows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store"
	"kartotek/store/ledger"
)

// Setback is a restore that an owner has owned up to: the log was set back by
// it, and holds what was lost. The walk through the log tells of it every
// time; anything else that the checkpoints know of and the log doesn't stays a
// problem.
type Setback struct {
	Row    int64     `json:"audit_row"` // that says who, when and why
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Role   string    `json:"role"`
	Why    string    `json:"why"`
	Kept   int64     `json:"kept"`       // so many entries stayed
	Lost   int64     `json:"lost"`       // the log had so many
	Signed time.Time `json:"lost_until"` // when the last of them were signed
}

// Words tell of a setback in a sentence.
func (s Setback) Words() string {
	return fmt.Sprintf("%d entries, from %d to %d, were lost by the restore of %s by %s (%s): %s",
		s.Lost-s.Kept, s.Kept, s.Lost-1, s.At.Format("2006-01-02 15:04 UTC"), s.By, s.Role, s.Why)
}

// setback is one that stands in the log.
type setback struct {
	ledger.Setback
	entry int64 // where it stands
	row   Setback
}

// stray is a checkpoint that doesn't fit the log that there is.
type stray struct {
	signedTree
	good   int64 // up to where the log was as it was signed when it came by
	beyond int64 // it is of more entries than the log has: so many; -1 when it isn't
}

// tellSetback notes an entry that owns up to a restore. One that was written
// without the key file, or doesn't fit the tree, owns up to nothing.
func (v *verifier) tellSetback(ctx context.Context, leaf []byte, entry int64, trusted bool) error {
	s, _ := ledger.SetbackOf(leaf)
	fits := trusted && s.Kept <= entry && s.Kept < s.Lost
	if fits && s.Kept > 0 {
		root, err := tlog.TreeHash(s.Kept, newTreeReader(ctx, v.s))
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errLogChanged) {
			return err
		}
		fits = err == nil && root == s.Root
	}
	if !fits {
		v.problem(entry, fmt.Sprintf("entry %d of the log", entry), "it tells of a restore that does not fit the log: it was inserted or moved")
		return nil
	}
	v.setbacks = append(v.setbacks, &setback{Setback: s, entry: entry})
	return nil
}

// nameSetbacks gives a restore the name that its row of the audit has.
func (v *verifier) nameSetbacks(r *store.AuditRow) {
	for _, s := range v.setbacks {
		if s.Audit == r.ID {
			s.row = Setback{Row: r.ID, At: seconds(r.At), By: r.Actor, Role: r.Role, Why: r.Why, Kept: s.Kept, Lost: s.Lost, Signed: s.At}
		}
	}
}

// excuses tells whether a checkpoint is of what was lost by the restore. One
// that was signed after it is of another branch, which nobody owned up to.
func (s *setback) excuses(t signedTree) bool {
	return s.row.Row != 0 && t.inFile && s.Kept < t.size && t.size <= s.Lost && !t.at.After(s.At)
}

// judge tells of the checkpoints that don't fit, unless a restore explains
// them: the first stands for all.
func (v *verifier) judge() {
	for _, s := range v.setbacks {
		if s.row.Row != 0 {
			v.res.Setbacks = append(v.res.Setbacks, s.row)
		}
	}
	for _, t := range v.strays {
		excused := false
		for _, s := range v.setbacks {
			excused = excused || s.excuses(t.signedTree)
		}
		if !excused {
			v.forks = append(v.forks, t)
		}
	}
	if len(v.forks) == 0 {
		return
	}
	t, p := v.forks[0], (*Problem)(nil)
	if t.beyond >= 0 {
		p = v.problem(t.beyond, fmt.Sprintf("entry %d of the log", t.beyond), "a checkpoint in %s, signed %s, is of %d entries, and the log holds %d: its tail was cut off, or an old copy of the database was put back",
			t.where(), t.at.Format(time.RFC3339), t.size, t.beyond)
	} else {
		p = v.problem(t.good, fmt.Sprintf("entry %d of the log", t.good), "the entries from %d to %d are not those that were signed %s, says the checkpoint in %s: they were changed, inserted or put in another order",
			t.good, t.size-1, t.at.Format(time.RFC3339), t.where())
	}
	// Of several at one entry it tells more than the kept hashes do.
	v.problems = slices.Insert(v.problems[:len(v.problems)-1], 0, p)
}

// errTamperedTree: a restore doesn't explain what is wrong with the log.
var errTamperedTree = refuse("the log was changed in other ways too than a restore does: kartotek audit verify says where")

// lost is what a restore takes out of the log: from the last checkpoint before
// the fork to the largest that the file of checkpoints knows of. Nil when nothing is lost.
func (v *verifier) lost() (*ledger.Setback, error) {
	if len(v.forks) == 0 {
		return nil, nil
	}
	if v.broken || !v.headFits {
		return nil, errTamperedTree
	}
	root, err := tlog.TreeHash(0, nil) // of nothing
	if err != nil {
		return nil, fmt.Errorf("the root of nothing: %w", err)
	}
	first := v.forks[0]
	s := &ledger.Setback{Root: root}
	for _, t := range v.agreed {
		if t.size > s.Kept && t.size < first.size && !t.at.After(first.at) {
			s.Kept, s.Root = t.size, t.root
		}
	}
	for _, t := range v.forks {
		if !t.inFile { // a restored database holds no checkpoint of another log
			return nil, errTamperedTree
		}
		if t.size > s.Lost {
			s.Lost, s.LostTo = t.size, t.root
		}
		if t.at.After(s.At) {
			s.At = t.at
		}
	}
	return s, nil
}

// accept owns up to what the log lacks, in the log; nil when it lacks nothing.
func (s *Service) accept(ctx context.Context, a Actor, why string) (*Setback, error) {
	if err := s.Seal(ctx); err != nil && !errors.Is(err, errLogChanged) {
		return nil, err
	}
	v, err := s.walkLog(ctx, nil)
	if err != nil {
		return nil, err
	}
	lost, err := v.lost()
	if err != nil || lost == nil {
		return nil, err
	}
	at := store.At(s.now())
	if err := s.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.AddSetback(ctx, a.row(at, "restore", 0, why), *lost)
	}); err != nil {
		return nil, err
	}
	return &Setback{At: seconds(at), By: a.Name, Role: string(a.Role), Why: why, Kept: lost.Kept, Lost: lost.Lost, Signed: lost.At}, s.Seal(ctx)
}
