package tui

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"kartotek/flows"
)

// The service that the console runs on in earnest is a Desk.
var _ Desk = (*flows.Service)(nil)

// today is when the tests take place.
var today = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// fakeDesk is a Desk over made-up contacts: as many as wanted, none kept.
type fakeDesk struct {
	mu       sync.Mutex
	n        int64 // contacts, SubscriberIDs 1001 to 1000+n
	hostile  bool
	restored bool        // a restore was owned up to
	order    flows.Order // of the page that was asked for last
	down     error       // every call fails with it
	changed  map[int64]flows.Card
	did      []string // the acts that arrived
	during   func(act string)
	mails    []flows.Mail
	outbox   []flows.Letter

	requests []flows.Request
	queued   int64 // letters that wait beyond those in outbox
	alarms   []flows.Alarm
	pace     time.Duration // between the steps of long work
}

var errDown = errors.New("connection refused")

func (d *fakeDesk) begin(what string) error {
	if what != "" && d.during != nil {
		d.during(what)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if what != "" {
		d.did = append(d.did, what)
	}
	return d.down
}

func ptr[T any](v T) *T { return &v }

const evil = "\x1b[31mEvil\x1b]0;pwned\x07 \u202emoc.elpmaxe\u202c\r\nBcc: x \u0301\u0301\u0301\u0301\u0301\u0301 宝宝👨‍👩‍👧\x9b2J\xff end"

func (d *fakeDesk) card(id int64) flows.Card {
	if c, ok := d.changed[id]; ok {
		return c
	}
	i := id - 1000
	names := []string{"mar**.******@example.dk", "i***@exam***.com", "sø**.*******@postkasse.example", "宝**@例え.example", "björn.****************@företag.example", "k.******@kartotek.example"}
	seen := today.Add(-time.Duration((d.n-i)*37+3) * time.Minute)
	signed := seen.Add(-time.Duration(i%900) * 24 * time.Hour)
	c := flows.Card{
		SubscriberID: id, Permission: []flows.Permission{flows.Confirmed, flows.Confirmed, flows.Pending, flows.Confirmed, flows.Unsubscribed}[i%5],
		EmailMasked: ptr(names[i%6]), Source: ptr([]string{"Webform", "Import", "Shop checkout", "Resubscribed"}[i%4]),
		Rating:   ptr([]string{"VIP", "average", "high", "dormant", "low"}[i%5]),
		SignedUp: &flows.Stamp{At: signed}, Confirmed: &flows.Stamp{At: signed.Add(5 * time.Minute)}, LastActivity: &seen,
		Lists: []flows.OnList{{List: "News", Status: "subscribed", Since: signed}},
	}
	if i%3 == 0 {
		c.MobileMasked = ptr("+4520****56")
		c.Lists = append(c.Lists, flows.OnList{List: "Offers of the week", Status: "unsubscribed", Since: seen})
	}
	if i == 6 {
		c.Permission = flows.Deleted // the only tombstone
	}
	switch c.Permission {
	case flows.Pending:
		c.Confirmed, c.Lists[0].Status, c.WaitingUntil = nil, "pending", ptr(today.Add(5*24*time.Hour))
		if i == 17 {
			c.Undelivered = &flows.Undelivered{Status: "5.1.1", Reply: "<recipient>: Recipient address rejected: User unknown in virtual mailbox table"}
			c.NoMailUntil = ptr(today.Add(28 * 24 * time.Hour))
		}
	case flows.Unsubscribed:
		c.Lists[0].Status = "unsubscribed"
	case flows.Deleted:
		c.EmailMasked, c.MobileMasked, c.Source, c.Rating, c.Lists = nil, nil, nil, nil, nil
		c.Deleted = &flows.Stamp{At: seen, By: "anna"}
		c.Successor = ptr(int64(1040))
	}
	if i == 40 {
		c.Predecessor = ptr(int64(1006))
	}
	if d.hostile {
		c.EmailMasked, c.Source, c.MobileMasked = ptr(evil+strings.Repeat("x", 10000)), ptr(evil), ptr(evil)
		c.Lists = []flows.OnList{{List: evil, Status: "subscribed", Since: seen}}
	}
	return c
}

func (d *fakeDesk) fits(c flows.Card, f flows.Filter) bool {
	if c.Permission == flows.Deleted {
		return false
	}
	if f.Permission != flows.Unknown && c.Permission != f.Permission || f.Source != "" && (c.Source == nil || *c.Source != f.Source) {
		return false
	}
	if f.Rating != "" && *c.Rating != f.Rating || c.LastActivity.Before(f.From) || !f.Before.IsZero() && !c.LastActivity.Before(f.Before) {
		return false
	}
	for _, l := range c.Lists {
		if l.List == f.List {
			return true
		}
	}
	return f.List == ""
}

func (d *fakeDesk) Browse(_ context.Context, _ flows.Actor, p flows.Page) (flows.Cards, error) {
	if err := d.begin(""); err != nil {
		return flows.Cards{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.order = p.Order
	from, step := 1000+d.n, int64(-1)
	switch {
	case p.Last:
		from, step = 1001, 1
	case p.After != nil:
		from = p.After.ID - 1
	case p.Before != nil:
		from, step = p.Before.ID+1, 1
	}
	var out flows.Cards
	id, more := from, false
	for ; id > 1000 && id <= 1000+d.n; id += step {
		c := d.card(id)
		if !d.fits(c, p.Filter) {
			continue
		}
		if len(out.Cards) == p.Limit {
			more = true
			break
		}
		out.Cards = append(out.Cards, c)
	}
	out.Older, out.Newer = more, p.After != nil
	if step > 0 {
		for i, j := 0, len(out.Cards)-1; i < j; i, j = i+1, j-1 {
			out.Cards[i], out.Cards[j] = out.Cards[j], out.Cards[i]
		}
		out.Older, out.Newer = p.Before != nil, more
	}
	if n := len(out.Cards); n > 0 {
		out.First.ID, out.Last.ID = out.Cards[0].SubscriberID, out.Cards[n-1].SubscriberID
	}
	return out, nil
}

func (d *fakeDesk) Find(_ context.Context, _ flows.Actor, query string) (flows.Found, error) {
	if err := d.begin("find"); err != nil {
		return flows.Found{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, err := strconv.ParseInt(query, 10, 64); err == nil {
		if id <= 1000 || id > 1000+d.n {
			return flows.Found{}, nil
		}
		return flows.Found{Cards: []flows.Card{d.card(id)}}, nil
	}
	switch {
	case query == "nobody@example.com":
		return flows.Found{Given: &flows.Given{}}, nil
	case query == "two@example.com":
		return flows.Found{Given: &flows.Given{}, Cards: []flows.Card{d.card(1040), d.card(1006)}}, nil
	case strings.Contains(query, "@"):
		return flows.Found{Given: &flows.Given{}, Cards: []flows.Card{d.card(1006)}}, nil
	}
	return flows.Found{}, flows.ErrPiece
}

func (d *fakeDesk) Open(_ context.Context, _ flows.Actor, id int64, given *flows.Given) (flows.Details, error) {
	if err := d.begin(""); err != nil {
		return flows.Details{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id <= 1000 || id > 1000+d.n {
		return flows.Details{}, flows.ErrNotFound
	}
	c := d.card(id)
	out := flows.Details{Card: c}
	defer func() {
		for i, e := range out.Timeline {
			if given == nil && !d.hostile {
				out.Timeline[i] = flows.Event{At: e.At, Kind: e.Kind, Closed: true}
			}
		}
	}()
	signed := c.SignedUp.At
	agent := "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	notice := "Yes, send me News by email. I can leave at any time by the link in every mail. The address is used for nothing else."
	out.Timeline = []flows.Event{
		{At: signed, Kind: "signed up", List: "News", IP: "192.0.2.7", Agent: agent, Notice: notice},
		{At: signed.Add(time.Second), Kind: "confirmation mail"},
		{At: signed.Add(5 * time.Minute), Kind: "confirmed", IP: "192.0.2.7", Agent: agent},
	}
	if c.Permission == flows.Deleted {
		out.Timeline = append(out.Timeline, flows.Event{At: c.Deleted.At, Kind: "erased", By: "anna", IP: "198.51.100.4"})
		if given != nil {
			out.SignedUp = &flows.Stamp{At: signed, IP: ptr("192.0.2.7")}
		}
		return out, nil
	}
	out.FirstName, out.LastName, out.Language, out.Position = "Søren 宝", "Åkerblom-Müller", "da", "Aarhus, Denmark"
	out.Own = []flows.Field{{Name: "Customer number", Value: "K-20114"}, {Name: "Birthday", Value: "4 March"}, {Name: "Shoe size", Value: "42"}}
	out.Opens, out.Clicks, out.Updates, out.RatingUntil = 1284, 96, 3, ptr(today.AddDate(0, 2, 5))
	for i := range int64(26) {
		w := flows.Week{Start: time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(i-25)*7)}
		if d.n > 30 && id%10 == 0 { // the others have done nothing yet
			w.Opens, w.Clicks = max(0, i*i%13-4), max(0, i%5-3)
		}
		out.Weeks = append(out.Weeks, w)
	}
	if d.hostile {
		out.FirstName, out.LastName, out.Position, out.Rating = evil, strings.Repeat("Long ", 2000), evil, ptr(evil)
		out.Weeks[3].Opens, out.Weeks[25].Clicks = 1<<62, -5
		out.Own = []flows.Field{{Name: evil, Value: evil}, {Name: "Notes", Value: strings.Repeat("0123456789", 30)}}
		out.Timeline[0] = flows.Event{At: signed, Kind: evil, List: evil, IP: evil, Agent: evil, Notice: evil, Note: evil, By: evil}
	}
	return out, nil
}

func (d *fakeDesk) Lists(context.Context, flows.Actor) ([]flows.List, error) {
	return []flows.List{{Name: "News", Subscribed: d.n}, {Name: "Offers of the week"}, {Name: "Udsalg & fester"}}, d.begin("")
}

func (d *fakeDesk) Counts(context.Context, flows.Actor) (flows.Counts, error) {
	if err := d.begin(""); err != nil {
		return flows.Counts{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	due, tombs := int64(0), int64(0)
	if d.n >= 6 {
		tombs = 1
	}
	for _, l := range d.outbox {
		if l.State == "due" || l.State == "deferred" {
			due++
		}
	}
	open := int64(0)
	for _, r := range d.requests {
		if r.State == "open" {
			open++
		}
	}
	return flows.Counts{ByPermission: map[flows.Permission]int64{flows.Confirmed: d.n - tombs, flows.Deleted: tombs}, BySource: map[string]int64{"Import": d.n / 2, "Webform": d.n - d.n/2}, Due: due, Requests: open}, nil
}

func (d *fakeDesk) change(id int64, f func(*flows.Card)) flows.Card {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.card(id)
	f(&c)
	if d.changed == nil {
		d.changed = map[int64]flows.Card{}
	}
	d.changed[id] = c
	return c
}

func (d *fakeDesk) Unsubscribe(_ context.Context, _ flows.Actor, id int64, list string) (flows.Card, error) {
	if err := d.begin(fmt.Sprintf("unsubscribe %d %q", id, list)); err != nil {
		return flows.Card{}, err
	}
	return d.change(id, func(c *flows.Card) { c.Permission = flows.Unsubscribed }), nil
}

func (d *fakeDesk) AskExport(_ context.Context, _ flows.Actor, w flows.BulkWish) (flows.Request, error) {
	return flows.Request{ID: 7}, d.begin(fmt.Sprintf("ask export %v %q", w.IDs, w.Reason))
}

func (d *fakeDesk) UndoUntil(_ flows.Actor, id int64) time.Time {
	if id%5 == 2 { // a sign-up that waited
		return time.Time{}
	}
	return today.Add(10 * time.Second)
}

func (d *fakeDesk) UndoUnsubscribe(_ context.Context, _ flows.Actor, id int64) (flows.Card, error) {
	if err := d.begin(fmt.Sprintf("undo %d", id)); err != nil {
		return flows.Card{}, err
	}
	return d.change(id, func(c *flows.Card) { c.Permission = flows.Confirmed }), nil
}

func (d *fakeDesk) Freeze(_ context.Context, _ flows.Actor, id int64, reason string) (flows.Card, error) {
	if err := d.begin(fmt.Sprintf("freeze %d %q", id, reason)); err != nil {
		return flows.Card{}, err
	}
	return d.change(id, func(c *flows.Card) { c.Frozen = true }), nil
}

func (d *fakeDesk) Unfreeze(_ context.Context, _ flows.Actor, id int64, reason string) (flows.Card, error) {
	if err := d.begin(fmt.Sprintf("unfreeze %d %q", id, reason)); err != nil {
		return flows.Card{}, err
	}
	return d.change(id, func(c *flows.Card) { c.Frozen = false }), nil
}

func (d *fakeDesk) Correct(_ context.Context, _ flows.Actor, id int64, field, value string) (flows.Card, error) {
	if err := d.begin(fmt.Sprintf("correct %d %s %q", id, field, value)); err != nil {
		return flows.Card{}, err
	}
	return d.change(id, func(*flows.Card) {}), nil
}

func (d *fakeDesk) Erase(_ context.Context, _ flows.Actor, target, reason string) (flows.Erased, error) {
	if err := d.begin(fmt.Sprintf("erase %s %q", target, reason)); err != nil {
		return flows.Erased{}, err
	}
	id, _ := strconv.ParseInt(target, 10, 64)
	d.change(id, func(c *flows.Card) {
		c.Permission, c.EmailMasked, c.MobileMasked, c.Source, c.Rating, c.Lists, c.WaitingUntil = flows.Deleted, nil, nil, nil, nil, nil, nil
		c.Deleted = &flows.Stamp{At: today, By: "anna"}
	})
	return flows.Erased{SubscriberID: id, Files: 1}, nil
}

func (d *fakeDesk) Resubscribe(_ context.Context, _ flows.Actor, r flows.Resubscription) (flows.Waiting, error) {
	if err := d.begin(fmt.Sprintf("resubscribe %d %s %q", r.ID, r.List, r.Asked)); err != nil {
		return flows.Waiting{}, err
	}
	until := today.Add(7 * 24 * time.Hour)
	d.change(r.ID, func(c *flows.Card) { c.WaitingUntil = &until })
	return flows.Waiting{SubscriberID: r.ID, Until: until}, nil
}

func (d *fakeDesk) Export(_ context.Context, _ flows.Actor, target string, _ *flows.Given, format, _ string) (flows.Exported, error) {
	if err := d.begin("export " + target + " " + format); err != nil {
		return flows.Exported{}, err
	}
	id, _ := strconv.ParseInt(target, 10, 64)
	return flows.Exported{SubscriberID: id, Path: "/home/anna/.local/share/kartotek/exports/contact-" + target + "-20260615T120000Z." + format, Format: format, Bytes: 4312}, nil
}

func (d *fakeDesk) Import(ctx context.Context, _ flows.Actor, path string, o flows.ImportOptions, tell func(flows.ImportProgress)) (flows.ImportResult, error) {
	if err := d.begin(fmt.Sprintf("import %s %s %v", path, o.List, o.Confirmed)); err != nil {
		return flows.ImportResult{}, err
	}
	read, err := d.toil(ctx, 50000, tell)
	return flows.ImportResult{Read: read, Added: read - 40, Updated: 12, Unchanged: 20, Refused: 5, Invalid: 3, Report: "/home/anna/.local/share/kartotek/exports/import-report.csv"}, err
}

func (d *fakeDesk) Sample(ctx context.Context, _ flows.Actor, n int, tell func(flows.ImportProgress)) (flows.ImportResult, error) {
	if err := d.begin(fmt.Sprintf("sample %d", n)); err != nil {
		return flows.ImportResult{}, err
	}
	read, err := d.toil(ctx, int64(n), tell)
	d.mu.Lock()
	d.n = read
	d.mu.Unlock()
	return flows.ImportResult{Read: read, Added: read}, err
}

func (d *fakeDesk) toil(ctx context.Context, n int64, tell func(flows.ImportProgress)) (int64, error) {
	for i := range int64(50) {
		tell(flows.ImportProgress{Done: i * n / 50 * 80, Total: n * 80, Read: i * n / 50})
		select {
		case <-ctx.Done():
			return i * n / 50, ctx.Err()
		case <-time.After(d.pace):
		}
	}
	return n, nil
}

func (d *fakeDesk) Why(_ flows.Actor, act string, c flows.Card) string {
	switch {
	case act == "erase" && c.Permission == flows.Deleted:
		return "it is erased already"
	case act == "unsubscribe" && c.Permission == flows.Deleted:
		return "a tombstone is on no list"
	case act == "unsubscribe" && c.Permission == flows.Unsubscribed:
		return "it is on no list any more"
	case act == "resubscribe" && c.Permission != flows.Deleted && c.Permission != flows.Unsubscribed:
		return "only for a tombstone or an unsubscribed card"
	}
	return ""
}
