package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMendLeases damages a lease, which stops all sending, and has it ended.
func TestMendLeases(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	for _, owner := range []string{"a", "b"} {
		l := Letter{Kind: "x", ToMasked: "x", State: LetterDue, DueAt: 1, CreatedAt: 1}
		if err := s.InTx(ctx, func(tx *Tx) error { return tx.Enqueue(ctx, &l, Envelope{To: "a@example.com"}) }); err != nil {
			t.Fatal(err)
		}
		claimOnly(t, s, owner, l.ID)
	}
	s.ddl(t, "UPDATE leases SET letters = 'x' WHERE lease_id = 1")
	if _, err := s.AnyDue(ctx, 10, 1, 0); !errors.Is(err, ErrDamaged) {
		t.Errorf("looking for letters: %v", err)
	}
	var notes []string
	if _, err := s.MendDeeply(ctx, nil, func(tx *Tx, words string) error {
		notes = append(notes, words)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ended 1 leases that can't be read", "2 counters"}, notes); diff != "" {
		t.Errorf("mended (-want +got)\n%s", diff)
	}
	claimOnly(t, s, "c", 1)
	found, err := s.ExamineDeeply(ctx, nil)
	if err != nil || len(found) != 1 || found[0].Severity != Good {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestMendDeeply breaks everything that only repeats what the cards say, behind
// the store's back and on more cards than a transaction mends, and has it
// mended.
func TestMendDeeply(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	populate(t, ctx, s, 600)
	s.ddl(t,
		"UPDATE memberships SET last_seen_at = last_seen_at + 1, source = 'Elsewhere'",
		"UPDATE counters SET n = n + 3 WHERE name = 'permission/confirmed'",
		"UPDATE counters SET n = 0 WHERE name LIKE 'rating/%'",
		"INSERT INTO memberships (subscriber_id, list_id, status, since, last_seen_at, rating, source, found_as) VALUES (999999, 1, 1, 1, 1, 1, NULL, 0)",
		"INSERT INTO bodies (letter_id, sealed) VALUES (999999, 'x')",
		"INSERT INTO activity (subscriber_id, week, opens, clicks) VALUES (999999, 1, 1, 1)",
	)
	var notes []string
	mend := func(tx *Tx, words string) error {
		notes = append(notes, words)
		return nil
	}
	found, err := s.MendDeeply(ctx, nil, mend)
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for _, f := range found {
		if f.Severity == Note {
			broken[f.What] = true
		}
	}
	if diff := cmp.Diff(map[string]bool{"copies": true, "orphans": true, "counters": true}, broken); diff != "" {
		t.Errorf("mended (-want +got)\n%s", diff)
	}
	want := []string{"removed 1 memberships of no card", "removed 1 weeks of activity of no live card", "removed 1 bodies of no letter"}
	if n := len(notes); n != 6 || cmp.Diff(want, notes[2:5]) != "" || !strings.HasSuffix(notes[5], " counters") {
		t.Errorf("it says it mended %q", notes)
	}
	found, err = s.ExamineDeeply(ctx, nil)
	for _, f := range found {
		if err != nil || mendable(f.What) || f.What == "sealed values" {
			t.Errorf("%s: %s, %v", f.What, f.Words, err)
		}
	}
	notes = nil
	if _, err := s.MendDeeply(ctx, nil, mend); err != nil || cmp.Diff([]string(nil), notes) != "" {
		t.Errorf("mending what is whole did %q, %v", notes, err)
	}
}
