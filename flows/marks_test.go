package flows

import (
	"errors"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
)

// TestMarksOfLettersThatWent: of letters that are marked together one was
// erased and one taken over by another sender while they were on the wire.
// Both are lost, and nothing is kept of them; the others, whose lease goes on,
// are delivered.
func TestMarksOfLettersThatWent(t *testing.T) {
	d := newDesk(t)
	d.bring(marie, Pending)
	d.letters(3, store.LetterDue)
	d.pass(time.Second)
	sp := d.Spool()
	got, err := sp.Claim(t.Context(), "me", 2, 0, time.Minute)
	d.must(err)
	d.pass(30 * time.Second)
	more, err := sp.Claim(t.Context(), "me", 10, 0, time.Minute)
	d.must(err)
	if got = append(got, more...); len(got) != 4 {
		t.Fatalf("claimed %d letters", len(got))
	}
	var marks []*mark
	for _, l := range got {
		m := newMark(l, mta.Verdict{State: mta.Delivered, At: d.time, Transcript: []string{"> hi"}})
		if d.must(sp.prepare(m)); m.ready == nil {
			t.Fatal("a letter in hand is not made ready")
		}
		marks = append(marks, m)
	}
	d.pass(40 * time.Second) // the first lease ends
	_, err = d.Erase(t.Context(), anna, marie, "asked")
	d.must(err)
	if taken, err := d.Spool().Claim(t.Context(), "another", 1, 0, time.Minute); err != nil || len(taken) != 1 || taken[0].ID != got[1].ID {
		t.Fatalf("another sender claimed %v, %v", taken, err)
	}
	sp.marks.waiting = marks
	sp.write(t.Context())
	for i, m := range marks {
		if lost := i < 2; errors.Is(m.err, mta.ErrLost) != lost || !lost && m.err != nil {
			t.Errorf("letter %d: %v", m.id, m.err)
		}
		tries, err := d.store.Attempts(t.Context(), m.id)
		if d.must(err); len(tries) != max(0, min(1, i-1)) {
			t.Errorf("letter %d has %d attempts", m.id, len(tries))
		}
	}
	if len(sp.claimed) != 0 {
		t.Errorf("%d letters are still in hand", len(sp.claimed))
	}
	d.checkOutbox()
}
