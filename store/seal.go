package store

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"kartotek/store/ledger"
)

// ErrSealed: sealed data does not open with this key, address or place.
var ErrSealed = errors.New("sealed data does not open: the key file is another store's, or the row was tampered with")

// The kinds of sealed values; each is bound to its table and row, so that no
// sealed value opens in another's place.
const (
	sealContact = "contact"
	sealToken   = "token"
	sealLetter  = "letter"
	sealMail    = "mail"
	sealProbe   = "probe"
	sealTalk    = "talk"
)

// room is where a value is written before it is sealed: an import seals three
// for each person.
type room [2048]byte

var rooms = sync.Pool{New: func() any { return new(room) }}

// place is the associated data of a sealed value.
func place(kind string, id int64) []byte {
	return binary.BigEndian.AppendUint64(append(append(make([]byte, 0, 32), kind...), 0), uint64(id))
}

func (k *Keys) seal(kind string, id int64, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return k.sealBytes(kind, id, plain)
}

func (k *Keys) sealBytes(kind string, id int64, plain []byte) ([]byte, error) {
	now, err := k.fresh()
	if err != nil {
		return nil, err
	}
	sealed, err := now.aead.Encrypt(plain, place(kind, id))
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return sealed, nil
}

func (k *Keys) open(kind string, id int64, sealed []byte, v any) error {
	plain, err := k.openBytes(kind, id, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return ErrSealed
	}
	return nil
}

func (k *Keys) openBytes(kind string, id int64, sealed []byte) ([]byte, error) {
	plain, err := k.decrypt(sealed, place(kind, id))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// EvidenceKey opens and seals the evidence of one address. It is derived from
// the pepper and the address, so neither the database nor the AEAD keyset
// opens a tombstone's evidence: somebody has to know the address.
type EvidenceKey struct {
	gcm     cipher.AEAD
	older   []cipher.AEAD // under the peppers before: they open what was sealed then
	address Address
}

// EvidenceKey derives the key: HKDF-SHA-256 (RFC 5869) over the newest pepper,
// with the canonical address as its info, and those over the older ones.
func (k *Keys) EvidenceKey(a Address) (EvidenceKey, error) {
	peppers := k.now.Load().peppers
	out := EvidenceKey{address: a}
	for i := len(peppers) - 1; i >= 0; i-- {
		gcm, err := evidenceCipher(peppers[i], a)
		if err != nil {
			return EvidenceKey{}, fmt.Errorf("deriving an evidence key: %w", err)
		}
		if out.gcm == nil {
			out.gcm = gcm
		} else {
			out.older = append(out.older, gcm)
		}
	}
	return out, nil
}

func evidenceCipher(p *pepper, a Address) (cipher.AEAD, error) {
	block, err := aes.NewCipher(p.evidenceKey(a))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// evidencePlace binds an act to its card, order, kind and time.
func evidencePlace(e *Evidence) []byte {
	b := append(make([]byte, 0, 64), "evidence\x00"...)
	for _, v := range []int64{e.SubscriberID, e.N, int64(e.Kind), int64(e.At)} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func (k EvidenceKey) seal(e *Evidence, room *room) []byte {
	plain := e.Act.json(append(room[:0], e.Salt[:]...))
	return k.gcm.Seal(make([]byte, 0, len(plain)+k.gcm.Overhead()), nil, plain, evidencePlace(e))
}

// Open fills e.Act and e.Salt; ErrSealed when the evidence is another address's.
func (k EvidenceKey) Open(e *Evidence) error {
	plain, err := k.gcm.Open(nil, nil, e.Sealed, evidencePlace(e))
	for i := 0; err != nil && i < len(k.older); i++ {
		plain, err = k.older[i].Open(nil, nil, e.Sealed, evidencePlace(e))
	}
	if err != nil || len(plain) < len(e.Salt) {
		return ErrSealed
	}
	e.Salt = ledger.Salt(plain[:len(e.Salt)])
	if err := json.Unmarshal(plain[len(e.Salt):], &e.Act); err != nil {
		return ErrSealed
	}
	return nil
}
