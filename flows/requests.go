package flows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kartotek/store"
)

// The kinds of requests: a person's rights by GDPR art. 15 to 21, and a bulk
// export, which waits for a second person.
const (
	KindAccess      = "access"      // art. 15
	KindCorrect     = "correct"     // art. 16
	KindErase       = "erase"       // art. 17
	KindRestrict    = "restrict"    // art. 18
	KindPortability = "portability" // art. 20
	KindObject      = "object"      // art. 21
	KindExport      = "export"
)

// RequestKinds are those that a person can make.
var RequestKinds = []string{KindAccess, KindCorrect, KindErase, KindRestrict, KindPortability, KindObject}

// Request is what a person asked for, or a bulk export that one of staff did.
type Request struct {
	ID           int64       `json:"number"`
	Kind         string      `json:"kind"`
	State        string      `json:"state"` // open, approved, done, refused
	SubscriberID *int64      `json:"subscriber_id"`
	Received     time.Time   `json:"received"`
	Due          time.Time   `json:"due"`
	Closed       *time.Time  `json:"closed"`
	By           string      `json:"by"` // of staff, who wrote it down or asks
	ClosedBy     string      `json:"closed_by,omitempty"`
	Note         string      `json:"note,omitempty"`
	Answer       string      `json:"answer,omitempty"`
	Export       *BulkExport `json:"export,omitempty"`
}

// BulkExport is what a request for a bulk export is about, and where its file is.
type BulkExport struct {
	What     string     `json:"what"` // everybody, a list, or so many marked
	File     string     `json:"file,omitempty"`
	Machine  string     `json:"machine,omitempty"`
	Contacts int64      `json:"contacts"`
	Expires  *time.Time `json:"expires"`
	Gone     bool       `json:"gone"` // somebody in it was erased, or its time is over
}

// NewRequest is what staff write down when a person asks.
type NewRequest struct {
	Kind         string
	SubscriberID int64
	Received     time.Time // the zero time is now; not later
	Note         string    // how it came, free of personal data; may be ""
}

// Requests reads requests of a state ("open": what is due first ahead; "" for
// all: the newest ahead), with numbers below before (0: all).
func (s *Service) Requests(ctx context.Context, a Actor, state string, before int64, limit int) ([]Request, error) {
	if err := s.allow(ctx, a, doRequests); err != nil {
		return nil, err
	}
	code := store.ParseRequestState(state)
	if state != "" && code == 0 {
		return nil, refuse("a request is open, approved, done or refused")
	}
	rows, err := s.store.Requests(ctx, code, before, limit)
	out := make([]Request, len(rows))
	for i, r := range rows {
		if err == nil {
			out[i], err = s.requestOf(ctx, r)
		}
	}
	return out, err
}

// Request reads one.
func (s *Service) Request(ctx context.Context, a Actor, id int64) (Request, error) {
	if err := s.allow(ctx, a, doRequests); err != nil {
		return Request{}, err
	}
	r, err := s.store.Request(ctx, id)
	if err != nil {
		return Request{}, noRequest(err)
	}
	return s.requestOf(ctx, r)
}

func (s *Service) requestOf(ctx context.Context, r store.Request) (Request, error) {
	out := Request{
		ID: r.ID, Kind: r.Kind, State: r.State.String(), SubscriberID: keptID(r.SubscriberID), Received: seconds(r.ReceivedAt), Due: seconds(r.DueAt),
		Closed: keptTime(r.ClosedAt), By: r.MadeBy, ClosedBy: r.ClosedBy, Note: r.Note, Answer: r.Answer,
	}
	if r.Kind != KindExport {
		return out, nil
	}
	e, err := s.store.BulkExport(ctx, r.ID)
	if err != nil {
		return out, err
	}
	out.Export = &BulkExport{File: e.File, Machine: e.Machine, Contacts: e.Contacts, Expires: keptTime(e.ExpiresAt), Gone: e.GoneAt != 0}
	switch e.ListID {
	case 0:
		out.Export.What = "everybody"
	case store.ExportMarked:
		out.Export.What = "marked contacts"
	default:
		l, err := s.store.ListByID(ctx, e.ListID)
		if err != nil {
			return out, err
		}
		out.Export.What = "the list " + l.Name
	}
	return out, nil
}

// AddRequest writes down what a person asked for. It is due one calendar month
// after it was received (GDPR art. 12(3)).
func (s *Service) AddRequest(ctx context.Context, a Actor, n NewRequest) (_ Request, err error) {
	defer func() { err = s.trace(ctx, a, doRequests, 0, err) }()
	if err := s.allow(ctx, a, doRequests); err != nil {
		return Request{}, err
	}
	if !slices.Contains(RequestKinds, n.Kind) {
		return Request{}, refuse("a request is one of %s", strings.Join(RequestKinds, ", "))
	}
	now := s.now().UTC()
	if n.Received.IsZero() {
		n.Received = now
	}
	if n.Received.After(now) {
		return Request{}, refuse("the request can't have been received later than now")
	}
	var r store.Request
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := tx.Contact(ctx, n.SubscriberID)
		if err != nil {
			return err
		}
		note := ""
		if strings.TrimSpace(n.Note) != "" {
			if note, err = s.harmless(tx, c, "the note", n.Note); err != nil {
				return err
			}
		}
		r = store.Request{
			Kind: n.Kind, State: store.RequestOpen, SubscriberID: n.SubscriberID, ReceivedAt: store.At(n.Received), DueAt: store.At(aMonthAfter(n.Received)),
			MadeBy: a.Name, Note: note,
		}
		if err := tx.Touch(ctx, c); err != nil { // an erasure at this moment takes the note away
			return err
		}
		if err := tx.AddRequest(ctx, &r); err != nil {
			return err
		}
		return audit(ctx, tx, a, store.At(now), "add request", n.SubscriberID, fmt.Sprintf("request %d: %s", r.ID, n.Kind))
	})
	if err != nil {
		return Request{}, notFound(err, fmt.Sprint(n.SubscriberID))
	}
	return s.requestOf(ctx, r)
}

// harmless is a text about a card that names nobody.
func (s *Service) harmless(tx *store.Tx, c *store.Contact, what, text string) (string, error) {
	text, err := plain(what, text)
	if err != nil {
		return "", err
	}
	var p store.Person
	if c != nil {
		if p, err = tx.Open(c); err != nil {
			return "", err
		}
	}
	return text, personal(what, text, p)
}

// aMonthAfter is the same day of the next month, or its last where it has no
// such day (Regulation 1182/71 art. 3(2)(c)).
func aMonthAfter(t time.Time) time.Time {
	t = t.UTC()
	next := t.AddDate(0, 1, 0)
	if next.Day() != t.Day() {
		next = next.AddDate(0, 0, -next.Day())
	}
	return next
}

// CloseRequest ends a person's request: done, or refused with the reason that
// the person is told (GDPR art. 12(4)).
func (s *Service) CloseRequest(ctx context.Context, a Actor, id int64, refused bool, answer string) (_ Request, err error) {
	defer func() { err = s.trace(ctx, a, doRequests, 0, err) }()
	if err := s.allow(ctx, a, doRequests); err != nil {
		return Request{}, err
	}
	if refused && strings.TrimSpace(answer) == "" {
		return Request{}, refuse("a request is refused with a reason, which the person is told (GDPR art. 12(4))")
	}
	return s.endRequest(ctx, a, id, func(r *store.Request) (string, error) {
		if r.Kind == KindExport {
			return "", refuse("a bulk export is approved or rejected by a second person")
		}
		r.State = store.RequestDone
		if refused {
			r.State = store.RequestRefused
		}
		return "close request", nil
	}, answer)
}

// Reject refuses a bulk export that waits for approval. Who asked for it can
// take it back in the same way.
func (s *Service) Reject(ctx context.Context, a Actor, id int64, reason string) (_ Request, err error) {
	defer func() { err = s.trace(ctx, a, doApprove, 0, err) }()
	act := doApprove
	if r, err := s.store.Request(ctx, id); err == nil && r.MadeBy == a.Name {
		act = doExport
	}
	if err := s.allow(ctx, a, act); err != nil {
		return Request{}, err
	}
	return s.endRequest(ctx, a, id, func(r *store.Request) (string, error) {
		if r.Kind != KindExport {
			return "", refuse("only a bulk export is approved or rejected: close a person's request")
		}
		if act == doExport && r.MadeBy != a.Name {
			return "", refuse("only who asked can take a request back")
		}
		r.State = store.RequestRefused
		return "reject export", nil
	}, reason)
}

// endRequest closes an open request.
func (s *Service) endRequest(ctx context.Context, a Actor, id int64, end func(*store.Request) (string, error), answer string) (Request, error) {
	var r store.Request
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Request(ctx, id); err != nil {
			return noRequest(err)
		}
		if r.State != store.RequestOpen {
			return refuse("request %d is %s already", id, r.State)
		}
		act, err := end(&r)
		if err != nil {
			return err
		}
		var c *store.Contact
		if r.SubscriberID != 0 {
			if c, err = tx.Contact(ctx, r.SubscriberID); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		if strings.TrimSpace(answer) != "" {
			if r.Answer, err = s.harmless(tx, c, "the reason", answer); err != nil {
				return err
			}
			if c != nil {
				if err := tx.Touch(ctx, c); err != nil { // as with the note
					return err
				}
			}
		}
		r.ClosedAt, r.ClosedBy = store.At(s.now()), a.Name
		if err := tx.SaveRequest(ctx, &r); err != nil {
			return err
		}
		return audit(ctx, tx, a, r.ClosedAt, act, r.SubscriberID, fmt.Sprintf("request %d: %s %s", id, r.Kind, r.State))
	})
	if err != nil {
		return Request{}, err
	}
	return s.requestOf(ctx, r)
}

func noRequest(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("there is no request of that number: %w", err)
	}
	return err
}
