package flows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"kartotek/store"
	"kartotek/store/ledger"
)

// walkRows is how many rows are read at once.
const walkRows = 2000

// match compares a row with its entry of the log.
func (v *verifier) match(ctx context.Context, at store.LeafPlace, audit bool, print uint64, row string) error {
	v.name(at.Batch, row)
	s, ok := v.first[at.Batch]
	if !ok {
		return v.notWalked(ctx, at.Batch, row)
	}
	entry := s.first + at.Place
	switch {
	case entry >= v.size:
	case at.Place < 0 || at.Place >= s.n || v.audits.has(entry) != audit:
		v.problem(s.first, row, "it points at an entry of the log that is none of its own: it was inserted or moved")
	case v.prints[entry] != print:
		v.problem(entry, row, "it is not what the log holds of it: it was changed, or another was put in its place")
		v.seen.set(entry)
	case v.seen.has(entry):
		v.problem(entry, row, "another row has the same entry of the log: it was inserted")
	default:
		v.seen.set(entry)
	}
	return nil
}

// notWalked tells a row that came since the walk began from one that nothing
// in the log stands for.
func (v *verifier) notWalked(ctx context.Context, batch int64, row string) error {
	first, err := v.s.Placed(ctx, batch)
	if err == nil && first >= v.size {
		return nil
	}
	if err == nil {
		return nil // told when the log was walked
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if b, err := v.s.Batch(ctx, batch); err == nil && b.Whole {
		waits, err := v.s.Waits(ctx, batch)
		if err != nil || waits {
			return err
		}
		if first, err := v.s.Placed(ctx, batch); err == nil && first >= v.size { // at this moment
			return nil
		}
		v.problem(v.size, row, "its entry was removed from the log")
		return nil
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	v.problem(v.size, row, "the log holds nothing of it: it was inserted, or its entry was removed")
	return nil
}

// walkEvidence compares the sealed acts with their entries, and counts what
// each card lacks of its acts.
func (v *verifier) walkEvidence(ctx context.Context) error {
	for after := int64(0); ; {
		cards, err := v.s.ActsFrom(ctx, after, walkRows)
		if err != nil {
			return err
		}
		last := int64(1<<63 - 1)
		if len(cards) == walkRows {
			last = cards[len(cards)-1].ID
		}
		if err := v.evidenceOf(ctx, cards, after, last); err != nil {
			return err
		}
		if len(cards) < walkRows {
			return nil
		}
		after = last
	}
}

func (v *verifier) evidenceOf(ctx context.Context, cards []store.CardActs, after, last int64) error {
	rows := int64(0)
	i := 0 // the card that the next act may be of
	lack := func(c store.CardActs, count, first int64) {
		if count < c.Acts {
			v.missing[c.ID] = &absent{c.Acts - count, first}
		}
	}
	count, gap := int64(0), int64(1)
	err := v.s.EachEvidence(ctx, after, last, func(e *store.Evidence) error {
		for i < len(cards) && cards[i].ID < e.SubscriberID {
			lack(cards[i], count, gap)
			i, count, gap = i+1, 0, 1
		}
		rows++
		if i < len(cards) && cards[i].ID == e.SubscriberID && e.N <= cards[i].Acts {
			if count++; e.N == gap {
				gap++
			}
		}
		digest := e.SealedDigest()
		return v.match(ctx, e.Leaf, false, maphash.Bytes(v.seed, digest[:]), fmt.Sprintf("act %d of card %d", e.N, e.SubscriberID))
	})
	for ; err == nil && i < len(cards); i++ {
		lack(cards[i], count, gap)
		count, gap = 0, 1
	}
	v.res.Evidence += rows
	v.step(rows)
	return err
}

// walkAudit compares the audit with its entries, and takes from what the cards
// lack what it says went by an erasure.
func (v *verifier) walkAudit(ctx context.Context) error {
	for from := int64(0); ; {
		rows, err := v.s.AuditFrom(ctx, from, walkRows)
		if err != nil {
			return err
		}
		for i := range rows {
			r := &rows[i]
			v.dropped += r.Dropped
			if m := v.missing[r.SubscriberID]; m != nil {
				m.count -= r.Dropped
			}
			v.nameSetbacks(r)
			if err := v.match(ctx, store.LeafPlace{Batch: r.Batch, Place: r.Place}, true, maphash.Bytes(v.seed, r.Leaf()), fmt.Sprintf("audit row %d", r.ID)); err != nil {
				return err
			}
		}
		v.res.Audit += int64(len(rows))
		v.step(int64(len(rows)))
		if len(rows) < walkRows {
			return nil
		}
		from = rows[len(rows)-1].ID + 1
	}
}

// unseen looks for the rows of entries that have none.
func (v *verifier) unseen(ctx context.Context) error {
	firstAct, acts := int64(-1), int64(0)
	for batch, s := range v.first {
		var leaves [][]byte
		for i := range s.n {
			entry := s.first + i
			switch {
			case v.seen.has(entry):
				continue
			case !v.audits.has(entry):
				if acts++; firstAct < 0 || entry < firstAct {
					firstAct = entry
				}
				continue
			}
			if leaves == nil {
				b, err := v.s.Batch(ctx, batch)
				if err != nil {
					return err
				}
				if leaves, err = ledger.Leaves(b.Leaves); err != nil || int64(len(leaves)) != s.n {
					return nil // told when the log was walked
				}
			}
			number := ledger.AuditNumber(leaves[i])
			v.name(batch, fmt.Sprintf("audit row %d", number))
			v.problem(entry, fmt.Sprintf("audit row %d", number), "it was removed")
		}
	}
	v.lostActs(firstAct, acts)
	return nil
}

// lostActs tells of acts that are gone though no erasure took them.
func (v *verifier) lostActs(first, unseen int64) {
	ids := make([]int64, 0, len(v.missing))
	for id, m := range v.missing {
		if m.count > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		v.problem(max(0, first), fmt.Sprintf("act %d of card %d", v.missing[id].first, id), "it was removed, and no erasure took it")
	}
	if len(ids) == 0 && unseen > v.dropped {
		v.problem(first, fmt.Sprintf("entry %d of the log", first), "%d acts were removed that no erasure took; this or a later entry is of the first of them", unseen-v.dropped)
	}
}

// strangers looks for batches that somebody without the key file appended.
func (v *verifier) strangers(ctx context.Context) error {
	ids, err := v.s.Unplaced(ctx, walkRows)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if b, err := v.s.Batch(ctx, id); errors.Is(err, ErrNotFound) || (err == nil && !b.Whole) {
			v.problem(v.size, fmt.Sprintf("batch %d of the log", id), "it waits to be signed, and was inserted or changed from outside")
		} else if err != nil {
			return err
		}
	}
	return nil
}

// conclude puts the problem first that stands first in the log. Of several at
// one entry the one that names a row tells more.
func (v *verifier) conclude() {
	v.res.Entries, v.res.Problems = v.size, len(v.problems)
	if len(v.problems) == 0 {
		return
	}
	named := func(p *Problem) int {
		var n int64
		if _, err := fmt.Sscanf(p.Row, "audit row %d", &n); err == nil {
			return 0
		}
		if _, err := fmt.Sscanf(p.Row, "act %d", &n); err == nil {
			return 0
		}
		return 1
	}
	v.res.First = slices.MinFunc(v.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(named(a), named(b)), cmp.Compare(a.Entry, b.Entry))
	})
}
