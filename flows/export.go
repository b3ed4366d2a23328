package flows

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kartotek/flows/sheet"
	"kartotek/store"
)

// Formats are the forms that a card can be exported in (GDPR art. 15 and 20:
// common, structured and machine-readable).
var Formats = []string{"json", "xlsx", "csv"}

// ExportedCard is everything registered about one person; docs/export.schema.json
// describes it.
type ExportedCard struct {
	Format       string        `json:"format"` // "kartotek card 1"
	ExportedAt   time.Time     `json:"exported_at"`
	SubscriberID int64         `json:"subscriber_id"`
	Permission   Permission    `json:"permission"`
	Email        *string       `json:"email"`
	Mobile       *string       `json:"mobile"`
	FirstName    *string       `json:"first_name"`
	LastName     *string       `json:"last_name"`
	Language     *string       `json:"language"`
	Country      *string       `json:"country"`
	City         *string       `json:"city"`
	OwnFields    []Field       `json:"own_fields"`
	Source       *string       `json:"source"`
	Rating       *string       `json:"rating"`
	Points       float64       `json:"points"` // of the rating, as of the export
	Frozen       bool          `json:"frozen"`
	Opens        int64         `json:"opens"`
	Clicks       int64         `json:"clicks"`
	Updates      int64         `json:"updates"`
	SignedUpAt   *time.Time    `json:"signed_up_at"`
	ConfirmedAt  *time.Time    `json:"confirmed_at"`
	WithdrawnAt  *time.Time    `json:"withdrawn_at"`
	DeletedAt    *time.Time    `json:"deleted_at"`
	LastActivity *time.Time    `json:"last_activity_at"`
	WaitingUntil *time.Time    `json:"waiting_until"`
	Predecessor  *int64        `json:"predecessor"`
	Successor    *int64        `json:"successor"`
	Lists        []OnList      `json:"lists"`
	Weeks        []Week        `json:"weeks"` // those with an open or a click
	Evidence     []Event       `json:"evidence"`
	Letters      []SentLetter  `json:"letters"`
	Acts         []ExportedAct `json:"acts"`
}

// SentLetter is a letter to the person.
type SentLetter struct {
	At        time.Time  `json:"at"`
	Kind      string     `json:"kind"`
	State     string     `json:"state"`
	Delivered *time.Time `json:"delivered_at"`
}

// ExportedAct is what was done with the card. It names the role of staff, not
// the person: that is another person's data.
type ExportedAct struct {
	At  time.Time `json:"at"`
	Act string    `json:"act"`
	By  string    `json:"by"` // a role
	Why string    `json:"why,omitempty"`
}

// Export writes everything registered about one person to a file of mode 0600,
// or to out ("" is the exports directory, which an erasure clears of the
// person). The target is a full address or a SubscriberID; without the
// address, in target or given, a tombstone's evidence stays sealed.
func (s *Service) Export(ctx context.Context, a Actor, target string, given *Given, format, out string) (_ Exported, err error) {
	defer func() { err = s.trace(ctx, a, doExport, 0, err) }()
	card, err := s.exported(ctx, a, target, given)
	if err != nil {
		return Exported{}, err
	}
	if out == "" {
		name := fmt.Sprintf("%s%d-%s-%s.%s", exportPrefix, card.SubscriberID, s.now().UTC().Format("20060102T150405"), rand.Text()[:6], format)
		out = filepath.Join(s.cfg.Exports, name)
		if err := os.MkdirAll(s.cfg.Exports, 0o700); err != nil {
			return Exported{}, fmt.Errorf("making the exports directory: %w", err)
		}
	}
	size, err := writeFile(out, func(w io.Writer) error { return card.write(w, format) })
	if err != nil {
		return Exported{}, fmt.Errorf("writing the export: %w", err)
	}
	if err := s.noteExport(ctx, a, card, format); err != nil {
		return Exported{}, errors.Join(err, os.Remove(out)) // nothing leaves without its trace
	}
	return Exported{SubscriberID: card.SubscriberID, Path: out, Format: format, Bytes: size}, nil
}

// ExportTo is Export to a writer.
func (s *Service) ExportTo(ctx context.Context, a Actor, target, format string, w io.Writer) (err error) {
	defer func() { err = s.trace(ctx, a, doExport, 0, err) }()
	card, err := s.exported(ctx, a, target, nil)
	if err != nil {
		return err
	}
	if err := s.noteExport(ctx, a, card, format); err != nil {
		return err
	}
	return card.write(w, format)
}

// noteExport writes the audit row. It comes after the file: an erasure at the
// same moment then finds either the file or is found here.
func (s *Service) noteExport(ctx context.Context, a Actor, card *ExportedCard, format string) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := tx.Contact(ctx, card.SubscriberID)
		if err != nil {
			return err
		}
		if c.Permission == Deleted && card.Permission != Deleted {
			return refuse("the person was erased while the card was exported: the file was removed")
		}
		return audit(ctx, tx, a, store.At(s.now()), "export", card.SubscriberID, format)
	})
}

// exported collects the card; the live one of an address, or its newest tombstone.
func (s *Service) exported(ctx context.Context, a Actor, target string, given *Given) (*ExportedCard, error) {
	if err := s.allow(ctx, a, doExport); err != nil {
		return nil, err
	}
	id, address, err := parseTarget(target)
	if err != nil {
		return nil, err
	}
	if id == 0 {
		given = &Given{address}
		if err := s.store.Rekey(ctx, address); err != nil {
			return nil, err
		}
		ids, err := s.store.IDsOf(ctx, s.store.Keys().AddressKey(address))
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return nil, notFound(ErrNotFound, target)
		}
		id = ids[0]
	}
	c, err := s.store.Contact(ctx, id)
	if err != nil {
		return nil, notFound(err, target)
	}
	p, err := s.store.Open(c)
	if err != nil {
		return nil, err
	}
	if c.Permission != Deleted {
		given = &Given{p.Address()} // the card itself holds the address
	}
	return s.collect(ctx, c, p, given)
}

func (s *Service) collect(ctx context.Context, c *store.Contact, p store.Person, given *Given) (*ExportedCard, error) {
	shown, err := s.card(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	e := &ExportedCard{
		Format: "kartotek card 1", ExportedAt: s.now().UTC().Truncate(time.Second), SubscriberID: c.SubscriberID, Permission: c.Permission,
		Email: kept(p.Email), Mobile: kept(p.Mobile), FirstName: kept(p.FirstName), LastName: kept(p.LastName),
		Language: kept(p.Language), Country: kept(p.Country), City: kept(p.City), OwnFields: []Field{},
		Source: shown.Source, Rating: shown.Rating, Frozen: c.Frozen, Opens: c.Opens, Clicks: c.Clicks, Updates: c.Updates,
		SignedUpAt: keptTime(c.SignedUpAt), ConfirmedAt: keptTime(c.ConfirmedAt), WithdrawnAt: keptTime(c.WithdrawnAt), DeletedAt: keptTime(c.DeletedAt),
		LastActivity: shown.LastActivity, WaitingUntil: shown.WaitingUntil, Predecessor: shown.Predecessor, Successor: shown.Successor, Lists: shown.Lists,
		Points: points(c, store.At(s.now())), Weeks: []Week{}, Letters: []SentLetter{}, Acts: []ExportedAct{},
	}
	for _, f := range p.Own {
		e.OwnFields = append(e.OwnFields, Field{Name: f.Name, Value: f.Value})
	}
	weeks, err := s.store.WeeksOf(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	for _, w := range weeks {
		e.Weeks = append(e.Weeks, Week{Start: w.Week.Start(), Opens: w.Opens, Clicks: w.Clicks})
	}
	if e.Evidence, err = s.timeline(ctx, c, given); err != nil {
		return nil, err
	}
	letters, err := s.store.LettersOf(ctx, c.SubscriberID)
	if err != nil {
		return nil, err
	}
	for _, l := range letters {
		row := letterOf(l)
		e.Letters = append(e.Letters, SentLetter{At: row.Created, Kind: row.Kind, State: row.State, Delivered: row.Delivered})
	}
	rows, err := s.store.Audit(ctx, store.AuditQuery{SubscriberID: c.SubscriberID, Limit: 10_000})
	for i := len(rows) - 1; i >= 0; i-- {
		r := rows[i]
		e.Acts = append(e.Acts, ExportedAct{At: seconds(r.At), Act: r.Act, By: r.Role, Why: r.Why})
	}
	return e, err
}

func keptTime(m store.Micros) *time.Time {
	if m == 0 {
		return nil
	}
	t := seconds(m)
	return &t
}

func (e *ExportedCard) write(w io.Writer, format string) error {
	switch format {
	case "json":
		return WriteJSON(w, e, "  ")
	case "xlsx":
		return sheet.WriteXLSX(w, e.tables())
	case "csv":
		return sheet.WriteCSV(w, e.tables())
	}
	return refuse("a card is exported as %s", strings.Join(Formats, ", "))
}

// tables lays the card out for a spreadsheet.
func (e *ExportedCard) tables() []sheet.Table {
	own := sheet.Table{Name: "Own fields", Columns: []string{"name", "value"}}
	for _, f := range e.OwnFields {
		own.Rows = append(own.Rows, []any{f.Name, f.Value})
	}
	lists := sheet.Table{Name: "Lists", Columns: []string{"list", "status", "since"}}
	for _, l := range e.Lists {
		lists.Rows = append(lists.Rows, []any{l.List, l.Status, l.Since})
	}
	weeks := sheet.Table{Name: "Weeks", Columns: []string{"start", "opens", "clicks"}}
	for _, w := range e.Weeks {
		weeks.Rows = append(weeks.Rows, []any{w.Start, w.Opens, w.Clicks})
	}
	evidence := sheet.Table{Name: "Evidence", Columns: []string{"at", "kind", "closed", "ip", "user_agent", "list", "notice", "by", "note"}}
	for _, v := range e.Evidence {
		evidence.Rows = append(evidence.Rows, []any{v.At, v.Kind, v.Closed, v.IP, v.Agent, v.List, v.Notice, v.By, v.Note})
	}
	letters := sheet.Table{Name: "Letters", Columns: []string{"at", "kind", "state", "delivered_at"}}
	for _, l := range e.Letters {
		letters.Rows = append(letters.Rows, []any{l.At, l.Kind, l.State, cell(l.Delivered)})
	}
	acts := sheet.Table{Name: "Acts", Columns: []string{"at", "act", "by", "why"}}
	for _, v := range e.Acts {
		acts.Rows = append(acts.Rows, []any{v.At, v.Act, v.By, v.Why})
	}
	return []sheet.Table{e.fields(), own, lists, weeks, evidence, letters, acts}
}

// fields is the table of what a card has once.
func (e *ExportedCard) fields() sheet.Table {
	card := sheet.Table{Name: "Card", Columns: []string{"field", "value"}}
	add := func(name string, v any) { card.Rows = append(card.Rows, []any{name, cell(v)}) }
	add("subscriber_id", e.SubscriberID)
	add("permission", e.Permission.String())
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"email", e.Email},
		{"mobile", e.Mobile},
		{"first_name", e.FirstName},
		{"last_name", e.LastName},
		{"language", e.Language},
		{"country", e.Country},
		{"city", e.City},
		{"source", e.Source},
		{"rating", e.Rating},
	} {
		add(f.name, f.value)
	}
	add("frozen", e.Frozen)
	add("points", strconv.FormatFloat(e.Points, 'f', -1, 64))
	add("opens", e.Opens)
	add("clicks", e.Clicks)
	add("updates", e.Updates)
	for _, f := range []struct {
		name  string
		value *time.Time
	}{
		{"signed_up_at", e.SignedUpAt},
		{"confirmed_at", e.ConfirmedAt},
		{"withdrawn_at", e.WithdrawnAt},
		{"deleted_at", e.DeletedAt},
		{"last_activity_at", e.LastActivity},
		{"waiting_until", e.WaitingUntil},
		{"exported_at", &e.ExportedAt},
	} {
		add(f.name, f.value)
	}
	add("predecessor", e.Predecessor)
	add("successor", e.Successor)
	return card
}

// cell unwraps what may be missing.
func cell(v any) any {
	switch v := v.(type) {
	case *string:
		if v != nil {
			return *v
		}
		return nil
	case *time.Time:
		if v != nil {
			return *v
		}
		return nil
	case *int64:
		if v != nil {
			return *v
		}
		return nil
	}
	return v
}
