package store

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Errors of parsing; they never hold the value itself.
var (
	ErrAddress = errors.New("this is not a full email address: write it as name@example.com")
	ErrNumber  = errors.New("this is not a mobile number in international form: write it as +4520123456")
)

// Address is a canonical email address or a mobile number in E.164. It can be
// made by parsing only, and prints as nothing, so that it stays out of logs.
type Address struct{ canonical string }

// Canonical is the value itself: for sealing, hashing and envelopes.
func (a Address) Canonical() string { return a.canonical }

// IsZero tells whether there is no address.
func (a Address) IsZero() bool { return a.canonical == "" }

// IsNumber tells a mobile number from an email address.
func (a Address) IsNumber() bool {
	return strings.HasPrefix(a.canonical, "+") && !strings.Contains(a.canonical, "@")
}

// String keeps the value out of logs and error texts.
func (a Address) String() string { return "(an address)" }

// GoString keeps the value out of %#v too.
func (a Address) GoString() string { return "(an address)" }

// Masked is what staff see: see Mask.
func (a Address) Masked() string {
	if a.IsZero() {
		return ""
	}
	return Mask(a.canonical)
}

// ParseAddress makes the canonical form: trimmed, NFC, the domain to
// lower-case A-labels (RFC 5890), the local part lower-cased; dots and +tags
// are kept. Limits are RFC 5321's (section 4.5.3.1).
func ParseAddress(s string) (Address, error) {
	s = strings.TrimSpace(s)
	if len(s) > 512 || !utf8.ValidString(s) {
		return Address{}, ErrAddress
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return Address{}, ErrAddress
	}
	local, domain := s[:at], s[at+1:]
	if !ascii(s) {
		local = norm.NFC.String(local)
	}
	local = strings.ToLower(local)
	if !plainDomain(domain) {
		var err error
		if domain, err = idna.Lookup.ToASCII(norm.NFC.String(domain)); err != nil || !plainDomain(domain) {
			return Address{}, ErrAddress
		}
	}
	domain = strings.ToLower(domain)
	if len(local) > 64 || len(local)+1+len(domain) > 254 || !dotAtom(local) {
		return Address{}, ErrAddress
	}
	return Address{local + "@" + domain}, nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// plainDomain tells whether s is a host name of LDH labels with a dot in it,
// for which idna would change nothing but the case.
func plainDomain(s string) bool {
	if len(s) > 253 || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i] | 0x20
			if (c < 'a' || c > 'z') && (label[i] < '0' || label[i] > '9') && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

// dotAtom tells whether s is a dot-atom of RFC 5322, widened by RFC 6531.
func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
		case r < utf8.RuneSelf:
			// RFC 5322's atext, less the asterisk: masked, it couldn't be told apart.
			if !strings.ContainsRune("!#$%&'+-/=?^_`{|}~", r) {
				return false
			}
		case !unicode.IsPrint(r) || unicode.Is(unicode.Cf, r):
			return false
		}
	}
	return true
}

// ParseNumber makes the E.164 form of a number that starts with + or 00.
func ParseNumber(s string) (Address, error) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "00"); ok {
		s = "+" + rest
	}
	if !strings.HasPrefix(s, "+") || len(s) > 40 {
		return Address{}, ErrNumber
	}
	n, err := phonenumbers.Parse(s, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return Address{}, ErrNumber
	}
	return Address{phonenumbers.Format(n, phonenumbers.E164)}, nil
}

// ParseDisplay reads an address that may stand as "Name <name@example.com>",
// as envelopes and headers hold it.
func ParseDisplay(s string) (Address, error) {
	if a, err := ParseAddress(strings.Trim(s, "<> ")); err == nil {
		return a, nil
	}
	m, err := mail.ParseAddress(s)
	if err != nil {
		return Address{}, ErrAddress
	}
	return ParseAddress(m.Address)
}
