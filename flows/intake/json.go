package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const notJSON = "not valid JSON"

// jsonSource reads JSON lines: one object per line, whose keys are columns.
type jsonSource struct {
	tape   *tape
	line   int // lines read so far
	head   *header
	places map[string]int // of the columns, by key
	values []string
}

func (s *jsonSource) close() error { return nil }

// openJSON takes the columns from the objects in the beginning of the file.
func (r *Reader) openJSON(t *tape, enc textEncoding, set settings) error {
	s := &jsonSource{tape: t, places: map[string]int{}}
	names, err := s.firstKeys()
	if err != nil {
		return err
	}
	if r.head, err = newHeader(names, set); err != nil {
		return err
	}
	for i, n := range names {
		s.places[n] = i
	}
	s.head = r.head
	r.src = s
	r.format = "JSON lines, " + enc.name
	return nil
}

// firstKeys collects the keys of the whole lines on the tape, in the order in
// which they turn up.
func (s *jsonSource) firstKeys() ([]string, error) {
	var names []string
	seen := map[string]bool{}
	text := s.tape.buf
	for len(text) > 0 && len(names) <= maxColumns {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			end = len(text) - 1
		}
		_ = eachMember(text[:end+1], func(key string, _ json.RawMessage) error { // faults are told when the line is read
			if !seen[key] {
				seen[key] = true
				names = append(names, key)
			}
			return nil
		})
		text = text[end+1:]
	}
	if len(names) == 0 {
		return nil, errors.New("the first line begins like a JSON object but is none: write one whole object per line (JSON lines)")
	}
	return names, nil
}

// eachMember calls f for the members of the object in line, in their order.
func eachMember(line []byte, f func(key string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New(notJSON)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return errors.New(notJSON)
		}
		key, _ := t.(string) // the decoder lets only strings be keys
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return errors.New(notJSON)
		}
		if err := f(key, value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New(notJSON)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New(notJSON)
	}
	return nil
}

// next implements source.
func (s *jsonSource) next() (record, error) {
	for {
		line, err := s.readLine()
		if errors.Is(err, errTooLong) {
			return record{line: s.line, problem: longLine}, nil
		}
		if err != nil {
			return record{}, readError(s.line, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return s.record(line), nil
		}
	}
}

// readLine takes a line off the tape. It is valid until the next call.
func (s *jsonSource) readLine() ([]byte, error) {
	t := s.tape
	t.seek(t.base + int64(t.next))
	for from := 0; ; {
		rest := t.buf[t.next:]
		if i := bytes.IndexByte(rest[from:], '\n'); i >= 0 {
			s.line++
			t.next += from + i + 1
			return rest[:from+i], nil
		}
		if from = len(rest); from > maxRecord {
			s.line++
			if _, err := t.skipLine(); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return nil, errTooLong
		}
		t.drop()
		if err := t.fill(); errors.Is(err, io.EOF) && from > 0 {
			s.line++
			t.next = len(t.buf)
			return t.buf[len(t.buf)-from:], nil
		} else if err != nil {
			return nil, err
		}
	}
}

// record puts an object's members in the order of the columns.
func (s *jsonSource) record(line []byte) record {
	if !utf8.Valid(line) {
		return record{line: s.line, problem: "not valid UTF-8"}
	}
	s.values = s.values[:0]
	err := eachMember(line, func(key string, value json.RawMessage) error {
		at, err := s.place(key)
		if err != nil {
			return err
		}
		for len(s.values) <= at {
			s.values = append(s.values, "")
		}
		if s.values[at] != "" {
			return errors.New("a key is written twice")
		}
		s.values[at], err = s.scalar(at, value)
		return err
	})
	if err != nil {
		return record{line: s.line, problem: err.Error()}
	}
	return record{line: s.line, values: s.values}
}

// place finds a key's column, and adds one for a key that is new.
func (s *jsonSource) place(key string) (int, error) {
	if at, ok := s.places[key]; ok {
		return at, nil
	}
	if len(s.head.columns) >= maxColumns {
		return 0, errors.New(tooWide)
	}
	field, weak := s.head.resolve(key)
	if _, twice := s.head.taken[field]; twice && weak {
		field = ""
	}
	if err := s.head.add(key, field); err != nil {
		return 0, fmt.Errorf("two keys hold the field %s", field)
	}
	s.places[key] = len(s.head.columns) - 1
	return s.places[key], nil
}

// scalar is a member's value as text. Lists and objects are kept, as JSON, in
// own fields only.
func (s *jsonSource) scalar(at int, value json.RawMessage) (string, error) {
	switch value[0] {
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return "", errors.New(notJSON)
		}
		return text, nil
	case 'n': // null
		return "", nil
	case '{', '[':
		if c := s.head.columns[at]; !c.Own && c.Field != Ignore {
			return "", fmt.Errorf("%s holds a list or an object instead of one value", c.Field)
		}
		var flat bytes.Buffer
		if err := json.Compact(&flat, value); err != nil {
			return "", errors.New(notJSON)
		}
		return flat.String(), nil
	}
	return string(value), nil
}
