package flows

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"kartotek/flows/letters"
	"kartotek/store"
)

// Lists reads the lists with their counters.
func (s *Service) Lists(ctx context.Context, a Actor) ([]List, error) {
	if err := s.allow(ctx, a, doBrowse); err != nil {
		return nil, err
	}
	return s.lists(ctx)
}

func (s *Service) lists(ctx context.Context) ([]List, error) {
	all, err := s.store.Lists(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := s.store.Counters(ctx)
	out := make([]List, len(all))
	for i, l := range all {
		n := counts.ByList[l.ID]
		out[i] = List{ID: l.ID, Name: l.Name, Slug: l.Slug, Subscribed: n[store.Subscribed], Pending: n[store.OnHold], Left: n[store.Left], From: l.FromAddress}
	}
	return out, err
}

// AddList makes a list; *Refusal when the name is taken or can't be one.
func (s *Service) AddList(ctx context.Context, a Actor, name string) (_ List, err error) {
	defer func() { err = s.trace(ctx, a, doLists, 0, err) }()
	if err := s.allow(ctx, a, doLists); err != nil {
		return List{}, err
	}
	var l store.List
	err = s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		l, err = s.addList(ctx, tx, a, name)
		return err
	})
	if errors.Is(err, store.ErrTaken) {
		return List{}, refuse("there is a list of that name already")
	}
	return List{ID: l.ID, Name: l.Name, Slug: l.Slug}, err
}

// SetListSender sets who the letters of a list come from; with an empty address
// they come from the company's again.
func (s *Service) SetListSender(ctx context.Context, a Actor, list string, from letters.Sender) (_ List, err error) {
	defer func() { err = s.trace(ctx, a, doLists, 0, err) }()
	if err := s.allow(ctx, a, doLists); err != nil {
		return List{}, err
	}
	l, err := s.listNamed(ctx, list)
	if err != nil {
		return List{}, err
	}
	from.Name = oneLine(strings.Map(printable, from.Name), 200)
	if from.Address != "" {
		if _, err := store.ParseAddress(from.Address); err != nil {
			return List{}, refuse("the sender of a list is an address such as news@your.domain")
		}
	} else {
		from.Name = ""
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.SetListSender(ctx, l.ID, from.Name, from.Address); err != nil {
			return err
		}
		return audit(ctx, tx, a, store.At(s.now()), "set sender", 0, l.Name)
	})
	return List{ID: l.ID, Name: l.Name, Slug: l.Slug, From: from.Address}, err
}

// sender is who a list's letters come from.
func (s *Service) sender(l store.List) letters.Sender {
	if l.FromAddress == "" {
		return s.cfg.From
	}
	return letters.Sender{Name: cmp.Or(l.FromName, s.cfg.From.Name), Address: l.FromAddress}
}

func (s *Service) addList(ctx context.Context, tx *store.Tx, a Actor, name string) (store.List, error) {
	name = listName(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > 100 {
		return store.List{}, refuse("a list's name has 1 to 100 characters that can be printed")
	}
	if _, err := findList(ctx, tx, name); !errors.Is(err, ErrNotFound) {
		return store.List{}, cmp.Or(err, store.ErrTaken)
	}
	l := store.List{Name: name, Slug: slug(name), CreatedAt: store.At(s.now())}
	for n := 2; ; n++ { // another name may make the same slug
		if _, err := tx.ListByName(ctx, l.Slug); errors.Is(err, ErrNotFound) || l.Slug == l.Name {
			break
		} else if err != nil {
			return l, err
		}
		l.Slug = slug(name) + "-" + strconv.Itoa(n)
	}
	if err := tx.AddList(ctx, &l); err != nil {
		return l, err
	}
	return l, audit(ctx, tx, a, l.CreatedAt, "add list", 0, l.Name)
}

// listName is a list's name as it is kept and looked up.
func listName(name string) string { return oneLine(strings.Map(printable, name), 400) }

// byName is what finds lists: the store, or a transaction on it.
type byName interface {
	ListByName(ctx context.Context, name string) (store.List, error)
}

// findList finds a list by its name in any case, or by its slug.
func findList(ctx context.Context, q byName, name string) (store.List, error) {
	l, err := q.ListByName(ctx, name)
	if !errors.Is(err, ErrNotFound) {
		return l, err
	}
	if l, err = q.ListByName(ctx, slug(name)); err == nil && !strings.EqualFold(l.Name, name) {
		return store.List{}, ErrNotFound
	}
	return l, err
}

// printable drops controls and the characters that turn a line around.
func printable(r rune) rune {
	if unicode.IsSpace(r) {
		return ' '
	}
	if !unicode.IsPrint(r) {
		return -1
	}
	return r
}

// slug is a list's name as it stands in addresses: a-z, 0-9 and hyphens.
func slug(name string) string {
	name = strings.NewReplacer("æ", "ae", "ø", "o", "ß", "ss", "ð", "d", "þ", "th", "ł", "l").Replace(strings.ToLower(name))
	var b strings.Builder
	for _, r := range norm.NFD.String(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String(), "-")
	if len(s) > 50 {
		s = strings.Trim(s[:50], "-")
	}
	if s == "" {
		return "list"
	}
	return s
}
