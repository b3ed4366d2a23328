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
	for i, r := range local {
		if !plainLocal[local[i]] && !isAtext(r) {
			return "", errAddress
		}
	}
	domain, err := domainASCII(domain)
	if err != nil {
		return "", err
	}
	if domain != addr[at+1:] {
		addr = local + "@" + domain
	}
	if len(local) > maxLocal || len(addr) > maxPath {
		return "", errAddress
	}
	return addr, nil
}

// plainLocal are the bytes of most local parts.
var plainLocal = func() (is [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+" {
		is[c] = true
	}
	return is
}()

// domainASCII returns the domain in A-labels, lower case (RFC 5891), without a dot at its end.
func domainASCII(domain string) (string, error) {
	if isPlainDomain(domain) {
		return domain, nil
	}
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

// isPlainDomain tells whether a domain is as it has to be already, as most are: labels of small letters, digits and lone
// hyphens within them, and so none that IDNA looks into.
func isPlainDomain(domain string) bool {
	label := 0 // bytes of it
	for i := range len(domain) {
		switch c := domain[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			label++
		case label == 0 || domain[i-1] == '-':
			return false // an empty label, or one that begins or ends with a hyphen
		case c == '-':
			label++
		case c == '.' && label <= 63:
			label = 0
		default:
			return false
		}
	}
	return label > 0 && label <= 63 && domain[len(domain)-1] != '-' && len(domain) <= 253
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
