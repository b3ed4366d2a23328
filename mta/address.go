package mta

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// errAddress tells that an envelope address can't be put on the wire. It never quotes the address.
var errAddress = errors.New("the address is not one that mail can be sent to")

// Limits of RFC 5321 section 4.5.3.1, in bytes.
const (
	maxLocal = 64
	maxPath  = 254
)

// envelopeAddress checks an address and makes it fit for MAIL and RCPT: the domain in A-labels, the rest as
// it is. What could end the path early and smuggle parameters or a command (CR, LF, NUL, spaces, angle
// brackets) is never let through; neither are quoted local parts and address literals, which no contact has.
// Dots are not policed, for some providers hand out addresses such as "a..b@".
func envelopeAddress(addr string) (string, error) {
	at := strings.LastIndexByte(addr, '@')
	if at < 1 || !utf8.ValidString(addr) {
		return "", errAddress
	}
	local, domain := addr[:at], addr[at+1:]
	for _, r := range local {
		if !isAtext(r) && r != '.' {
			return "", errAddress
		}
	}
	domain, err := domainASCII(domain)
	if err != nil {
		return "", err
	}
	addr = local + "@" + domain
	if len(local) > maxLocal || len(addr) > maxPath {
		return "", errAddress
	}
	return addr, nil
}

// domainASCII returns the domain in A-labels, lower case (RFC 5891), without a dot at its end.
func domainASCII(domain string) (string, error) {
	a, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || a == "" || len(a) > 253 {
		return "", errAddress
	}
	for _, label := range strings.Split(a, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", errAddress
		}
	}
	return a, nil
}

// DomainASCII is a domain in A-labels, lower case, as mail goes by it; the error says that it is none.
func DomainASCII(domain string) (string, error) { return domainASCII(domain) }

// isAtext is the set of RFC 5322 section 3.2.3, widened by RFC 6531 to characters beyond ASCII.
func isAtext(r rune) bool {
	if r >= utf8.RuneSelf {
		return r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.IsSpace(r)
	}
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
