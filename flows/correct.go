package flows

import (
	"context"
	"slices"
	"strings"

	"kartotek/flows/lang"
	"kartotek/store"
)

// OwnPrefix starts the name of one of the company's own fields in Correct.
const OwnPrefix = "own:"

// Corrigible are the fields that Correct takes, besides own ones. The email
// address is not among them: consent belongs to the address that gave it, so a
// wrong address is erased and the right one signed up.
var Corrigible = []string{"mobile", "first_name", "last_name", "language", "country", "city"}

// Correct changes one field of a card (GDPR art. 16); an empty value takes it
// out. The evidence says which field, and nothing of what stood in it.
func (s *Service) Correct(ctx context.Context, a Actor, id int64, field, value string) (_ Card, err error) {
	defer func() { err = s.trace(ctx, a, doCorrect, id, err) }()
	if err := s.allow(ctx, a, doCorrect); err != nil {
		return Card{}, err
	}
	value = oneLine(value, 10_000)
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case c.Permission == Deleted:
			return refuse("a tombstone holds nothing that could be corrected")
		case c.Frozen:
			return refuse(whyFrozen)
		}
		p, key, err := openCard(tx, c)
		if err != nil {
			return err
		}
		if name, own := strings.CutPrefix(field, OwnPrefix); own {
			if err := s.fits(ctx, tx, name, value); err != nil {
				return err
			}
		}
		changed, err := correct(&p, field, value)
		if err != nil || !changed {
			return err
		}
		if err := tx.Seal(c, p); err != nil {
			return err
		}
		at := store.At(s.now())
		if err := tx.AddEvidence(ctx, key, c, store.Correction, at, store.EvidenceAct{IP: a.IP, By: a.Name, Note: "field " + field}); err != nil {
			return err
		}
		c.Updates++
		if err := tx.SaveContact(ctx, c); err != nil {
			return err
		}
		return audit(ctx, tx, a, at, "correct", id, field)
	})
	if err != nil {
		return Card{}, err
	}
	return s.card(ctx, id)
}

// correct puts a value into a field; false when it stood there already.
func correct(p *store.Person, field, value string) (bool, error) {
	if name, own := strings.CutPrefix(field, OwnPrefix); own {
		return correctOwn(p, name, value)
	}
	slot, ok := map[string]*string{
		"mobile": &p.Mobile, "first_name": &p.FirstName, "last_name": &p.LastName,
		"language": &p.Language, "country": &p.Country, "city": &p.City,
	}[field]
	if !ok {
		return false, refuse("what can be corrected is %s, and the company's own fields", strings.Join(Corrigible, ", "))
	}
	switch {
	case value == "":
	case field == "mobile":
		number, err := store.ParseNumber(value)
		if err != nil {
			return false, refuse("%s", err.Error())
		}
		value = number.Canonical()
	case field == "language":
		if _, ok := lang.Parse(value); !ok {
			return false, refuse("the language is en, da, sv or de")
		}
	}
	changed := *slot != value
	*slot = value
	return changed, nil
}

// correctOwn changes a field that the card has: which fields there are is for
// imports to say.
func correctOwn(p *store.Person, name, value string) (bool, error) {
	i := slices.IndexFunc(p.Own, func(f store.OwnField) bool { return f.Name == name })
	switch {
	case i < 0:
		return false, refuse("the card has no field of that name")
	case value == "":
		p.Own = slices.Delete(p.Own, i, i+1)
		return true, nil
	}
	changed := p.Own[i].Value != value
	p.Own[i].Value = value
	return changed, nil
}
