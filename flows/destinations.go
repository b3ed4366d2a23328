package flows

import (
	"cmp"
	"context"
	"slices"
	"time"

	"kartotek/store"
)

// recentLetters is how many letters [Service.Destinations] looks at: the
// latest, and as many again of those that wait for another try. So what it
// costs doesn't depend on how many there are.
const recentLetters = 1000

// Destination is how the letters to one server have fared lately.
type Destination struct {
	Host      string     `json:"host"`    // "" of letters that no server was asked about yet
	Waiting   int64      `json:"waiting"` // due, being sent or held
	Deferred  int64      `json:"deferred"`
	Refused   int64      `json:"refused"`
	Delivered int64      `json:"delivered"`
	Words     string     `json:"words"` // the server's last ones to a letter that it deferred or refused, the address masked
	Next      *time.Time `json:"next"`  // try of a deferred letter
}

// Destinations tells how the latest letters, and all that are deferred, have
// fared by the server that was last asked to take them: those with most
// trouble first, then those with most letters.
func (s *Service) Destinations(ctx context.Context, a Actor) ([]Destination, error) {
	if err := s.allow(ctx, a, doOutbox); err != nil {
		return nil, err
	}
	latest, err := s.store.Letters(ctx, 0, recentLetters)
	if err != nil {
		return nil, err
	}
	deferred, err := s.store.LettersIn(ctx, []store.LetterState{store.LetterDeferred}, 0, 0, recentLetters)
	if err != nil {
		return nil, err
	}
	byHost, seen := map[string]*Destination{}, map[int64]bool{}
	for _, l := range append(latest, deferred...) { // the latest first, so that the first words are the last said
		if seen[l.ID] {
			continue
		}
		seen[l.ID] = true
		d := byHost[l.Host]
		if d == nil {
			d = &Destination{Host: l.Host}
			byHost[l.Host] = d
		}
		d.count(letterOf(l))
	}
	out := make([]Destination, 0, len(byHost))
	for _, d := range byHost {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(x, y Destination) int {
		return cmp.Or(cmp.Compare(y.Deferred+y.Refused, x.Deferred+x.Refused), cmp.Compare(y.Waiting+y.Delivered, x.Waiting+x.Delivered), cmp.Compare(x.Host, y.Host))
	})
	return out, nil
}

// count adds a letter.
func (d *Destination) count(l Letter) {
	switch l.State {
	case "deferred":
		d.Deferred++
		if l.Due != nil && (d.Next == nil || l.Due.Before(*d.Next)) {
			d.Next = l.Due
		}
	case "refused":
		d.Refused++
	case "delivered":
		d.Delivered++
		return
	default:
		d.Waiting++
		return
	}
	d.Words = cmp.Or(d.Words, l.Reply)
}
