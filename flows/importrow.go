package flows

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"kartotek/flows/intake"
	"kartotek/store"
)

// fate is what becomes of a row.
type fate int

const (
	added fate = iota
	updated
	unchanged
	refused
	invalid
	mailed // counted besides
	fates
)

var fateNames = [...]string{"added", "updated", "unchanged", "refused", "invalid"}

type tally [fates]int64

func (t *tally) reset() { *t = tally{} }

// item is a row on its way into the store.
type item struct {
	line     int
	again    bool   // in a dry run: it would have been added further up
	problem  string // why it is invalid
	fate     fate
	why      string // why it was refused
	address  store.Address
	key      []byte
	peppers  int // that there were when key was hashed
	person   store.Person
	base     store.Contact // behaviour, source and rating
	signedUp time.Time
	signIP   string
	confirm  time.Time
	confIP   string

	contact  *store.Contact // made, ready to be inserted, when the address seemed new
	made     store.Contact
	evidence []*store.Evidence
}

// fill takes over a row, checks it and makes its address canonical.
func (s *Service) fill(it *item, row *intake.Row) {
	it.line, it.problem = row.Line, row.Problem
	if it.problem != "" {
		return
	}
	address, err := store.ParseAddress(row.Email)
	if err != nil {
		it.problem = "no full email address"
		return
	}
	it.peppers = s.store.Keys().Peppers()
	it.address, it.key = address, s.store.Keys().AddressKey(address)
	it.person = store.Person{
		Email: address.Canonical(), FirstName: row.FirstName, LastName: row.LastName,
		Language: row.Language, Country: row.Country, City: row.City,
	}
	if row.Mobile != "" {
		number, err := store.ParseNumber(row.Mobile)
		if err != nil {
			it.problem = "the mobile number is not in international form (+45…)"
			return
		}
		it.person.Mobile = number.Canonical()
	}
	for _, f := range row.Own {
		it.person.Own = append(it.person.Own, store.OwnField{Name: f.Name, Value: f.Value})
	}
	it.base = store.Contact{
		Source: oneLine(maskedIn(strings.Map(printable, row.Source)), 60), Rating: store.ParseRating(row.Rating),
		Opens: row.Opens, Clicks: row.Clicks, Updates: row.Updates, LastSeenAt: store.At(row.LastActivityAt),
	}
	if it.base.Source == "" {
		it.base.Source = "Import"
	}
	it.signedUp, it.signIP = row.SignedUpAt, textIP(row.SignedUpIP)
	it.confirm, it.confIP = row.ConfirmedAt, textIP(row.ConfirmedIP)
}

func textIP(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

// times are the sign-up and confirmation that the evidence columns tell of; a
// missing one is taken from the other, or else from the import.
func (it *item) times(imported store.Micros) (signedUp, confirmed store.Micros) {
	signedUp, confirmed = store.At(it.signedUp), store.At(it.confirm)
	switch {
	case signedUp == 0 && confirmed == 0:
		return imported, imported
	case signedUp == 0:
		return confirmed, confirmed
	case confirmed == 0:
		return signedUp, signedUp
	}
	return signedUp, confirmed
}

// acts are the row's evidence: from where and when, or that none was given.
func (it *item) acts(list string, a Actor) (signUp, confirm store.EvidenceAct) {
	note := func(given time.Time) string {
		if given.IsZero() {
			return "imported by " + a.Name + ", without the time of this act"
		}
		return "imported by " + a.Name
	}
	signUp = store.EvidenceAct{IP: it.signIP, List: list, Note: note(it.signedUp)}
	return signUp, store.EvidenceAct{IP: it.confIP, List: list, Note: note(it.confirm)}
}

// prepareNew seals the rows of a contact that is confirmed elsewhere.
func (s *Service) prepareNew(it *item, id int64, list store.List, imported store.Micros, a Actor) error {
	c := &it.made
	*c = it.base
	c.SubscriberID, c.Permission = id, table[Unknown][ActImport].To
	c.SignedUpAt, c.ConfirmedAt = it.times(imported)
	c.LastSeenAt = max(c.LastSeenAt, c.ConfirmedAt, c.SignedUpAt)
	startRating(c, it.base.LastSeenAt, imported)
	if err := s.store.Seal(c, it.person); err != nil {
		return err
	}
	key, err := s.store.Keys().EvidenceKey(it.address)
	if err != nil {
		return err
	}
	signUp, confirm := it.acts(list.Name, a)
	it.evidence = []*store.Evidence{key.Prepare(c, store.SignedUp, c.SignedUpAt, signUp), key.Prepare(c, store.Confirmation, c.ConfirmedAt, confirm)}
	it.contact = c
	return nil
}

func whyRefused(c *store.Contact) string {
	switch {
	case c.Frozen:
		return "the card is frozen"
	case c.Permission == Deleted:
		return "erased: only a confirmed resubscription brings the person back"
	}
	return "withdrawn: only the person's own confirmation brings the person back"
}

// apply does a chunk. New rows go in by the order of their address keys, so
// that the index is walked through once. Which are new was looked up before:
// the transaction starts again when one of them is there, and looks then.
func (im *importer) apply(ctx context.Context, tx *store.Tx, items []*item, t *tally, look bool) (err error) {
	var states map[string]store.KnownState
	im.s.hashAnew(items)
	if look || im.o.DryRun {
		if states, err = tx.Known(ctx, keysOf(items)); err != nil {
			return err
		}
	}
	var fresh, others []*item
	for _, it := range items {
		_, there := states[string(it.key)]
		switch {
		case it.problem != "":
			it.fate = invalid
			t[invalid]++
		case it.again:
			it.fate = unchanged
			t[unchanged]++
		case !there && it.contact != nil:
			fresh = append(fresh, it)
		default:
			others = append(others, it)
		}
	}
	slices.SortFunc(fresh, byKey)
	if err := im.insert(ctx, tx, fresh...); err != nil {
		return err
	}
	t[added] += int64(len(fresh))
	for _, it := range others {
		if err := im.one(ctx, tx, it, t); err != nil {
			return err
		}
		t[it.fate]++
	}
	return nil
}

// hashAnew hashes those addresses again that were hashed before a pepper was
// added. What was made ready for them under the older one is left aside.
func (s *Service) hashAnew(items []*item) {
	keys := s.store.Keys()
	for _, it := range items {
		if it.problem == "" && it.peppers != keys.Peppers() {
			it.peppers, it.key, it.contact = keys.Peppers(), keys.AddressKey(it.address), nil
		}
	}
}

// insert puts in what prepareNew made ready.
func (im *importer) insert(ctx context.Context, tx *store.Tx, items ...*item) error {
	contacts, places, acts := make([]*store.Contact, len(items)), make([]*store.Membership, len(items)), make([]*store.Evidence, 0, 2*len(items))
	copies, on := make([]store.Contact, len(items)), make([]store.Membership, len(items))
	for i, it := range items {
		c := &copies[i]
		*c = *it.contact // a transaction may run again
		on[i] = store.Membership{SubscriberID: c.SubscriberID, ListID: im.list.ID, Status: store.Subscribed, Since: c.ConfirmedAt}
		contacts[i], places[i] = c, &on[i]
		acts = append(acts, it.evidence...)
		it.fate = added
	}
	if err := tx.AddContacts(ctx, contacts); err != nil {
		return err
	}
	if err := tx.AddMemberships(ctx, contacts, places); err != nil {
		return err
	}
	return tx.InsertEvidences(ctx, acts)
}

// one does a row whose address is known, or which gets a confirmation mail.
func (im *importer) one(ctx context.Context, tx *store.Tx, it *item, t *tally) error {
	c, err := known(ctx, tx, it.address)
	if err != nil {
		return err
	}
	if c == nil && im.o.Confirmed { // forgotten since it was looked up
		id, err := tx.NextIDs(ctx, "contacts", 1)
		if err != nil {
			return err
		}
		if err := im.s.prepareNew(it, id, im.list, im.started, im.a); err != nil {
			return err
		}
		return im.insert(ctx, tx, it)
	}
	out, err := decide(c, ActImport)
	if err != nil || out.Verdict == Refused {
		it.fate, it.why = refused, whyRefused(c)
		return nil
	}
	if !im.o.Confirmed {
		return im.pending(ctx, tx, it, c, t)
	}
	return im.known(ctx, tx, it, c, out)
}

// pending signs a row's address up, with a confirmation mail.
func (im *importer) pending(ctx context.Context, tx *store.Tx, it *item, c *store.Contact, t *tally) error {
	if c != nil {
		if m, err := membership(ctx, tx, c.SubscriberID, im.list.ID); err != nil || m != nil {
			if it.fate = unchanged; m != nil && m.LeftAt != 0 {
				it.fate, it.why = refused, "left this list: only the person's own confirmation brings them back"
			}
			return err
		}
	}
	out, err := decide(c, ActSignUp)
	if err != nil {
		return err
	}
	in := signUp{
		SignUp: SignUp{Lang: it.person.Language, Client: Client{IP: it.signIP}}, person: it.person, address: it.address, list: im.list,
		base: it.base, actor: im.a, at: it.signedUp, note: "imported by " + im.a.Name, bulk: true,
	}
	sent, err := im.s.signUp(ctx, tx, in, c, out)
	if err != nil {
		return err
	}
	switch {
	case !sent:
		it.fate, it.why = refused, "too many confirmation mails to this address lately, or its mail came back: import it again later"
		return nil
	case c == nil:
		it.fate = added
	default:
		it.fate = updated
	}
	t[mailed]++
	return nil
}

// known does a row of a contact that is there, as confirmed elsewhere.
func (im *importer) known(ctx context.Context, tx *store.Tx, it *item, c *store.Contact, out Outcome) error {
	p, key, err := openCard(tx, c)
	if err != nil {
		return err
	}
	m, err := membership(ctx, tx, c.SubscriberID, im.list.ID)
	if err != nil {
		return err
	}
	if m != nil && m.LeftAt != 0 {
		it.fate, it.why = refused, "left this list: only the person's own confirmation brings them back"
		return nil
	}
	onList := m != nil && m.Status == store.Subscribed
	changed := merge(&p, it.person)
	if onList && out.Verdict == NoChange && !changed {
		it.fate = unchanged
		return nil
	}
	it.fate = updated
	signedUp, confirmed := it.times(im.started)
	signUp, confirm := it.acts(im.list.Name, im.a)
	if out.Verdict == Move {
		c.SignedUpAt, c.ConfirmedAt = signedUp, confirmed
		c.Permission, c.ForgetAt = out.To, 0
		if err := tx.AddEvidence(ctx, key, c, store.SignedUp, c.SignedUpAt, signUp); err != nil {
			return err
		}
		if err := tx.AddEvidence(ctx, key, c, store.Confirmation, c.ConfirmedAt, confirm); err != nil {
			return err
		}
	} else if err := tx.AddEvidence(ctx, key, c, store.Addition, confirmed, confirm); err != nil {
		return err
	}
	if !onList {
		if err := cancelWaiting(ctx, tx, c.SubscriberID, im.list.ID); err != nil {
			return err
		}
		if err := join(ctx, tx, c, im.list.ID, store.Subscribed, confirmed); err != nil {
			return err
		}
	}
	if changed {
		if err := tx.Seal(c, p); err != nil {
			return err
		}
	}
	return tx.SaveContact(ctx, c)
}

// merge takes over what a row says and the card doesn't; true when that is anything.
func merge(p *store.Person, row store.Person) bool {
	changed := false
	set := func(old *string, v string) {
		if v != "" && v != *old {
			*old, changed = v, true
		}
	}
	set(&p.Mobile, row.Mobile)
	set(&p.FirstName, row.FirstName)
	set(&p.LastName, row.LastName)
	set(&p.Language, row.Language)
	set(&p.Country, row.Country)
	set(&p.City, row.City)
	for _, f := range row.Own {
		i := slices.IndexFunc(p.Own, func(o store.OwnField) bool { return o.Name == f.Name })
		if i < 0 {
			p.Own, changed = append(p.Own, f), true
		} else {
			set(&p.Own[i].Value, f.Value)
		}
	}
	return changed
}
