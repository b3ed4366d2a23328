package store

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"sync"
)

// pepper is a secret that addresses are hashed under.
type pepper struct {
	secret   []byte
	macs     hashes // under the secret itself
	evidence hashes // under what HKDF extracts of it (RFC 5869, section 2.2)
}

func newPepper(secret []byte) (*pepper, error) {
	extracted, err := hkdf.Extract(sha256.New, secret, nil)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	return &pepper{secret: secret, macs: hashesUnder(secret), evidence: hashesUnder(extracted)}, nil
}

// mac is the keyed hash of a text, 32 bytes.
func (p *pepper) mac(s string) []byte { return p.macs.of(s) }

// evidenceKey is HKDF-SHA-256 over the pepper, with "evidence" and the address
// as its info: the first block of what it expands to, 32 bytes.
func (p *pepper) evidenceKey(a Address) []byte {
	return p.evidence.of("evidence\x00" + a.canonical + "\x01")
}

// hashes are HMAC-SHA-256 under one key. Each has taken the key in before, which
// for a short text is half the work.
type hashes struct{ pool *sync.Pool }

func hashesUnder(key []byte) hashes {
	return hashes{&sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (h hashes) of(s string) []byte {
	mac := h.pool.Get().(hash.Hash)
	defer h.pool.Put(mac)
	mac.Reset()
	mac.Write([]byte(s))
	return mac.Sum(nil)
}
