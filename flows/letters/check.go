package letters

import (
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"
)

// Limits of what can stand in a header field.
const (
	maxAddress = 254 // octets: RFC 5321 section 4.5.3.1.3, less the brackets
	maxID      = 255 // octets: RFC 2919 section 2 for a List-Id
	maxURL     = 900 // octets: one unbroken line of at most 998 (RFC 5322 section 2.1.1)
)

// check tells the first field that can't be used.
func (c Confirmation) check() error {
	checks := []struct {
		name string
		ok   bool
	}{
		{"purpose", c.Purpose == SignUp || c.Purpose == Resubscribe},
		{"from", isAddress(c.From.Address)},
		{"to", isAddress(c.To)},
		{"list id", isDotAtom(c.ListID)},
		{"confirm url", isWebURL(c.ConfirmURL)},
		{"cancel url", isWebURL(c.CancelURL)},
		{"unsubscribe mailto", c.UnsubscribeMailto == "" || isMailto(c.UnsubscribeMailto)},
		{"notice", len(c.Notice) <= maxNotice},
		{"expires", isYear(c.Expires)},
		{"message id", isMessageID(c.MessageID)},
		{"date", isYear(c.Date)},
	}
	for _, check := range checks {
		if !check.ok {
			return fmt.Errorf("%w: %s", ErrInvalid, check.name)
		}
	}
	return nil
}

// mailbox writes one bare addr-spec in angle brackets, and reports whether it is
// one. The parser is lenient (comments, folding, display names), so what it
// read must be what s says; of a quoted local part it takes the quotes off.
func mailbox(s string) (string, bool) {
	if len(s) > maxAddress || s != clean(s) {
		return "", false
	}
	a, err := mail.ParseAddress("<" + s + ">")
	if err != nil || a.Name != "" || a.Address != s && !strings.HasPrefix(s, `"`) {
		return "", false
	}
	return a.String(), true
}

func isAddress(s string) bool {
	_, ok := mailbox(s)
	return ok
}

// isDotAtom reports whether s is ASCII labels with dots between, as a List-Id
// must be.
func isDotAtom(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, notAtom) {
			return false
		}
	}
	return true
}

// isMessageID reports whether s is the inside of an RFC 5322 msg-id in its
// strict form: a dot-atom, an @, a dot-atom.
func isMessageID(s string) bool {
	left, right, found := strings.Cut(s, "@")
	return found && isDotAtom(left) && isDotAtom(right)
}

func notAtom(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`()<>[]:;@\,."`, r)
}

// isWebURL reports whether s is an absolute http or https URL that every form
// of the letter can carry unchanged. Plain http is for a store that serves its
// pages on loopback.
func isWebURL(s string) bool {
	if !isURIText(s) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func isMailto(s string) bool {
	if !isURIText(s) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "mailto" && strings.Contains(u.Opaque, "@")
}

// isURIText reports whether s has only characters of RFC 3986, less the comma,
// which parts the URIs of List-Unsubscribe (RFC 2369), and less brackets and
// quotes, which html/template escapes and programs that look for links in text
// leave out.
func isURIText(s string) bool {
	if _, err := url.PathUnescape(s); err != nil || len(s) > maxURL {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("\"'()<>\\^`{|},", r)
	})
}

// isYear reports whether t is set, and has a year of four digits in every
// zone, which RFC 5322 section 3.3 wants from 1900 on.
func isYear(t time.Time) bool {
	year := t.UTC().Year()
	return year > 1900 && year < 9999
}
