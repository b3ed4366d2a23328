package flows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"kartotek/store"
)

// Staffer is one of staff, as doors show it.
type Staffer struct {
	Name    string       `json:"name"`
	Role    Role         `json:"role"`
	Enabled bool         `json:"enabled"`
	Since   time.Time    `json:"since"`
	Keys    []StafferKey `json:"keys"`
}

// StafferKey is a public SSH key that signs one of staff in.
type StafferKey struct {
	Fingerprint string    `json:"fingerprint"` // SHA256:…
	Kind        string    `json:"kind"`        // ssh-ed25519 …
	Added       time.Time `json:"added"`
}

// Staff lists all staff by name, with their keys.
func (s *Service) Staff(ctx context.Context, a Actor) ([]Staffer, error) {
	if err := s.allow(ctx, a, doStaff); err != nil {
		return nil, err
	}
	all, err := s.store.Staff(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.store.StaffKeys(ctx)
	out := make([]Staffer, len(all))
	for i, m := range all {
		out[i] = stafferOf(m, slices.DeleteFunc(slices.Clone(keys), func(k store.StaffKey) bool { return k.StaffID != m.ID }))
	}
	return out, err
}

func stafferOf(m store.Staffer, keys []store.StaffKey) Staffer {
	out := Staffer{Name: m.Name, Role: Role(m.Role), Enabled: m.Enabled, Since: seconds(m.CreatedAt), Keys: []StafferKey{}}
	for _, k := range keys {
		kind, _, _ := strings.Cut(k.Line, " ")
		out.Keys = append(out.Keys, StafferKey{Fingerprint: k.Fingerprint, Kind: kind, Added: seconds(k.AddedAt)})
	}
	return out
}

// AddStaff takes somebody into staff, with a public SSH key or, for use on
// this machine only, without one. The first must be an owner.
func (s *Service) AddStaff(ctx context.Context, a Actor, name string, role Role, key string) (_ Staffer, err error) {
	defer func() { err = s.trace(ctx, a, doStaff, 0, err) }()
	name, err = staffName(name)
	if err != nil {
		return Staffer{}, err
	}
	if err := checkRole(role); err != nil {
		return Staffer{}, err
	}
	return s.changeStaff(ctx, a, func(tx *store.Tx, at store.Micros) (*store.Staffer, error) {
		switch any, err := tx.AnyStaff(ctx); {
		case err != nil:
			return nil, err
		case !any && role != Owner:
			return nil, refuse("the first of staff must be an owner: otherwise nobody could add the others")
		}
		m := &store.Staffer{Name: name, Role: string(role), Enabled: true, CreatedAt: at}
		if err := tx.AddStaffer(ctx, m); err != nil {
			return nil, err
		}
		if key != "" {
			if _, err := addKey(ctx, tx, m.ID, key, at); err != nil {
				return nil, err
			}
		}
		return m, audit(ctx, tx, a, at, "add staff", 0, name+", "+string(role))
	})
}

// SetRole gives one of staff another role; the last owner keeps it.
func (s *Service) SetRole(ctx context.Context, a Actor, name string, role Role) (_ Staffer, err error) {
	defer func() { err = s.trace(ctx, a, doStaff, 0, err) }()
	if err := checkRole(role); err != nil {
		return Staffer{}, err
	}
	return s.changeNamed(ctx, a, name, func(tx *store.Tx, m *store.Staffer, at store.Micros) error {
		was := m.Role
		m.Role = string(role)
		if err := s.saveStaffer(ctx, tx, m); err != nil {
			return err
		}
		return audit(ctx, tx, a, at, "staff role", 0, m.Name+", "+was+" → "+m.Role)
	})
}

// EnableStaff lets one of staff sign in again, or with enabled false no more:
// sessions that are open end. The last owner can't be disabled.
func (s *Service) EnableStaff(ctx context.Context, a Actor, name string, enabled bool) (_ Staffer, err error) {
	defer func() { err = s.trace(ctx, a, doStaff, 0, err) }()
	return s.changeNamed(ctx, a, name, func(tx *store.Tx, m *store.Staffer, at store.Micros) error {
		if m.Enabled == enabled {
			return nil
		}
		word := "enable staff"
		if !enabled {
			word = "disable staff"
		}
		m.Enabled = enabled
		if err := s.saveStaffer(ctx, tx, m); err != nil {
			return err
		}
		return audit(ctx, tx, a, at, word, 0, m.Name)
	})
}

// AddStaffKey lets a public SSH key sign one of staff in. A key that was
// somebody else's is refused for good.
func (s *Service) AddStaffKey(ctx context.Context, a Actor, name, key string) (_ Staffer, err error) {
	defer func() { err = s.trace(ctx, a, doStaff, 0, err) }()
	return s.changeNamed(ctx, a, name, func(tx *store.Tx, m *store.Staffer, at store.Micros) error {
		print, err := addKey(ctx, tx, m.ID, key, at)
		if err != nil {
			return err
		}
		return audit(ctx, tx, a, at, "add staff key", 0, m.Name+", "+print)
	})
}

// RemoveStaffKey ends a key, named by its fingerprint.
func (s *Service) RemoveStaffKey(ctx context.Context, a Actor, name, fingerprint string) (_ Staffer, err error) {
	defer func() { err = s.trace(ctx, a, doStaff, 0, err) }()
	return s.changeNamed(ctx, a, name, func(tx *store.Tx, m *store.Staffer, at store.Micros) error {
		k, err := tx.StaffKey(ctx, fingerprint)
		if errors.Is(err, ErrNotFound) || err == nil && (k.StaffID != m.ID || k.RemovedAt != 0) {
			return refuse("%s has no key of that fingerprint: see staff list", m.Name)
		}
		if err != nil {
			return err
		}
		if err := tx.RemoveStaffKey(ctx, fingerprint, at); err != nil {
			return err
		}
		return audit(ctx, tx, a, at, "remove staff key", 0, m.Name+", "+fingerprint)
	})
}

// changeNamed changes one of staff who is there.
func (s *Service) changeNamed(ctx context.Context, a Actor, name string, change func(*store.Tx, *store.Staffer, store.Micros) error) (Staffer, error) {
	return s.changeStaff(ctx, a, func(tx *store.Tx, at store.Micros) (*store.Staffer, error) {
		m, err := tx.StafferNamed(ctx, strings.ToLower(strings.TrimSpace(name)))
		if err != nil {
			return nil, err
		}
		return &m, change(tx, &m, at)
	})
}

// changeStaff does a change of staff, one at a time.
func (s *Service) changeStaff(ctx context.Context, a Actor, change func(*store.Tx, store.Micros) (*store.Staffer, error)) (Staffer, error) {
	if err := s.allow(ctx, a, doStaff); err != nil {
		return Staffer{}, err
	}
	var m *store.Staffer
	var keys []store.StaffKey
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if err = tx.GuardStaff(ctx); err != nil {
			return err
		}
		if m, err = change(tx, store.At(s.now())); err != nil {
			return err
		}
		keys, err = tx.KeysOfStaffer(ctx, m.ID)
		return err
	})
	switch {
	case errors.Is(err, store.ErrTaken):
		return Staffer{}, refuse("there is one of staff of that name already")
	case errors.Is(err, ErrNotFound):
		return Staffer{}, errNoStaffer
	case err != nil:
		return Staffer{}, err
	}
	return stafferOf(*m, keys), nil
}

var errNoStaffer = fmt.Errorf("there is nobody of that name in staff (see staff list): %w", ErrNotFound)

// saveStaffer writes a change unless it would lock everybody out: there is
// always an owner who can sign in.
func (s *Service) saveStaffer(ctx context.Context, tx *store.Tx, m *store.Staffer) error {
	if err := tx.SaveStaffer(ctx, m); err != nil {
		return err
	}
	all, err := tx.Staff(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(m store.Staffer) bool { return m.Enabled && Role(m.Role) == Owner }) {
		return refuse("%s is the last owner who can sign in: make somebody else one first", m.Name)
	}
	return nil
}

func checkRole(role Role) error {
	if slices.Contains(Roles, role) {
		return nil
	}
	return refuse("a role is support, marketer, operator, owner or auditor")
}

// outsiders are names that stand in the audit for those who are not staff.
var outsiders = []string{"contact", "clock", "system", "unknown"}

// staffName is a name as staff have it: lower case, 1 to 32 letters, digits,
// dots, hyphens and underscores.
func staffName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r)
	}
	if n := utf8.RuneCountInString(name); n == 0 || n > 32 || len(name) > 64 || strings.ContainsFunc(name, odd) || slices.Contains(outsiders, name) {
		return "", refuse("a name of staff has 1 to 32 letters, digits, dots, hyphens and underscores, and is not one of %s", strings.Join(outsiders, ", "))
	}
	return name, nil
}

// addKey reads a public key and gives it to one of staff.
func addKey(ctx context.Context, tx *store.Tx, staff int64, text string, at store.Micros) (string, error) {
	key, err := parseKey(text)
	if err != nil {
		return "", err
	}
	k := store.StaffKey{
		Fingerprint: ssh.FingerprintSHA256(key), StaffID: staff, AddedAt: at,
		Line: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))),
	}
	switch old, err := tx.StaffKey(ctx, k.Fingerprint); {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return "", err
	case old.StaffID != staff:
		return "", refuse("this key is or was another one's of staff: each needs a key of their own")
	case old.RemovedAt == 0:
		return "", refuse("this key is there already")
	}
	return k.Fingerprint, tx.AddStaffKey(ctx, k)
}

// leastRSA is the length of RSA keys below which none is taken, in bits.
const leastRSA = 2048

// parseKey reads one public key as it stands in a .pub file.
func parseKey(text string) (ssh.PublicKey, error) {
	if strings.Contains(text, "PRIVATE KEY") {
		return nil, refuse("this is a private key, which nobody else should see: give the public one, from the file that ends in .pub")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case err != nil:
		return nil, refuse("this is no public SSH key: give the line of a .pub file, such as ssh-ed25519 AAAA…")
	case len(options) > 0 || len(strings.TrimSpace(string(rest))) > 0:
		return nil, refuse("give one public SSH key and nothing else: no options, and no second key")
	}
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return key, nil
	case ssh.KeyAlgoRSA:
		if crypto, ok := key.(ssh.CryptoPublicKey); ok && rsaBits(crypto) >= leastRSA {
			return key, nil
		}
		return nil, refuse("an RSA key needs 2,048 bits or more: make a new one with ssh-keygen -t ed25519")
	}
	return nil, refuse("a key of the kind %s does not sign anybody in: make one with ssh-keygen -t ed25519", key.Type())
}
