package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// TestChangedBeforeItIsClaimed: whoever claims has looked before a letter is
// held, frozen or dropped, and looks again.
func TestChangedBeforeItIsClaimed(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	for name, change := range map[string]func(tx *Tx, l Letter) error{
		"held":   func(tx *Tx, l Letter) error { return tx.MoveLetter(ctx, &l, LetterHeld, 2) },
		"frozen": func(tx *Tx, _ Letter) error { return tx.HoldLetters(ctx, 1, true, 2) },
		"gone":   func(tx *Tx, _ Letter) error { return tx.DropLetters(ctx, 1, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			l := Letter{SubscriberID: 1, Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
			if err := s.InTx(ctx, func(tx *Tx) error { return tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"}) }); err != nil {
				t.Fatal(err)
			}
			l, err := s.Letter(ctx, l.ID)
			if err != nil {
				t.Fatal(err)
			}
			newest := newestLease(t, s)
			if err := s.InTx(ctx, func(tx *Tx) error { return change(tx, l) }); err != nil {
				t.Fatal(err)
			}
			err = s.InTx(ctx, func(tx *Tx) error {
				if _, err := tx.takeTurnAfter(ctx, newest); !errors.Is(err, errConflict) {
					t.Errorf("claiming what was read before: %v", err)
				}
				return context.Canceled
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if turns, err := s.leases(ctx); err != nil || len(turns) != 1 {
				t.Errorf("%d turns are kept, %v", len(turns), err)
			}
		})
	}
}

func newestLease(t *testing.T, s *Store) int64 {
	t.Helper()
	all, err := s.leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].id
}

// TestTurnAfterOthers: of two turns that were taken since, only the last is kept,
// so that the number of the first one is free again.
func TestTurnAfterOthers(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	newest := newestLease(t, s)
	for range 2 {
		if err := s.InTx(ctx, func(tx *Tx) error {
			all, err := tx.takeTurn(ctx)
			return errors.Join(err, tx.dropLeases(ctx, all[:len(all)-1], 0))
		}); err != nil {
			t.Fatal(err)
		}
	}
	err := s.InTx(ctx, func(tx *Tx) error {
		if _, err := tx.takeTurnAfter(ctx, newest); !errors.Is(err, errConflict) {
			t.Errorf("taking a turn that others had: %v", err)
		}
		return context.Canceled
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLeasedOnceMore: a letter that came back while others of its lease are on
// the wire is leased again, and still is one letter.
func TestLeasedOnceMore(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	const n = leasedAtOnce + 100
	if err := s.InTx(ctx, func(tx *Tx) (err error) {
		for range n {
			l := Letter{Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
			err = errors.Join(err, tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"}))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	claim := func(c Claim) (got []Claimed) {
		t.Helper()
		c.Owner, c.Now, c.Until, c.N = "a", 10, 90, n
		if err := s.InTx(ctx, func(tx *Tx) (err error) {
			got, err = tx.ClaimLetters(ctx, c)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := claim(Claim{})
	if err := s.InTx(ctx, func(tx *Tx) error { return tx.PostponeLetter(ctx, first[0].Letter, 10) }); err != nil {
		t.Fatal(err)
	}
	if again := claim(Claim{InHand: []int64{first[0].Lease()}}); len(first) != n || len(again) != 1 || again[0].ID != first[0].ID {
		t.Fatalf("claimed %d letters, and %d again", len(first), len(again))
	}
	if sending, err := s.LettersIn(ctx, []LetterState{LetterSending}, 0, 0, 2*n); err != nil || len(sending) != n {
		t.Errorf("%d letters are being sent, %v", len(sending), err)
	}
	if found, err := s.ExamineDeeply(ctx, nil); err != nil || len(found) != 1 || found[0].Severity != Good {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestRenewedBeforeItIsTaken: a lease that had ended when another looked is not
// his once its owner has renewed it.
func TestRenewedBeforeItIsTaken(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	l := Letter{Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
	if err := s.InTx(ctx, func(tx *Tx) error { return tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"}) }); err != nil {
		t.Fatal(err)
	}
	claimOnly(t, s, "a", l.ID)
	seen, err := s.leases(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.InTx(ctx, func(tx *Tx) error { return tx.RenewLeases(ctx, []int64{newestLease(t, s)}, 200) }); err != nil {
		t.Fatal(err)
	}
	err = s.InTx(ctx, func(tx *Tx) error {
		if err := tx.dropLeases(ctx, seen, 100); !errors.Is(err, errConflict) {
			t.Errorf("dropping a lease that was renewed: %v", err)
		}
		return context.Canceled
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestClaimsBesideStaff claims letters while others put some into the queue and
// drop them: each is taken once or dropped, and everybody gets his turn.
func TestClaimsBesideStaff(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	const staff, acts = 3, 40
	var wg sync.WaitGroup
	var mu sync.Mutex
	var dropped, claimed int
	seen := map[int64]bool{}
	for range staff {
		wg.Go(func() {
			for range acts {
				two := [2]Letter{}
				err := s.InTx(ctx, func(tx *Tx) (err error) {
					for i := range two {
						two[i] = Letter{Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
						err = errors.Join(err, tx.Enqueue(ctx, &two[i], Envelope{To: "a@example.com"}))
					}
					return err
				})
				err = errors.Join(err, s.InTx(ctx, func(tx *Tx) error {
					l, err := tx.Letter(ctx, two[0].ID)
					if err != nil || !l.State.Open() || l.Lease() != 0 {
						return errors.Join(err, context.Canceled) // another was faster
					}
					return tx.DropLetter(ctx, l)
				}))
				switch {
				case err == nil:
					mu.Lock()
					dropped++
					mu.Unlock()
				case !errors.Is(err, context.Canceled):
					t.Error(err)
				}
			}
		})
	}
	claim := func(owner string, over *int64) int {
		var got []Claimed
		err := s.InTx(ctx, func(tx *Tx) (err error) {
			got, err = tx.ClaimLetters(ctx, Claim{Owner: owner, Now: 10, Until: 90, N: 5, Over: []int64{*over}})
			return err
		})
		if err == nil && len(got) > 0 {
			*over = got[0].Lease()
			letters := make([]Letter, len(got))
			for i, l := range got {
				letters[i] = l.Letter
			}
			err = s.InTx(ctx, func(tx *Tx) error { return tx.EndLetters(ctx, letters, LetterDelivered, 20) })
		}
		if err != nil {
			t.Error(err)
			return 0
		}
		mu.Lock()
		defer mu.Unlock()
		for _, l := range got {
			if seen[l.ID] {
				t.Errorf("letter %d was claimed twice", l.ID)
			}
			seen[l.ID] = true
		}
		claimed += len(got)
		return len(got)
	}
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for _, owner := range []string{"a", "b"} {
		senders.Go(func() {
			over := int64(0)
			for more, last := true, false; more || !last; {
				select {
				case <-stop:
					last = true
				default:
				}
				more = claim(owner, &over) > 0
			}
		})
	}
	wg.Wait()
	close(stop)
	senders.Wait()
	if claimed+dropped != 2*staff*acts {
		t.Errorf("%d claimed and %d dropped of %d", claimed, dropped, 2*staff*acts)
	}
	if c, err := s.Counters(ctx); err != nil || c.OpenLetters() != 0 {
		t.Errorf("%v are counted, %v", c.Letters, err)
	}
}

// TestChangedWhileItIsClaimed: a letter that was read before it was claimed is
// changed as one that is being sent, or not at all. It can only happen on a
// server: an embedded store has one writer.
func TestChangedWhileItIsClaimed(t *testing.T) {
	s := open(t, t.TempDir())
	if !s.OnServer() {
		t.Skip("an embedded store has one writer")
	}
	ctx := t.Context()
	for i, change := range []func(tx *Tx, letters []Letter) error{
		func(tx *Tx, letters []Letter) error { return tx.DropLetter(ctx, letters[0]) },
		func(tx *Tx, letters []Letter) error {
			if err := tx.DropLetter(ctx, letters[1]); err != nil { // it takes the turn
				return err
			}
			return tx.DropLetter(ctx, letters[0])
		},
		func(tx *Tx, letters []Letter) error {
			if err := tx.unclaimed(ctx, letters...); err != nil {
				return err
			}
			return tx.moveLetter(ctx, &letters[0], LetterHeld, 1, withCard)
		},
	} {
		card := int64(i + 1)
		if err := s.InTx(ctx, func(tx *Tx) error {
			for _, due := range []Micros{1, 50} {
				l := Letter{SubscriberID: card, Kind: "x", ToMasked: "x", State: LetterDue, DueAt: due, CreatedAt: 1}
				if err := tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		tries := 0
		if err := s.InTx(ctx, func(tx *Tx) error {
			tries++
			letters, err := tx.LettersOf(ctx, card)
			if err != nil {
				return err
			}
			if tries == 1 { // before the turn is taken, and after the letters were read
				claimOnly(t, s, "a", letters[0].ID)
			}
			return change(tx, letters)
		}); err != nil {
			t.Fatal(err)
		}
		if tries != 2 {
			t.Errorf("change %d took %d tries", i, tries)
		}
		c, err := s.Counters(ctx)
		if want := []string{"map[due:1]", "map[due:1]", "map[due:2 held:1]"}[i]; err != nil || fmt.Sprint(c.Letters) != want {
			t.Errorf("after change %d %v are counted, %v; want %v", i, c.Letters, err, want)
		}
	}
}

// claimOnly claims the one letter that is due at 10.
func claimOnly(t *testing.T, s *Store, owner string, id int64) {
	t.Helper()
	var got []Claimed
	err := s.InTx(t.Context(), func(tx *Tx) (err error) {
		got, err = tx.ClaimLetters(t.Context(), Claim{Owner: owner, Now: 10, Until: 90, N: 5})
		return err
	})
	if err != nil || len(got) != 1 || got[0].ID != id {
		t.Fatalf("claimed %v, %v", got, err)
	}
}

// TestLeaseOfAnOlderVersion: the row of a letter says itself that it is being
// sent. It is due again when that ends, and ends as any other.
func TestLeaseOfAnOlderVersion(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	l := Letter{Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
	if err := s.InTx(ctx, func(tx *Tx) error {
		tx.add(LetterDue.counter(), -1)
		tx.add(LetterSending.counter(), 1)
		return tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"})
	}); err != nil {
		t.Fatal(err)
	}
	s.ddl(t, "UPDATE outbox SET state = 4, owner = 'old', due_at = 50, attempts = 1")
	if got, err := s.Letter(ctx, l.ID); err != nil || got.State != LetterSending {
		t.Fatalf("%+v, %v", got, err)
	}
	claim := func(now Micros) (got []Claimed) {
		t.Helper()
		if err := s.InTx(ctx, func(tx *Tx) (err error) {
			got, err = tx.ClaimLetters(ctx, Claim{Owner: "new", Now: now, Until: 90, N: 5})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := claim(49); len(got) != 0 {
		t.Errorf("claimed before its lease has ended: %v", got)
	}
	got := claim(50)
	if len(got) != 1 || got[0].Attempts != 2 {
		t.Fatalf("claimed %v", got)
	}
	if err := s.InTx(ctx, func(tx *Tx) error { return tx.EndLetters(ctx, []Letter{got[0].Letter}, LetterDelivered, 60) }); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Letter(ctx, l.ID); err != nil || got.State != LetterDelivered || got.Attempts != 2 || got.Owner != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if c, err := s.Counters(ctx); err != nil || c.OpenLetters() != 0 {
		t.Errorf("%v, %v", c.Letters, err)
	}
}
