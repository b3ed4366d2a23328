package intake

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// settings are what the values of a file are read by.
type settings struct {
	words    *vocabulary
	given    map[string]string // Options.Map
	now      time.Time         // no recorded act is later
	workbook bool              // a bare number in a time column is a day count
	from1904 bool              // and is counted from 1904
}

// Ignore is the name that a column is sent to in Options.Map to be left out.
const Ignore = "ignore"

// column is a column of the file with the function that reads its values;
// own fields have none.
type column struct {
	Column
	set setter
}

// header is the columns of a file. Those of JSON lines grow.
type header struct {
	columns []column
	taken   map[string]int // place of the column that feeds a field
	set     settings
}

// newHeader gives each column of the file its field, or says what the person
// has to settle.
func newHeader(names []string, set settings) (*header, error) {
	if len(names) > maxColumns {
		return nil, fmt.Errorf("the file has %d columns, and %d are the most that are read", len(names), maxColumns)
	}
	given, err := checkMap(names, set.given)
	if err != nil {
		return nil, err
	}
	h := &header{taken: map[string]int{}, set: set}
	h.set.given = given
	strong := map[string]bool{}
	for _, n := range names {
		if field, weak := h.resolve(n); field != "" && !weak {
			strong[field] = true
		}
	}
	for _, n := range names {
		field, weak := h.resolve(n)
		if weak && strong[field] {
			field = "" // a surer column is there: this one is the company's own
		}
		if err := h.add(n, field); err != nil {
			return nil, err
		}
	}
	if err := set.words.missing(h.taken, names); err != nil {
		return nil, err
	}
	return h, nil
}

// checkMap brings the keys of Options.Map into comparable form; each must name
// a column.
func checkMap(names []string, given map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(given))
	for key, field := range given {
		k := mapKey(key)
		if !slices.ContainsFunc(names, func(n string) bool { return mapKey(n) == k }) {
			return nil, fmt.Errorf("--map names a column %q that the file doesn't have; its columns are %s", clean(key), listed(names))
		}
		if field = clean(field); field == "" {
			return nil, fmt.Errorf("--map sends the column %q nowhere: write --map %q with a field's name or %q behind it", clean(key), clean(key)+"=", Ignore)
		}
		if other, twice := out[k]; twice && other != field {
			return nil, fmt.Errorf("--map sends the column %q to both %q and %q: leave one out", clean(key), min(other, field), max(other, field))
		}
		out[k] = field
	}
	return out, nil
}

// resolve finds the field that a column name stands for: "" is none that we
// know. weak tells a guess that gives way to a surer column.
func (h *header) resolve(name string) (field string, weak bool) {
	if field, ok := h.set.given[mapKey(name)]; ok {
		if f, known := h.set.words.named(field); known {
			return f, false
		}
		return field, false
	}
	a := h.set.words.aliases[plain(name)]
	return a.field, a.weak
}

// add appends a column that feeds field, or an own field when that is "".
func (h *header) add(name, field string) error {
	c := column{Column: Column{Header: clean(name), Field: field}}
	info, known := h.set.words.byName[field]
	switch {
	case field == Ignore:
		c.set = func(*Row, string) string { return "" }
	case known:
		if at, twice := h.taken[field]; twice {
			return fmt.Errorf("the columns %q and %q both hold the field %s: say which one is meant, for example --map %q",
				h.columns[at].Header, c.Header, field, c.Header+"="+Ignore)
		}
		h.taken[field] = len(h.columns)
		c.set = info.setter(h.set)
	default:
		c.Own = true
		c.Field = h.ownName(name, field)
	}
	h.columns = append(h.columns, c)
	return nil
}

// ownName names an own field after its header. Empty and repeated headers are
// told apart by the column's number, so that no value is lost.
func (h *header) ownName(name, field string) string {
	if field == "" {
		field = clean(name)
	}
	number := len(h.columns) + 1
	if field == "" {
		field = fmt.Sprintf("column %d", number)
	}
	for _, c := range h.columns {
		if c.Own && strings.EqualFold(c.Field, field) {
			return fmt.Sprintf("%s (column %d)", field, number)
		}
	}
	return field
}

// knownColumns counts the names that stand for a field.
func knownColumns(names []string, set settings) int {
	n := 0
	h := header{set: settings{words: set.words, given: map[string]string{}}}
	for key, field := range set.given {
		h.set.given[mapKey(key)] = field
	}
	for _, name := range names {
		if field, _ := h.resolve(name); field != "" {
			n++
		}
	}
	return n
}

// noEmail says what to do about a file without addresses. When its first line
// looks like a person's data, it is not repeated.
func noEmail(names []string) error {
	if slices.ContainsFunc(names, looksPersonal) {
		return errors.New("the first line holds values instead of column names: put a line of column names above it, such as email,first_name,last_name")
	}
	return fmt.Errorf("no column holds email addresses; the columns are %s: say which one does, for example --map %q", listed(names), firstNamed(names)+"=email")
}

// looksPersonal tells a value from a column's name.
func looksPersonal(name string) bool {
	digits := 0
	for _, r := range name {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return strings.Contains(name, "@") || digits >= 5
}

func firstNamed(names []string) string {
	for _, n := range names {
		if c := clean(n); c != "" {
			return c
		}
	}
	return "COLUMN"
}

// listed names columns for an error.
func listed(names []string) string {
	const most = 20
	var out []string
	for i, n := range names {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		switch c := clean(n); {
		case looksPersonal(c):
			out = append(out, "(one that looks like a value)")
		case c != "":
			out = append(out, fmt.Sprintf("%q", c))
		}
	}
	if len(out) == 0 {
		return "without names"
	}
	return strings.Join(out, ", ")
}

// clean makes a header fit to be shown and kept: one line, no control or
// direction characters, not longer than a name may be.
func clean(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, name)
	runes := []rune(strings.Join(strings.Fields(name), " "))
	return string(runes[:min(len(runes), 60)])
}

// mapKey is a header as --map compares it.
func mapKey(name string) string { return strings.ToLower(clean(norm.NFC.String(name))) }

// plain is a header without anything but its letters and digits, so that
// "E-Mail-Adresse", "email_adresse" and "Email adresse" are one.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, strings.ToLower(norm.NFC.String(name)))
}
