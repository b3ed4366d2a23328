package store

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBrowseEveryFilter pages through a store from both ends under every
// filter, and compares with a plain loop over what was put in.
func TestBrowseEveryFilter(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	contacts, onList := populate(t, ctx, s, 150)
	for b := range everyFilter("Rare") {
		b.Limit = 7
		var want []int64
		for _, c := range contacts {
			if b.fits(c, onList[[2]int64{c.SubscriberID, b.ListID}]) {
				want = append(want, c.SubscriberID)
			}
		}
		if b.ByID {
			slices.SortFunc(want, func(a, b int64) int { return int(b - a) })
		}
		t.Run(b.title(), func(t *testing.T) {
			if diff := cmp.Diff(want, pageThrough(t, ctx, s, b)); diff != "" {
				t.Errorf("from the first on (-want +got)\n%s", diff)
			}
			b.Backwards = true
			if diff := cmp.Diff(want, pageThrough(t, ctx, s, b)); diff != "" {
				t.Errorf("from the last back (-want +got)\n%s", diff)
			}
		})
	}
}

// everyFilter is what can be asked for, in both orders.
func everyFilter(sources ...string) iter.Seq[BrowseQuery] {
	return func(yield func(BrowseQuery) bool) {
		for _, list := range []int64{0, 1} {
			for _, source := range append([]string{"", "Webform"}, sources...) {
				for _, p := range []Permission{Unknown, Pending, Confirmed, Unsubscribed} {
					for _, r := range []Rating{0, VIP} {
						b := BrowseQuery{ListID: list, Source: source, Permission: p, Rating: r}
						dated := b
						dated.SeenFrom, dated.SeenBefore = 5, 15
						byID := b
						byID.ByID = true
						for _, b := range []BrowseQuery{b, dated, byID} {
							if !yield(b) {
								return
							}
						}
					}
				}
			}
		}
	}
}

func (b BrowseQuery) title() string {
	return fmt.Sprintf("list %d, source %q, %s, rating %q, %d to %d, by id %v, back %v", b.ListID, b.Source, b.Permission, b.Rating, b.SeenFrom, b.SeenBefore, b.ByID, b.Backwards)
}

// fits is the filter as a plain condition.
func (b BrowseQuery) fits(c *Contact, status string) bool {
	switch p := b.Permission; {
	case c.Permission == Deleted, p != Unknown && c.Permission != p:
	case b.ListID != 0 && (status == "" || p != Unknown && statusCodes[status] != p):
	case b.Source != "" && c.Source != b.Source, b.Rating != 0 && c.Rating != b.Rating:
	case c.LastSeenAt < b.SeenFrom, b.SeenBefore != 0 && c.LastSeenAt >= b.SeenBefore:
	default:
		return true
	}
	return false
}

// populate puts contacts with many equal times into a store; it returns them
// newest first, and the status of each on its lists.
func populate(t *testing.T, ctx context.Context, s *Store, n int) ([]*Contact, map[[2]int64]string) {
	t.Helper()
	var out []*Contact
	var onList map[[2]int64]string
	err := s.InTx(ctx, func(tx *Tx) error { // it may run again
		rnd := rand.New(rand.NewPCG(1, 2))
		out, onList = nil, map[[2]int64]string{}
		for _, name := range []string{"News", "Offers"} {
			if err := tx.AddList(ctx, &List{Name: name, Slug: name}); err != nil {
				return err
			}
		}
		for i := range n {
			c := &Contact{SubscriberID: int64(i + 1), Permission: Permission(1 + rnd.IntN(4)), Source: "Webform", Rating: Rating(1 + rnd.IntN(5)), LastSeenAt: Micros(1 + rnd.IntN(20))}
			if rnd.IntN(10) == 0 {
				c.Source = "Rare"
			}
			if err := tx.Seal(c, Person{Email: fmt.Sprintf("p%d@example.com", i)}); err != nil {
				return err
			}
			if err := tx.AddContact(ctx, c); err != nil {
				return err
			}
			out = append(out, c)
			for list := int64(1); list <= 2 && c.Permission != Deleted; list++ {
				status := statusNames[rnd.IntN(4)]
				if status == "" {
					continue
				}
				onList[[2]int64{c.SubscriberID, list}] = status
				if err := tx.AddMembership(ctx, c, &Membership{SubscriberID: c.SubscriberID, ListID: list, Status: status}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(out, func(a, b *Contact) int {
		if a.LastSeenAt != b.LastSeenAt {
			return int(b.LastSeenAt - a.LastSeenAt)
		}
		return int(b.SubscriberID - a.SubscriberID)
	})
	return out, onList
}

// pageThrough collects the SubscriberIDs of all pages, newest first.
func pageThrough(t *testing.T, ctx context.Context, s *Store, b BrowseQuery) []int64 {
	t.Helper()
	var out []int64
	b.From, b.FromEnd = Place{1 << 62, 1 << 62}, b.Backwards
	for {
		page, err := s.Browse(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return out
		}
		ids := make([]int64, len(page))
		for i, c := range page {
			ids[i] = c.SubscriberID
		}
		edge := page[len(page)-1]
		if b.Backwards {
			edge, out = page[0], append(ids, out...)
		} else {
			out = append(out, ids...)
		}
		b.From, b.FromEnd = Place{int64(edge.LastSeenAt), edge.SubscriberID}, false
	}
}
