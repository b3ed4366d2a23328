package store

import "encoding/binary"

// span is some ids in a row.
type span struct{ first, last int64 }

func (s span) size() int { return int(s.last-s.first) + 1 }

// spans are ids in their order.
type spans []span

// spansOf makes them of ids in their order.
func spansOf(ids []any) (out spans) {
	for _, v := range ids {
		id := v.(int64)
		if n := len(out); n > 0 && out[n-1].last == id-1 {
			out[n-1].last = id
			continue
		}
		out = append(out, span{id, id})
	}
	return out
}

func (s spans) size() (n int) {
	for _, x := range s {
		n += x.size()
	}
	return n
}

// ids are all of them, as arguments of a query.
func (s spans) ids() []any {
	out := make([]any, 0, s.size())
	for _, x := range s {
		for id := x.first; id <= x.last; id++ {
			out = append(out, id)
		}
	}
	return out
}

const (
	// maxLeased bounds what is read as one lease: a damaged one must not fill memory.
	maxLeased = 1 << 20
	// maxSpanID is beyond all ids that there are, and far from the end of numbers.
	maxSpanID = 1 << 61
)

// bytes are the spans as a row holds them: how far each begins behind the one
// before, and how long it is.
func (s spans) bytes() []byte {
	out, at := []byte{}, int64(0)
	for _, x := range s {
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(x.first-at)), uint64(x.size()))
		at = x.last
	}
	return out
}

// parseSpans reads them; [ErrDamaged] when they are none.
func parseSpans(text []byte) (out spans, err error) {
	at, all := int64(0), uint64(0)
	for len(text) > 0 {
		gap, n := binary.Uvarint(text)
		size, m := binary.Uvarint(text[max(n, 0):])
		if all += size; n <= 0 || m <= 0 || gap == 0 || gap > maxSpanID || size == 0 || size > maxLeased || all > maxLeased || at > maxSpanID {
			return nil, ErrDamaged
		}
		first := at + int64(gap)
		at = first + int64(size) - 1
		out, text = append(out, span{first, at}), text[n+m:]
	}
	return out, nil
}
