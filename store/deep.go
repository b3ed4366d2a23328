package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// deepest is how many faults of one kind are named; the others are counted.
const deepest = 5

// deep reads a whole store, as it is at one moment, and notes what is wrong.
type deep struct {
	queries
	faults  map[string][]string
	more    map[string]int
	counts  map[string]int64 // what the counters should say
	drift   map[string]int64 // what they say too little
	cards   int64
	values  int64 // sealed ones that open
	highest int64
}

func (d *deep) fault(what, format string, a ...any) {
	if len(d.faults[what]) == deepest {
		d.more[what]++
		return
	}
	d.faults[what] = append(d.faults[what], fmt.Sprintf(format, a...))
}

// ExamineDeeply reads everything in the store, as it is at one moment, and
// checks what has to hold: what each permission allows a card to keep, one
// live card an address, memberships, evidence, that sealed values open in
// their places, counters to the last number, and ids. Others go on meanwhile.
func (s *Store) ExamineDeeply(ctx context.Context, progress func(done, total int64)) ([]Finding, error) {
	d, err := s.lookDeeply(ctx, progress)
	if err != nil {
		return nil, err
	}
	return d.findings(), nil
}

func (s *Store) lookDeeply(ctx context.Context, progress func(done, total int64)) (*deep, error) {
	if err := s.CatchUp(ctx, nil); err != nil {
		return nil, err
	}
	// What the journal holds by now is in the store by the time it is read.
	erased, err := s.journaled(ctx)
	if err != nil {
		return nil, err
	}
	d := &deep{faults: map[string][]string{}, more: map[string]int{}, counts: map[string]int64{}, drift: map[string]int64{}}
	return d, s.engine.snapshot(ctx, func(q queries) error {
		q.keys = s.raw.keys
		d.queries = q
		return d.all(ctx, erased, progress)
	})
}

func (d *deep) all(ctx context.Context, erased map[int64][]byte, progress func(done, total int64)) error {
	var total int64
	if err := d.get(ctx, []any{&total}, `SELECT COUNT(*) FROM contacts`); err != nil {
		return err
	}
	for after := int64(0); ; after = d.highest {
		ids, err := d.IDsAfter(ctx, after, 500)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		d.highest = ids[len(ids)-1]
		if err := d.chunk(ctx, ids, erased); err != nil {
			return err
		}
		if d.cards += int64(len(ids)); progress != nil {
			progress(min(d.cards, total), total)
		}
	}
	for id := range erased {
		d.fault("erasure journal", "card %d is erased in the journal, and unknown to the store", id)
	}
	for _, look := range []func(context.Context) error{d.addresses, d.orphans, d.sealed, d.letters, d.counters, d.ids} {
		if err := look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// chunk checks some cards with what belongs to them.
func (d *deep) chunk(ctx context.Context, ids []int64, erased map[int64][]byte) error {
	cards, err := d.ContactsOf(ctx, ids, true)
	if err != nil {
		return err
	}
	lists, err := d.Memberships(ctx, ids...)
	if err != nil {
		return err
	}
	evidence, err := d.evidenceOf(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c := cards[id]
		d.count(c, lists[id])
		d.card(c, lists[id])
		p, opens := d.person(c)
		d.evidence(c, p, opens, evidence[id])
		if key, ok := erased[id]; ok {
			if c.Permission != Deleted && bytes.Equal(key, c.AddressKey) {
				d.fault("erasure journal", "card %d is erased in the journal, and %s in the store", id, c.Permission)
			}
			delete(erased, id)
		}
	}
	return nil
}

func (d *deep) count(c *Contact, lists []*Membership) {
	d.counts["permission/"+c.Permission.String()]++
	if c.Rating != 0 {
		d.counts[ratingCounter(c.Rating)]++
	}
	if c.Source != "" {
		d.counts["source/"+c.Source]++
	}
	for _, m := range lists {
		d.counts[listCounter(m.ListID, m.Status)]++
	}
}

// card checks what a permission lets a card keep.
func (d *deep) card(c *Contact, lists []*Membership) {
	subscribed, held := 0, 0
	for _, m := range lists {
		switch m.Status {
		case Subscribed:
			subscribed++
		case OnHold:
			held++
		}
	}
	bad := func(format string, a ...any) {
		d.fault("permissions", "card %d is %s "+format, append([]any{c.SubscriberID, c.Permission}, a...)...)
	}
	if c.Permission == Deleted {
		if len(c.Sealed)+len(c.MobileKey)+len(c.EmailMasked)+len(c.MobileMasked)+len(c.Source)+len(lists) > 0 || c.Rating != 0 || c.Frozen || c.Opens+c.Clicks+c.Updates != 0 {
			bad("and keeps more than a tombstone may")
		}
		if c.DeletedAt == 0 {
			bad("without the time of it")
		}
		return
	}
	if len(c.Sealed) == 0 || c.EmailMasked == "" || c.DeletedAt != 0 || c.Successor != 0 || c.Rating == 0 {
		bad("and is not whole")
	}
	switch {
	case c.Permission == Unknown:
		bad("which is no permission of a card")
	case (c.Permission == Confirmed) != (subscribed > 0):
		bad("with %d subscriptions", subscribed)
	case c.Permission == Confirmed && c.ConfirmedAt == 0:
		bad("without the time of it")
	case c.Permission == Pending && held == 0:
		bad("on no list that waits for it")
	}
}

// person opens a card, and compares what is written beside the sealed value.
func (d *deep) person(c *Contact) (Person, bool) {
	if len(c.Sealed) == 0 {
		return Person{}, false
	}
	p, err := d.Open(c)
	if err != nil {
		d.fault("sealed values", "card %d does not open", c.SubscriberID)
		return p, false
	}
	d.values++
	under := func(key []byte, a Address) bool {
		return slices.ContainsFunc(d.keys.AddressKeys(a), func(k []byte) bool { return bytes.Equal(k, key) })
	}
	if !under(c.AddressKey, p.Address()) || (p.Mobile != "") != (len(c.MobileKey) > 0) || p.Mobile != "" && !under(c.MobileKey, p.Number()) {
		d.fault("address keys", "card %d is kept under another's key", c.SubscriberID)
	}
	if c.EmailMasked != p.Address().Masked() || c.MobileMasked != p.Number().Masked() {
		d.fault("address keys", "card %d shows another masked form than its own", c.SubscriberID)
	}
	return p, true
}

// evidence checks the acts of a card: numbered, and those of a live card open
// to its address.
func (d *deep) evidence(c *Contact, p Person, opens bool, acts []*Evidence) {
	for _, e := range acts {
		if e.N < 1 || e.N > c.Acts {
			d.fault("evidence", "act %d of card %d, which has %d", e.N, c.SubscriberID, c.Acts)
		}
	}
	if c.Permission != Deleted && int64(len(acts)) != c.Acts {
		d.fault("evidence", "card %d has %d acts of %d", c.SubscriberID, len(acts), c.Acts)
	}
	if !opens {
		return
	}
	key, err := d.keys.EvidenceKey(p.Address())
	if err != nil {
		d.fault("evidence", "card %d: %v", c.SubscriberID, err)
		return
	}
	for _, e := range acts {
		if len(e.Sealed) == 0 {
			continue
		}
		if err := key.Open(e); err != nil {
			d.fault("evidence", "act %d of card %d does not open", e.N, c.SubscriberID)
			continue
		}
		d.values++
	}
}

func (q queries) evidenceOf(ctx context.Context, ids []int64) (map[int64][]*Evidence, error) {
	out := make(map[int64][]*Evidence, len(ids))
	marks, args := inList(anys(ids))
	err := q.each(ctx, func(rows *sql.Rows) error {
		e := &Evidence{}
		err := rows.Scan(&e.SubscriberID, &e.N, &e.Kind, &e.At, &e.Sealed)
		out[e.SubscriberID] = append(out[e.SubscriberID], e)
		return err
	}, `SELECT subscriber_id, n, kind, at, sealed FROM evidence WHERE subscriber_id IN (`+marks+`) ORDER BY subscriber_id, n`, args...)
	return out, err
}

// findings sums up.
func (d *deep) findings() []Finding {
	var out []Finding
	for _, what := range slices.Sorted(maps.Keys(d.faults)) {
		words := strings.Join(d.faults[what], "; ")
		if n := d.more[what]; n > 0 {
			words += fmt.Sprintf("; and %d more", n)
		}
		mend := "restore a backup, and report this"
		if mendable(what) {
			mend = "run kartotek doctor --deep --mend, which puts it right, and report this"
		}
		out = append(out, found(what, Bad, mend, "%s", words))
	}
	if len(out) == 0 {
		out = append(out, found("contents", Good, "", "%d cards and tombstones and all that belongs to them are whole, %d sealed values open, and the counters are exact", d.cards, d.values))
	}
	return out
}

// journaled is who was erased by this machine's journal, with their address keys.
func (s *Store) journaled(ctx context.Context) (map[int64][]byte, error) {
	j := s.journal.file
	unlock, err := j.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	at, err := s.followed(ctx, s.queries)
	if err != nil {
		return nil, err
	}
	void, _, err := j.pending(j.start(), at)
	if err != nil {
		return nil, err
	}
	out := map[int64][]byte{}
	err = j.read(j.start(), at.N, func(r *record) error {
		if r.Kind == recordErasure && !void[r.N] {
			out[r.ID] = bytes.Clone(r.AddressKey[:])
		}
		return nil
	})
	return out, err
}
