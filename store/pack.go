package store

import (
	_ "embed" // the words of packing 1
	"sync"

	"github.com/klauspost/compress/s2"
)

// packed1 begins what is packed with the first dictionary. Letters that were
// sealed before there was packing begin with a zero.
const packed1 = 1

// words1 is the first dictionary: our letters in all languages. What was packed
// with it opens with nothing else, so it is never changed:
// another wording gets a dictionary and a number of its own, once it pays.
// TestDictionary in flows/letters writes it.
//
//go:embed words1.dict
var words1 []byte

var dictionary1 = sync.OnceValue(func() *s2.Dict { return s2.MakeDict(words1, nil) })

// pack makes plain smaller before it is sealed. Every byte of a letter is
// written twice at least and wiped once, and nearly all of them are our own
// wording.
func pack(plain []byte) []byte {
	out := make([]byte, 1+s2.MaxEncodedLen(len(plain)))
	out[0] = packed1
	return out[:1+len(dictionary1().Encode(out[1:], plain))]
}

// unpack is what pack was given.
func unpack(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != packed1 {
		return nil, ErrSealed
	}
	plain, err := dictionary1().Decode(nil, b[1:])
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
