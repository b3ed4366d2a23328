package flows

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// publicKey makes a key pair and returns the public part.
func publicKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyLine(k ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(k)) }

// as signs somebody of staff in on this machine.
func (d *desk) as(name string) Actor {
	d.t.Helper()
	a, err := d.SignIn(d.t.Context(), name, "root", "test")
	d.must(err)
	return a
}

func turnedDown(t *testing.T, err error, word string) {
	t.Helper()
	var refusal *Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), word) {
		t.Errorf("refused with %q is wanted, not %v", word, err)
	}
}

func TestLocalUserIsOwnerUntilStaffExist(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	root, err := d.SignIn(ctx, "root", "root", "command line")
	d.must(err)
	if root.Role != Owner || root.User != "" {
		t.Fatalf("the local user is %+v", root)
	}
	_, err = d.AddStaff(ctx, root, "bo", Support, "")
	turnedDown(t, err, "first of staff must be an owner")
	if _, err := d.AddStaff(ctx, root, "Anna", Owner, ""); err != nil {
		t.Fatal(err)
	}
	_, err = d.AddStaff(ctx, root, "bo", Support, "")
	turnedDown(t, err, "sign-in has ended")
	_, err = d.SignIn(ctx, "root", "root", "command line")
	turnedDown(t, err, "nobody called root in staff")
	a := d.as("ANNA")
	if a.Name != "anna" || a.Role != Owner || a.User != "root" {
		t.Errorf("anna signs in as %+v", a)
	}
	if _, err := d.AddStaff(ctx, a, "bo", Support, ""); err != nil {
		t.Fatal(err)
	}
	rows, err := d.Audit(ctx, a, AuditFilter{}, 0, 3)
	d.must(err)
	if rows[0].Actor != "anna" || rows[0].From != "test (root)" || rows[0].Why != "bo, support" || rows[1].Act != "refused" || rows[1].Actor != "unknown" {
		t.Errorf("the audit says %+v", rows)
	}
	_, err = d.AddStaff(ctx, a, "BO", Support, "")
	turnedDown(t, err, "of that name already")
	for _, name := range []string{"", "a b", "clock", "x\x1b[2J", strings.Repeat("a", 33), "a\u202eb"} {
		_, err := d.AddStaff(ctx, a, name, Support, "")
		turnedDown(t, err, "a name of staff")
	}
	_, err = d.AddStaff(ctx, a, "eva", "king", "")
	turnedDown(t, err, "a role is")
}

// TestRoleEndsAtOnce: who is disabled or has another role can't go on as what
// they signed in as.
func TestRoleEndsAtOnce(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	_, err := d.AddStaff(ctx, anna, "anna", Owner, "")
	d.must(err)
	owner := d.as("anna")
	_, err = d.AddStaff(ctx, owner, "bo", Operator, "")
	d.must(err)
	bo := d.as("bo")
	if _, err := d.Browse(ctx, bo, Page{}); err != nil {
		t.Fatal(err)
	}
	_, err = d.SetRole(ctx, owner, "bo", Support)
	d.must(err)
	_, err = d.Browse(ctx, bo, Page{})
	turnedDown(t, err, "sign-in has ended")
	bo = d.as("bo")
	_, err = d.EnableStaff(ctx, owner, "bo", false)
	d.must(err)
	_, err = d.Browse(ctx, bo, Page{})
	turnedDown(t, err, "sign-in has ended")
	_, err = d.SignIn(ctx, "bo", "root", "test")
	turnedDown(t, err, "bo is disabled")
	_, err = d.EnableStaff(ctx, owner, "bo", true)
	d.must(err)
	if _, err := d.Browse(ctx, d.as("bo"), Page{}); err != nil {
		t.Error(err)
	}
	if _, err := d.EnableStaff(ctx, owner, "nobody", true); !errors.Is(err, ErrNotFound) {
		t.Errorf("enabling nobody: %v", err)
	}
}

// TestNobodyLocksEverybodyOut: the last owner who can sign in stays one, also
// when two owners disable each other at the same moment.
func TestNobodyLocksEverybodyOut(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	_, err := d.AddStaff(ctx, anna, "anna", Owner, "")
	d.must(err)
	a := d.as("anna")
	_, err = d.EnableStaff(ctx, a, "anna", false)
	turnedDown(t, err, "last owner")
	_, err = d.SetRole(ctx, a, "anna", Operator)
	turnedDown(t, err, "last owner")
	_, err = d.AddStaff(ctx, a, "bo", Owner, "")
	d.must(err)
	b := d.as("bo")
	for range 5 {
		var both sync.WaitGroup
		var errs [2]error
		both.Go(func() { _, errs[0] = d.EnableStaff(context.WithoutCancel(ctx), a, "bo", false) })
		both.Go(func() { _, errs[1] = d.EnableStaff(context.WithoutCancel(ctx), b, "anna", false) })
		both.Wait()
		all, err := d.store.Staff(ctx)
		d.must(err)
		left := 0
		for _, m := range all {
			if m.Enabled {
				left++
			}
		}
		if left != 1 || (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("%d owners are left: %v, %v", left, errs[0], errs[1])
		}
		for _, m := range all {
			if m.Enabled {
				_, err := d.EnableStaff(ctx, d.as(m.Name), map[string]string{"anna": "bo", "bo": "anna"}[m.Name], true)
				d.must(err)
			}
		}
	}
}

func TestKeysOfStaff(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	mine, other := publicKey(t), publicKey(t)
	m, err := d.AddStaff(ctx, anna, "anna", Owner, keyLine(mine))
	d.must(err)
	if len(m.Keys) != 1 || m.Keys[0].Fingerprint != ssh.FingerprintSHA256(mine) {
		t.Fatalf("anna has the keys %+v", m.Keys)
	}
	a := d.as("anna")
	_, err = d.AddStaff(ctx, a, "bo", Support, keyLine(mine))
	turnedDown(t, err, "another one's of staff")
	_, err = d.AddStaff(ctx, a, "bo", Support, keyLine(other))
	d.must(err)
	in, err := d.KnownKey(ctx, other)
	d.must(err)
	if in.Name != "bo" || in.Role != Support || in.Key == "" {
		t.Errorf("the key signs in %+v", in)
	}
	if _, err := d.RemoveStaffKey(ctx, a, "anna", ssh.FingerprintSHA256(other)); err == nil {
		t.Error("bo's key was removed from anna")
	}
	_, err = d.RemoveStaffKey(ctx, a, "bo", ssh.FingerprintSHA256(other))
	d.must(err)
	turnedDown(t, d.StillIn(ctx, in), "sign-in has ended")
	_, err = d.KnownKey(ctx, other)
	turnedDown(t, err, "nobody's of staff")
	_, err = d.AddStaffKey(ctx, a, "anna", keyLine(other)) // a removed key stays who it was
	turnedDown(t, err, "another one's of staff")
	_, err = d.AddStaffKey(ctx, a, "bo", keyLine(other))
	d.must(err)
	d.must(d.StillIn(ctx, in))
	_, err = d.EnableStaff(ctx, a, "bo", false)
	d.must(err)
	_, err = d.KnownKey(ctx, other)
	turnedDown(t, err, "disabled")
}

func TestParseKey(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // Go refuses to make one
	}
	weakKey, err := ssh.NewPublicKey(&weak.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	line := keyLine(publicKey(t))
	for text, word := range map[string]string{
		"":                                       "no public SSH key",
		"ssh-ed25519":                            "no public SSH key",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nb": "private key",
		"command=\"sh\" " + line:                 "no options",
		line + line:                              "no second key",
		keyLine(weakKey):                         "2,048 bits",
	} {
		_, err := parseKey(text)
		turnedDown(t, err, word)
	}
	if _, err := parseKey(line + "\n# a comment\n"); err == nil {
		t.Error("a comment after the key is taken")
	}
	if _, err := parseKey(strings.TrimSpace(line) + " anna@laptop\n"); err != nil {
		t.Error(err)
	}
}
