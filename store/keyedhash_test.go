package store

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// TestKeyedHashes compares them with what they are said to be, again and again:
// what has been hashed before leaves nothing.
func TestKeyedHashes(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, 32)
	p, err := newPepper(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"marie@example.dk", "", "marie@example.dk"} {
		want := hmac.New(sha256.New, secret)
		want.Write([]byte(text))
		if !bytes.Equal(p.mac(text), want.Sum(nil)) {
			t.Errorf("the keyed hash of %q is another", text)
		}
		key, err := hkdf.Key(sha256.New, secret, nil, "evidence\x00"+text, 32)
		if err != nil || !bytes.Equal(p.evidenceKey(Address{text}), key) {
			t.Errorf("the evidence key of %q is another: %v", text, err)
		}
	}
}
