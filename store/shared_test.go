package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// TestLettersOfAGroup puts letters into the outbox that are written with those
// of other transactions: each sees its own at once, what it drops is gone, and
// one that fails leaves none, whatever shares its commit.
func TestLettersOfAGroup(t *testing.T) {
	s := open(t, t.TempDir())
	refused := errors.New("refused")
	const n = 300
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			card := int64(i + 1)
			err := s.InTx(t.Context(), func(tx *Tx) error {
				for range 2 {
					l := Letter{SubscriberID: card, Kind: "x", ToMasked: "x", DueAt: 1, CreatedAt: 1}
					if err := tx.Enqueue(t.Context(), &l, Envelope{To: fmt.Sprint(card), Data: []byte("text")}); err != nil {
						return err
					}
				}
				switch i % 4 {
				case 1:
					return refused
				case 2:
					return tx.DropLetters(t.Context(), card, 0)
				case 3:
					if own, err := tx.LettersOf(t.Context(), card); err != nil || len(own) != 2 {
						return fmt.Errorf("%d letters of its own: %w", len(own), err)
					}
				}
				return nil
			})
			if want := i%4 == 1; errors.Is(err, refused) != want || !want && err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var all []int64
	for i := range n {
		letters, err := s.LettersOf(t.Context(), int64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		if want := []int{2, 0, 0, 2}[i%4]; len(letters) != want {
			t.Errorf("%d letters of card %d, want %d", len(letters), i+1, want)
		}
		for _, l := range letters {
			all = append(all, l.ID)
			if e, err := s.Envelope(t.Context(), l.ID); err != nil || e.To != fmt.Sprint(i+1) || string(e.Data) != "text" {
				t.Errorf("letter %d of card %d: to %q, %v", l.ID, i+1, e.To, err)
			}
		}
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != n {
		t.Errorf("%d letters, want %d", len(all), n)
	}
	c, err := s.Counters(t.Context())
	if err != nil || c.OpenLetters() != n {
		t.Errorf("%d letters are counted, %v", c.OpenLetters(), err)
	}
}
