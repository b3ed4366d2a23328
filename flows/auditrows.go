package flows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"runtime"
	"slices"
	"sort"

	"golang.org/x/sync/errgroup"

	"kartotek/store"
	"kartotek/store/ledger"
)

// walkRows is how many rows are read at once.
const walkRows = 2000

// rowPrint is a row of audit or evidence, as it is compared with the log.
type rowPrint struct {
	at    store.LeafPlace
	print uint64
	audit bool
	card  int64 // whose act it is; of an audit row 0
	n     int64 // the row's or the act's number
}

func (r rowPrint) String() string {
	if r.audit {
		return fmt.Sprintf("audit row %d", r.n)
	}
	return fmt.Sprintf("act %d of card %d", r.n, r.card)
}

// before tells whether a row is named rather than another of its batch.
func (r rowPrint) before(other rowPrint) bool {
	if r.audit != other.audit {
		return other.audit
	}
	return r.card < other.card || r.card == other.card && r.n < other.n
}

// walkRows compares all rows with their entries, the acts by several
// goroutines: it is their hashing that takes the time.
func (v *verifier) walkRows(ctx context.Context) error {
	last, err := v.s.LastContact(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	parts := int64(runtime.GOMAXPROCS(0))
	for i := range parts {
		to := last / parts * (i + 1)
		if i == parts-1 {
			to = math.MaxInt64 // and cards that there are not
		}
		g.Go(func() error { return v.walkEvidence(ctx, last/parts*i, to) })
	}
	g.Go(func() error { return v.walkAudit(ctx) })
	return g.Wait()
}

// matchAll compares rows with their entries of the log.
func (v *verifier) matchAll(ctx context.Context, rows []rowPrint) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range rows {
		if err := v.match(ctx, r); err != nil {
			return err
		}
	}
	v.step(int64(len(rows)))
	return nil
}

func (v *verifier) match(ctx context.Context, r rowPrint) error {
	v.name(r.at.Batch, r)
	s, ok := v.first[r.at.Batch]
	if !ok {
		return v.notWalked(ctx, r.at.Batch, r.String())
	}
	entry := s.first + r.at.Place
	switch {
	case entry >= v.size:
	case r.at.Place < 0 || r.at.Place >= s.n || v.audits.has(entry) != r.audit:
		v.problem(s.first, r.String(), "it points at an entry of the log that is none of its own: it was inserted or moved")
	case v.prints[entry] != r.print:
		v.problem(entry, r.String(), "it is not what the log holds of it: it was changed, or another was put in its place")
		v.seen.set(entry)
	case v.seen.has(entry):
		v.problem(entry, r.String(), "another row has the same entry of the log: it was inserted")
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

// walkEvidence compares the sealed acts of the cards from after to last with
// their entries, and counts what each card lacks of its acts.
func (v *verifier) walkEvidence(ctx context.Context, after, last int64) error {
	for after < last {
		cards, err := v.s.ActsFrom(ctx, after, walkRows)
		if err != nil {
			return err
		}
		cards = cards[:sort.Search(len(cards), func(i int) bool { return cards[i].ID > last })]
		to := last
		if len(cards) == walkRows {
			to = cards[len(cards)-1].ID
		}
		if err := v.evidenceOf(ctx, cards, after, to); err != nil {
			return err
		}
		after = to
	}
	return nil
}

func (v *verifier) evidenceOf(ctx context.Context, cards []store.CardActs, after, last int64) error {
	var rows []rowPrint
	lacking := map[int64]*absent{}
	i := 0 // the card that the next act may be of
	lack := func(c store.CardActs, count, first int64) {
		if count < c.Acts {
			lacking[c.ID] = &absent{c.Acts - count, first}
		}
	}
	count, gap := int64(0), int64(1)
	if err := v.s.EachEvidence(ctx, after, last, func(e *store.Evidence) error {
		for i < len(cards) && cards[i].ID < e.SubscriberID {
			lack(cards[i], count, gap)
			i, count, gap = i+1, 0, 1
		}
		if i < len(cards) && cards[i].ID == e.SubscriberID && e.N <= cards[i].Acts {
			if count++; e.N == gap {
				gap++
			}
		}
		digest := e.SealedDigest()
		rows = append(rows, rowPrint{at: e.Leaf, print: maphash.Bytes(v.seed, digest[:]), card: e.SubscriberID, n: e.N})
		return nil
	}); err != nil {
		return err
	}
	for ; i < len(cards); i++ {
		lack(cards[i], count, gap)
		count, gap = 0, 1
	}
	if err := v.matchAll(ctx, rows); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	maps.Copy(v.missing, lacking)
	v.res.Evidence += int64(len(rows))
	return nil
}

// walkAudit compares the audit with its entries, and adds up what it says went
// by erasures.
func (v *verifier) walkAudit(ctx context.Context) error {
	for from := int64(0); ; {
		rows, err := v.s.AuditFrom(ctx, from, walkRows)
		if err != nil {
			return err
		}
		prints := make([]rowPrint, len(rows))
		for i := range rows {
			r := &rows[i]
			if r.Dropped != 0 {
				v.dropped[r.SubscriberID] += r.Dropped
			}
			v.nameSetbacks(r)
			prints[i] = rowPrint{at: store.LeafPlace{Batch: r.Batch, Place: r.Place}, print: maphash.Bytes(v.seed, r.Leaf()), audit: true, n: r.ID}
		}
		if err := v.matchAll(ctx, prints); err != nil {
			return err
		}
		v.res.Audit += int64(len(rows))
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
			v.name(batch, rowPrint{audit: true, n: number})
			v.problem(entry, fmt.Sprintf("audit row %d", number), "it was removed")
		}
	}
	v.lostActs(firstAct, acts)
	return nil
}

// lostActs tells of acts that are gone though no erasure took them.
func (v *verifier) lostActs(first, unseen int64) {
	ids := make([]int64, 0, len(v.missing))
	dropped := int64(0)
	for _, n := range v.dropped {
		dropped += n
	}
	for id, m := range v.missing {
		if m.count > v.dropped[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		v.problem(max(0, first), fmt.Sprintf("act %d of card %d", v.missing[id].first, id), "it was removed, and no erasure took it")
	}
	if len(ids) == 0 && unseen > dropped {
		v.problem(first, fmt.Sprintf("entry %d of the log", first), "%d acts were removed that no erasure took; this or a later entry is of the first of them", unseen-dropped)
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
	for batch, problems := range v.batches {
		if row, ok := v.names[batch]; ok {
			for _, p := range problems {
				p.Row = row.String()
			}
		}
	}
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
	// At one entry acts come before rows of the audit, and each by its number;
	// others stay as they were found.
	order := func(p *Problem) string {
		if named(p) > 0 {
			return ""
		}
		return fmt.Sprintf("%.3s %9d %s", p.Row, len(p.Row), p.Row)
	}
	v.res.First = slices.MinFunc(v.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(named(a), named(b)), cmp.Compare(a.Entry, b.Entry), cmp.Compare(order(a), order(b)))
	})
}
