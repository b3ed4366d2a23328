package flows

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"kartotek/store"
)

// personal refuses a text for the audit that tells of a person: it is kept
// when the person is erased, and the SubscriberID stands for them there. Of a
// tombstone nobody is known, so anything that looks like an address, a number
// or an IP address is refused of anybody.
func personal(what, text string, p store.Person) error {
	if names(text, p) {
		return refuse("%s names the person: leave name, address, number and own fields out, the SubscriberID stands for them", what)
	}
	for word := range strings.FieldsSeq(text) {
		word = strings.Trim(word, ".,;:()<>'\"")
		if _, err := store.ParseDisplay(word); err == nil {
			return refuse("%s holds an email address: leave it out, the SubscriberID stands for the person", what)
		}
	}
	if anyAddress.MatchString(text) {
		return refuse("%s holds an email address: leave it out, the SubscriberID stands for the person", what)
	}
	for _, like := range anyIP.FindAllString(text, -1) {
		if _, err := netip.ParseAddr(strings.Trim(like, ".")); err == nil {
			return refuse("%s holds an IP address: leave it out, the evidence keeps it", what)
		}
	}
	if longNumber.MatchString(text) {
		return refuse("%s holds a telephone number: leave it out, the SubscriberID stands for the person", what)
	}
	return nil
}

// An address or an IP address may stand anywhere, within other signs too.
var (
	anyAddress = regexp.MustCompile(`[^\s@]@[^\s@]+\.[^\s@]`)
	anyIP      = regexp.MustCompile(`\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*`)
)

// longNumber is what a telephone number looks like: +45…, digits in three
// groups and more, or in four that aren't parted by spaces: three are a date. A
// plain run of digits may be a ticket's number.
var longNumber = regexp.MustCompile(`\+\d[\d ()-]{6,}|\b\d{2,5}( \d{2,4}){2,}\b|\b\d{2,5}([-./]\d{2,4}){3,}\b`)

// names tells whether a text holds a person's address, number in whatever
// writing, or name. Short names and first names count as whole words in their
// own case only: Per is a name, "per letter" is none.
func names(text string, p store.Person) bool {
	low := strings.ToLower(text)
	values := []string{p.Email, p.LastName}
	for _, f := range p.Own {
		values = append(values, f.Value)
	}
	for _, v := range values {
		if len(v) > 4 && strings.Contains(low, strings.ToLower(v)) {
			return true
		}
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
	if n := len(p.Mobile); n > 8 && strings.Contains(digits, p.Mobile[n-8:]) {
		return true
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' })
	for name := range strings.FieldsSeq(p.FirstName + " " + p.LastName) {
		if slices.Contains(words, name) {
			return true
		}
	}
	return false
}

// plain trims a text that staff typed, and refuses an empty or endless one.
func plain(what, text string) (string, error) {
	text = strings.Join(strings.Fields(strings.Map(printable, strings.ToValidUTF8(text, ""))), " ")
	switch {
	case text == "":
		return "", refuse("%s is missing", what)
	case len(text) > 1000:
		return "", refuse("%s is longer than 1,000 characters: shorten it", what)
	}
	return text, nil
}
