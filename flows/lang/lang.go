// Package lang names the four languages that Kartotek speaks to contacts and
// chooses one of them for a reader.
//
// Letters and web pages both need that choice and must agree on it, so it
// stands below them and imports nothing of ours. It holds no wording: texts
// live beside what shows them. Start reading at Negotiate.
package lang

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/text/language"
)

// Tag is one of the four languages, as a lower-case BCP 47 primary subtag. It
// is fit for an HTML lang attribute and for a Content-Language field.
type Tag string

// The languages that every letter and page exists in.
const (
	English Tag = "en"
	Danish  Tag = "da"
	Swedish Tag = "sv"
	German  Tag = "de"
)

// maxAccept bounds an Accept-Language field, in bytes. Browsers send less than
// a hundred; a longer one is not worth sorting.
const maxAccept = 1000

// All returns the languages in the order in which a choice offers them. The
// first is the default.
func All() []Tag {
	return []Tag{English, Danish, Swedish, German}
}

// Parse reads a BCP 47 tag in any case and with any subtags ("da", "DA",
// "de-CH") and reports whether its language is one of ours. A language merely
// close to one of ours is not; see Negotiate for that.
func Parse(s string) (Tag, bool) {
	if len(s) > maxAccept {
		return English, false
	}
	parsed, err := language.Parse(s)
	if err != nil {
		return English, false
	}
	base, confidence := parsed.Base()
	if confidence != language.Exact {
		return English, false
	}
	for _, t := range All() {
		if base.String() == string(t) {
			return t, true
		}
	}
	return English, false
}

// matcher is built on first use: most runs of the program never need it.
var matcher = sync.OnceValue(func() language.Matcher {
	var tags []language.Tag
	for _, t := range All() {
		tags = append(tags, language.Make(string(t)))
	}
	return language.NewMatcher(tags)
})

// Negotiate chooses the language of a page. The value of the ?lang= parameter
// wins when it names one of ours; else the best match for the Accept-Language
// field (RFC 9110 section 12.5.4) does, which lets Norwegians read Danish; else
// it is English. Malformed values count as absent.
func Negotiate(query, acceptLanguage string) Tag {
	if t, ok := Parse(query); ok {
		return t
	}
	if len(acceptLanguage) > maxAccept {
		return English
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return English
	}
	_, index, _ := matcher().Match(wanted...)
	return All()[index]
}

var months = map[Tag][12]string{
	Danish: {
		"januar", "februar", "marts", "april", "maj", "juni",
		"juli", "august", "september", "oktober", "november", "december",
	},
	Swedish: {
		"januari", "februari", "mars", "april", "maj", "juni",
		"juli", "augusti", "september", "oktober", "november", "december",
	},
	German: {
		"Januar", "Februar", "März", "April", "Mai", "Juni",
		"Juli", "August", "September", "Oktober", "November", "Dezember",
	},
}

// FormatTime writes the date and the time of day of when, to the minute and in
// when's own zone, which it names, the way the language does. An unknown tag
// reads as English.
func (t Tag) FormatTime(when time.Time) string {
	day, year, zone := when.Day(), when.Year(), when.Format("MST")
	switch t {
	case Danish:
		return fmt.Sprintf("%d. %s %d kl. %s %s", day, months[t][when.Month()-1], year, when.Format("15.04"), zone)
	case Swedish:
		return fmt.Sprintf("%d %s %d kl. %s %s", day, months[t][when.Month()-1], year, when.Format("15:04"), zone)
	case German:
		return fmt.Sprintf("%d. %s %d, %s Uhr %s", day, months[t][when.Month()-1], year, when.Format("15:04"), zone)
	default:
		return when.Format("2 January 2006, 15:04 MST")
	}
}
