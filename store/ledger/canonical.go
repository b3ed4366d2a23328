// Package ledger is the form of the tamper-evident log: what an act's record
// is, how it becomes a leaf, how leaves become a tree and how the tree is
// signed. docs/proof.md describes the same for others. It keeps nothing and
// knows no database: the store keeps what it makes, and an offline check of a
// proof needs this package alone.
//
// Start reading at Evidence and Audit (leaf.go), which make leaves.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// errCanonical: a value has no canonical form.
var errCanonical = errors.New("no canonical form")

// exact is the largest whole number that every JSON reader keeps exactly (RFC 8785).
const exact = 1<<53 - 1

// Canonical writes a value as RFC 8785 has it: no space, the names of an
// object sorted, strings as UTF-8 with the fewest escapes. Objects, lists,
// strings, booleans and whole numbers have such a form; names are of printable
// ASCII. It takes what encoding/json decodes with UseNumber.
func Canonical(v any) ([]byte, error) { return appendValue(nil, v) }

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		return appendObject(b, v)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendValue(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case string:
		return appendString(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil || n < -exact || n > exact || strconv.FormatInt(n, 10) != v.String() {
			return nil, fmt.Errorf("%w: the number %.40q is not a whole one", errCanonical, v.String())
		}
		return strconv.AppendInt(b, n, 10), nil
	}
	return nil, fmt.Errorf("%w: a value of the kind %T", errCanonical, v)
}

func appendObject(b []byte, m map[string]any) ([]byte, error) {
	names := make([]string, 0, len(m))
	for name := range m {
		for i := range len(name) {
			if name[i] < ' ' || name[i] > '~' {
				return nil, fmt.Errorf("%w: the name %.40q", errCanonical, name)
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		var err error
		if b, err = appendValue(b, m[name]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

const hexDigits = "0123456789abcdef"

// asIs are the bytes that stand in a string for themselves, whatever follows.
var asIs = func() (is [256]bool) {
	for c := ' '; c <= '~'; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

// appendString writes a string. A byte that is no UTF-8 becomes U+FFFD, as
// encoding/json has it too.
func appendString(b []byte, s string) []byte {
	plain := 0 // of most strings, all
	for plain < len(s) && asIs[s[plain]] {
		plain++
	}
	b = append(append(b, '"'), s[:plain]...)
	for _, r := range s[plain:] {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < ' ':
			b = append(b, `\u00`...)
			b = append(b, hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// Object writes a canonical object field by field: the fields must be added
// in the order of their names, which are of letters and underscores. Empty ones
// are left out.
type Object struct{ b []byte }

// ObjectIn writes an object into a buffer, as far as that has room.
func ObjectIn(buffer []byte) Object { return Object{buffer[:0:len(buffer)]} }

func (o *Object) name(name string) {
	sep := byte(',')
	if len(o.b) == 0 {
		sep = '{'
	}
	o.b = append(append(append(o.b, sep, '"'), name...), '"', ':')
}

// Text adds a string, unless it is empty.
func (o *Object) Text(name, value string) {
	if value != "" {
		o.name(name)
		o.b = appendString(o.b, value)
	}
}

// Int adds a whole number, unless it is 0.
func (o *Object) Int(name string, value int64) {
	if value != 0 {
		o.name(name)
		o.b = strconv.AppendInt(o.b, value, 10)
	}
}

// Ints adds a list of whole numbers, unless it is empty.
func (o *Object) Ints(name string, values []int64) {
	if len(values) == 0 {
		return
	}
	o.name(name)
	for i, v := range values {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		o.b = strconv.AppendInt(append(o.b, sep), v, 10)
	}
	o.b = append(o.b, ']')
}

// Object adds an object.
func (o *Object) Object(name string, value Object) {
	o.name(name)
	o.b = append(o.b, value.Bytes()...)
}

// List adds a list of objects, unless it is empty.
func (o *Object) List(name string, value List) {
	if len(value.b) > 0 {
		o.name(name)
		o.b = append(append(o.b, value.b...), ']')
	}
}

// Bytes ends the object. One without fields is "{}".
func (o *Object) Bytes() []byte {
	if len(o.b) == 0 {
		return []byte("{}")
	}
	return append(o.b, '}')
}

// List writes a list of objects.
type List struct{ b []byte }

// ListIn writes a list into a buffer, as far as that has room.
func ListIn(buffer []byte) List { return List{buffer[:0:len(buffer)]} }

// Add adds an object.
func (l *List) Add(value Object) {
	sep := byte(',')
	if len(l.b) == 0 {
		sep = '['
	}
	l.b = append(append(l.b, sep), value.Bytes()...)
}
