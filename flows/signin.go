package flows

import (
	"context"
	"crypto/rsa"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ErrSignedOut ends what somebody does who was disabled, has another role, or
// whose key was removed, since they signed in.
var ErrSignedOut = &Refusal{Why: "your sign-in has ended: you were disabled, or your role or key has changed; sign in again", words: "the sign-in has ended"}

// SignIn tells who the local user is: as long as there are no staff their
// owner under any name; then one of staff, with the operating system's user
// beside the name. Trying a name that isn't in staff is written into the audit.
func (s *Service) SignIn(ctx context.Context, name, user, door string) (Actor, error) {
	any, err := s.store.AnyStaff(ctx)
	if err != nil {
		return Actor{}, err
	}
	if !any {
		return Actor{Name: name, Role: Owner, From: door, Local: true}, nil
	}
	m, err := s.store.StafferNamed(ctx, strings.ToLower(name))
	a := Actor{Name: m.Name, Role: Role(m.Role), From: door, User: short(user), Staff: m.ID}
	switch {
	case errors.Is(err, ErrNotFound):
		a.Name, a.Role = "unknown", ""
		return Actor{}, errors.Join(refuse("there is nobody called %s in staff: say who you are with --as NAME", oneLine(name, 60)), s.note(ctx, a, "refused", "sign-in: not in staff"))
	case err != nil:
		return Actor{}, err
	case !m.Enabled:
		return Actor{}, errors.Join(refuse("%s is disabled: an owner can change that with staff enable", m.Name), s.note(ctx, a, "refused", "sign-in: disabled"))
	}
	return a, nil
}

// short bounds a name of the operating system for the audit.
func short(user string) string {
	user = oneLine(user, 40)
	if len(user) > 40 {
		user = strings.ToValidUTF8(user[:40], "")
	}
	return user
}

// KnownKey tells who of staff a public key signs in; a *Refusal for nobody.
// It writes nothing: clients offer keys before they prove that they have them.
func (s *Service) KnownKey(ctx context.Context, key ssh.PublicKey) (Actor, error) {
	k, err := s.store.StaffKey(ctx, ssh.FingerprintSHA256(key))
	if errors.Is(err, ErrNotFound) || err == nil && (k.RemovedAt != 0 || k.Line != strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))) {
		return Actor{}, refuse("the key is nobody's of staff")
	}
	if err != nil {
		return Actor{}, err
	}
	m, err := s.store.StafferByID(ctx, k.StaffID)
	if err != nil {
		return Actor{}, err
	}
	a := Actor{Name: m.Name, Role: Role(m.Role), From: "ssh", Staff: m.ID, Key: k.Fingerprint}
	if !m.Enabled {
		return a, refuse("%s is disabled", m.Name)
	}
	return a, nil
}

// StillIn tells whether an actor of staff still is what they were when they
// signed in; ErrSignedOut when not. Others are taken at their word.
func (s *Service) StillIn(ctx context.Context, a Actor) error {
	if a.Local {
		any, err := s.store.AnyStaff(ctx)
		if err == nil && any {
			err = ErrSignedOut
		}
		return err
	}
	if a.Staff == 0 {
		return nil
	}
	m, err := s.store.StafferByID(ctx, a.Staff)
	if err != nil {
		return err
	}
	if !m.Enabled || Role(m.Role) != a.Role {
		return ErrSignedOut
	}
	if a.Key == "" {
		return nil
	}
	k, err := s.store.StaffKey(ctx, a.Key)
	if err == nil && (k.RemovedAt != 0 || k.StaffID != a.Staff) {
		err = ErrSignedOut
	}
	return err
}

// SignedIn and SignedOut write the beginning and the end of a session into the
// audit. Only those of staff leave a trace: without staff there is one user.
func (s *Service) SignedIn(ctx context.Context, a Actor) error {
	return s.noteSession(ctx, a, "sign in")
}

// SignedOut: see SignedIn.
func (s *Service) SignedOut(ctx context.Context, a Actor) error {
	return s.noteSession(ctx, a, "sign out")
}

func (s *Service) noteSession(ctx context.Context, a Actor, act string) error {
	if a.Staff == 0 {
		return nil
	}
	why := ""
	if a.Key != "" {
		why = "key " + a.Key
	}
	return s.note(ctx, a, act, why)
}

// TurnedAway writes down strangers whose sign-in over SSH failed, since the last time
// that this was told; a flood of them makes few rows.
func (s *Service) TurnedAway(ctx context.Context, n int, why string) error {
	if n > 1 {
		why += ", " + strconv.Itoa(n) + " times"
	}
	return s.note(ctx, Actor{Name: "unknown", From: "ssh"}, "refused", "sign-in: "+why)
}

func rsaBits(key ssh.CryptoPublicKey) int {
	if k, ok := key.CryptoPublicKey().(*rsa.PublicKey); ok {
		return k.N.BitLen()
	}
	return 0
}
