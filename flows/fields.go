package flows

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kartotek/store"
)

// FieldKinds are what one of the company's own fields can hold; text is what a
// field holds that nobody has named, such as an import's unknown column.
var FieldKinds = []string{"text", "number", "date"}

// OwnKind is what is known of one of the company's own fields.
type OwnKind struct {
	Name      string `json:"field"`
	Kind      string `json:"kind"`
	Sensitive bool   `json:"sensitive"` // shown masked, and uncovered with a reason
}

// OwnKinds lists the own fields that were named.
func (s *Service) OwnKinds(ctx context.Context, a Actor) ([]OwnKind, error) {
	if err := s.allow(ctx, a, doBrowse); err != nil {
		return nil, err
	}
	all, err := s.store.OwnKinds(ctx)
	out := make([]OwnKind, len(all))
	for i, k := range all {
		out[i] = OwnKind(k)
	}
	return out, err
}

// AddOwnKind names an own field, before an import or after it.
func (s *Service) AddOwnKind(ctx context.Context, a Actor, k OwnKind) (_ OwnKind, err error) {
	defer func() { err = s.trace(ctx, a, doFields, 0, err) }()
	if err := s.allow(ctx, a, doFields); err != nil {
		return OwnKind{}, err
	}
	k.Name = oneLine(strings.Map(printable, k.Name), 400)
	if n := utf8.RuneCountInString(k.Name); n == 0 || n > 100 {
		return OwnKind{}, refuse("a field's name has 1 to 100 characters that can be printed")
	}
	if !slices.Contains(FieldKinds, k.Kind) {
		return OwnKind{}, refuse("a field holds %s", strings.Join(FieldKinds, ", "))
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		switch _, err := tx.OwnKind(ctx, k.Name); {
		case err == nil:
			return refuse("there is a field of that name already: change it with fields mark")
		case !errors.Is(err, ErrNotFound):
			return err
		}
		if err := tx.AddOwnKind(ctx, store.OwnKind(k)); err != nil {
			return err
		}
		return s.auditField(ctx, tx, a, "add field", k)
	})
	return k, err
}

// MarkOwnKind makes an own field sensitive, or takes the mark away. A field
// that nobody has named gets a name by it.
func (s *Service) MarkOwnKind(ctx context.Context, a Actor, name string, sensitive bool) (_ OwnKind, err error) {
	defer func() { err = s.trace(ctx, a, doFields, 0, err) }()
	if err := s.allow(ctx, a, doFields); err != nil {
		return OwnKind{}, err
	}
	k := OwnKind{Name: name, Kind: FieldKinds[0]}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		known, err := tx.OwnKind(ctx, name)
		switch {
		case err == nil:
			k = OwnKind(known)
		case !errors.Is(err, ErrNotFound):
			return err
		case name == "" || len(name) > 400 || name != strings.Map(printable, name):
			return refuse("a field's name has 1 to 100 characters that can be printed")
		}
		k.Sensitive = sensitive
		if err := tx.SetOwnKind(ctx, store.OwnKind(k)); err != nil {
			return err
		}
		return s.auditField(ctx, tx, a, "mark field", k)
	})
	return k, err
}

func (s *Service) auditField(ctx context.Context, tx *store.Tx, a Actor, act string, k OwnKind) error {
	word := "plain"
	if k.Sensitive {
		word = "sensitive"
	}
	return audit(ctx, tx, a, store.At(s.now()), act, 0, fmt.Sprintf("%s: %s, %s", k.Name, k.Kind, word))
}

// hidden stands for a sensitive value. It is as long for all of them.
const hidden = "••••••••"

// repeated ends the name of a field whose column's header stood further left
// in the file already: what holds for the field holds for it.
var repeated = regexp.MustCompile(` \(column \d+\)$`)

// kindOf is what is known of a card's own field, by its own name or by that of
// the field that its column repeats.
func kindOf(kinds []store.OwnKind, name string) (store.OwnKind, bool) {
	for _, name := range []string{name, repeated.ReplaceAllString(name, "")} {
		if i := slices.IndexFunc(kinds, func(k store.OwnKind) bool { return strings.EqualFold(k.Name, name) }); i >= 0 {
			return kinds[i], true
		}
	}
	return store.OwnKind{}, false
}

// sensitive tells whether a field, or the one that it repeats, is marked.
func sensitive(kinds []store.OwnKind, name string) bool {
	return slices.ContainsFunc(kinds, func(k store.OwnKind) bool {
		return k.Sensitive && (strings.EqualFold(k.Name, name) || strings.EqualFold(k.Name, repeated.ReplaceAllString(name, "")))
	})
}

// ownFields are a card's own fields as staff see them.
func (s *Service) ownFields(ctx context.Context, p store.Person) ([]Field, error) {
	if len(p.Own) == 0 {
		return nil, nil
	}
	kinds, err := s.store.OwnKinds(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Field, 0, len(p.Own))
	for _, f := range p.Own {
		field := Field{Name: f.Name, Value: maskedIn(f.Value)}
		field.Sensitive = field.Value != f.Value
		if sensitive(kinds, f.Name) {
			field.Value, field.Sensitive = hidden, true
		}
		out = append(out, field)
	}
	return out, nil
}

// fits refuses a value that is not of an own field's kind.
func (s *Service) fits(ctx context.Context, tx *store.Tx, name, value string) error {
	kinds, err := tx.OwnKinds(ctx)
	if err != nil {
		return err
	}
	if why := misfit(kinds, []store.OwnField{{Name: name, Value: value}}); why != "" {
		return refuse("%s", why)
	}
	return nil
}

// misfit says which own field holds what is not of its kind; "" when none does.
// It names the field as it was declared, and no value.
func misfit(kinds []store.OwnKind, own []store.OwnField) string {
	if len(kinds) == 0 {
		return ""
	}
	for _, f := range own {
		k, known := kindOf(kinds, f.Name)
		if !known || f.Value == "" {
			continue
		}
		switch k.Kind {
		case "number":
			if _, err := strconv.ParseFloat(f.Value, 64); err != nil {
				return "the field " + k.Name + " holds a number, such as 12 or 12.5"
			}
		case "date":
			if _, err := time.Parse(time.DateOnly, f.Value); err != nil {
				return "the field " + k.Name + " holds a date, such as 2026-02-03"
			}
		}
	}
	return ""
}
