package flows

import (
	"context"
	"time"

	"kartotek/store"
)

// letterOf is a row of the outbox as doors show it.
func letterOf(l store.Letter) Letter {
	out := Letter{
		ID: l.ID, SubscriberID: l.SubscriberID, Kind: l.Kind, ToMasked: l.ToMasked, State: l.State.String(), Created: seconds(l.CreatedAt),
		Attempts: l.Attempts, Code: l.Code, Enhanced: l.Enhanced, Reply: l.Reply, Host: l.Host, TLS: l.TLS,
	}
	switch l.State {
	case store.LetterDelivered:
		out.Delivered = keptTime(l.DoneAt)
	case store.LetterUrgent, store.LetterDue, store.LetterDeferred:
		out.Due = keptTime(l.DueAt)
	}
	return out
}

// Outbox reads letters below the one numbered after (0: all). state is due,
// sending, deferred, held, refused, delivered, or "" for any, newest first; of
// one state those come first that are due last, or were done last.
func (s *Service) Outbox(ctx context.Context, a Actor, state string, after int64, limit int) ([]Letter, error) {
	if err := s.allow(ctx, a, doOutbox); err != nil {
		return nil, err
	}
	rows, err := s.letters(ctx, state, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Letter, 0, len(rows))
	for _, l := range rows {
		out = append(out, letterOf(l))
	}
	return out, nil
}

func (s *Service) letters(ctx context.Context, state string, after int64, limit int) ([]store.Letter, error) {
	if state == "" {
		return s.store.Letters(ctx, after, limit)
	}
	states := store.LetterStates(state)
	if states == nil {
		return nil, refuse("a letter is due, sending, deferred, held, refused or delivered")
	}
	var due store.Micros
	if after != 0 {
		l, err := s.store.Letter(ctx, after)
		if err != nil {
			return nil, noLetter(err)
		}
		due = l.DueAt
	}
	return s.store.LettersIn(ctx, states, due, after, limit)
}

// Try is one attempt to send a letter, with what was said.
type Try struct {
	Number   int       `json:"number"`
	At       time.Time `json:"at"`
	State    string    `json:"state"` // delivered, deferred or refused
	Code     int       `json:"code"`
	Enhanced string    `json:"enhanced"`
	Reply    string    `json:"reply"`
	Host     string    `json:"host"`
	TLS      string    `json:"tls"`
	Talk     []string  `json:"conversation"` // lines that begin with > are ours, with < the server's
}

// LetterStory is a letter with everything that was tried with it.
type LetterStory struct {
	Letter
	Tries []Try `json:"tries"`
}

// Story reads a letter and its conversations with servers, addresses masked;
// ErrNotFound when it isn't there.
func (s *Service) Story(ctx context.Context, a Actor, id int64) (LetterStory, error) {
	l, err := s.Letter(ctx, a, id)
	if err != nil {
		return LetterStory{}, err
	}
	story := LetterStory{Letter: l, Tries: []Try{}}
	attempts, err := s.store.Attempts(ctx, id)
	if err != nil {
		return LetterStory{}, err
	}
	for _, t := range attempts {
		story.Tries = append(story.Tries, Try{
			Number: t.N, At: seconds(t.At), State: t.State.String(), Code: t.Code, Enhanced: t.Enhanced, Reply: t.Reply, Host: t.Host, TLS: t.TLS, Talk: t.Talk,
		})
	}
	return story, nil
}
