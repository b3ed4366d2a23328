package flows

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"kartotek/flows/letters"
	"kartotek/store"
)

// ConfirmWithin is how long a sign-up or resubscription waits for the click
// before it is forgotten, address and all.
const ConfirmWithin = 7 * 24 * time.Hour

// cancelWithin is how long the link that cancels or unsubscribes works.
const cancelWithin = 60 * 24 * time.Hour

// Config is what the flows need to know of the company and this machine.
type Config struct {
	PublicURL string         // where the contact reaches the web pages, without a final slash
	Company   string         // as pages and letters name it
	From      letters.Sender // of the letters
	Exports   string         // directory of exported cards; made when it is needed
	Reports   string         // directory of import reports; likewise
	// Checkpoints is the file outside the database that the log's signed
	// checkpoints are appended to; made when it is needed.
	Checkpoints string
	// Publish hands a new checkpoint on to somebody who keeps it; nil for nobody.
	Publish func(ctx context.Context, checkpoint string) error
	// BounceDomain is the domain of the addresses that mail comes back to; ""
	// where nobody takes it.
	BounceDomain string
}

// Service runs the flows on a store. It is safe for use by several goroutines.
type Service struct {
	store *store.Store
	cfg   Config
	now   func() time.Time
	log   *slog.Logger
	wake  func() // tells the mail sender that a letter is due
	slips slips  // what can be undone

	looks   *looks   // what staff looked at, on its way into the audit
	refused refusals // what they were refused

	sealTurn sync.Mutex // held while the log is sealed
	sealer   string     // this process among those that may
	sealed   bool       // the newest checkpoint was kept outside the database
}

// New makes a Service on an open store.
func New(s *store.Store, cfg Config) *Service {
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	if cfg.Exports == "" {
		cfg.Exports = s.Dir("exports")
	}
	if cfg.Reports == "" {
		cfg.Reports = s.Dir("reports")
	}
	if cfg.Checkpoints == "" {
		cfg.Checkpoints = filepath.Join(s.Dir("checkpoints"), "checkpoints")
	}
	svc := &Service{sealer: sealerName(), looks: newLooks(), store: s, cfg: cfg, now: time.Now, log: slog.New(slog.DiscardHandler), wake: func() {}}
	s.SetClock(func() time.Time { return svc.now() }) // acts and their counts fall on one day
	s.OnRedo(svc.eraseRestored)
	return svc
}

// SetLog makes the clock's work tell what it did; numbers only.
func (s *Service) SetLog(l *slog.Logger) { s.log = l }

// OnLetter sets what is called after a letter went into the outbox. Call it
// before the service is used.
func (s *Service) OnLetter(wake func()) { s.wake = wake }

// SetClock replaces the time of day. Call it before the service is used.
func (s *Service) SetClock(now func() time.Time) { s.now = now }

// host is the host name that letters are sent in the name of.
func (s *Service) host() string {
	if u, err := url.Parse(s.cfg.PublicURL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return "localhost"
}

// person is the actor of acts that a contact does by a click.
func person() Actor { return Actor{Name: "contact", Role: RolePerson, From: "web"} }

// audit writes the row of an act; why must be free of personal data.
func audit(ctx context.Context, tx *store.Tx, a Actor, at store.Micros, act string, id int64, why string) error {
	return auditDrop(ctx, tx, a, at, act, id, why, 0)
}

// auditDrop is audit for an act that takes evidence away: of so many acts.
func auditDrop(ctx context.Context, tx *store.Tx, a Actor, at store.Micros, act string, id int64, why string, dropped int64) error {
	r := a.row(at, act, id, why)
	r.Dropped = dropped
	return tx.AddAudit(ctx, r)
}

// row is an act of an actor as the audit has it.
func (a Actor) row(at store.Micros, act string, id int64, why string) store.AuditRow {
	door := a.From
	if a.User != "" {
		door += " (" + a.User + ")"
	}
	if a.IP != "" && a.Staff != 0 {
		door += " " + a.IP
	}
	return store.AuditRow{At: at, Actor: a.Name, Role: string(a.Role), Door: door, Act: act, SubscriberID: id, Why: why}
}

// openCard reads a contact's personal data and derives its evidence key.
func openCard(tx *store.Tx, c *store.Contact) (store.Person, store.EvidenceKey, error) {
	p, err := tx.Open(c)
	if err != nil {
		return p, store.EvidenceKey{}, err
	}
	key, err := tx.Keys().EvidenceKey(p.Address())
	return p, key, err
}

// known reads who stands behind an address: the live contact, or else the
// last tombstone, or nil.
func known(ctx context.Context, tx *store.Tx, a store.Address) (*store.Contact, error) {
	if err := tx.Rekey(ctx, a); err != nil {
		return nil, err
	}
	c, err := tx.Newest(ctx, tx.Keys().AddressKey(a))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return c, err
}

// membership finds a card's place on a list; nil when it has none.
func membership(ctx context.Context, tx *store.Tx, id, listID int64) (*store.Membership, error) {
	all, err := tx.Memberships(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, m := range all[id] {
		if m.ListID == listID {
			return m, nil
		}
	}
	return nil, nil
}

// join puts a contact on a list, or changes its place there.
func join(ctx context.Context, tx *store.Tx, c *store.Contact, listID int64, status string, at store.Micros) error {
	m, err := membership(ctx, tx, c.SubscriberID, listID)
	if err != nil {
		return err
	}
	if m == nil {
		return tx.AddMembership(ctx, c, &store.Membership{SubscriberID: c.SubscriberID, ListID: listID, Status: status, Since: at})
	}
	if m.Status == status {
		return nil
	}
	m.Status, m.Since = status, at
	if status == store.Subscribed {
		m.LeftAt = 0
	}
	return tx.SaveMembership(ctx, m)
}
