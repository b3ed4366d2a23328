package store

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keys are the two secrets of a store, read from its key file: the pepper,
// under which addresses are hashed and evidence is sealed, and the AEAD keyset
// under which personal data is sealed.
type Keys struct {
	path   string
	pepper []byte
	aead   tink.AEAD
}

// keyFile is the key file's JSON.
type keyFile struct {
	Word    string          `json:"read_me"`
	Created time.Time       `json:"created"`
	Peppers []string        `json:"peppers"` // hex; the first is the oldest
	Keyset  json.RawMessage `json:"keyset"`  // Tink's JSON form of a keyset
}

const keyFileWord = "This file opens the Kartotek database. Keep a copy in a safe place, apart from the database's backups: without it everything is lost, with it everything can be read."

// ErrNoKeys: there is no key file at the path.
var ErrNoKeys = errors.New("there is no key file")

// LoadKeys reads a key file. It refuses one that others can read.
func LoadKeys(path string) (*Keys, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s", ErrNoKeys, path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a key file: give the right one with --keys", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s can be read by others: run chmod 600 on it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	var f keyFile
	if err := json.Unmarshal(data, &f); err != nil || len(f.Peppers) == 0 {
		return nil, fmt.Errorf("%s is not a key file, or it is damaged: give the right one with --keys, or restore your copy of it", path)
	}
	return f.open(path)
}

func (f keyFile) open(path string) (*Keys, error) {
	bad := fmt.Errorf("the key file %s is damaged: restore your copy of it", path)
	pepper, err := hex.DecodeString(f.Peppers[0])
	if err != nil || len(pepper) != 32 {
		return nil, bad
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.Keyset)))
	if err != nil {
		return nil, bad
	}
	sealer, err := aead.New(handle)
	if err != nil {
		return nil, bad
	}
	return &Keys{path: path, pepper: pepper, aead: sealer}, nil
}

// loadOrCreate loads the key file. Where there is none it makes one, unless
// the database at a place is there already.
func loadOrCreate(path string, there bool, place string) (*Keys, bool, error) {
	keys, err := LoadKeys(path)
	switch {
	case err == nil:
		return keys, false, nil
	case !errors.Is(err, ErrNoKeys):
		return nil, false, err
	case there:
		return nil, false, fmt.Errorf("there is a database at %s but no key file at %s: give the right one with --keys, or restore your copy of it", place, path)
	}
	keys, err = CreateKeys(path)
	return keys, err == nil, err
}

// CreateKeys writes a new key file with mode 0600 and reads it back. Where two
// processes start at once one of them wins, and both use its file.
func CreateKeys(path string) (*Keys, error) {
	pepper := make([]byte, 32)
	rand.Read(pepper)
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	var set bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&set)); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	data, err := json.MarshalIndent(keyFile{
		Word: keyFileWord, Created: time.Now().UTC().Truncate(time.Second),
		Peppers: []string{hex.EncodeToString(pepper)}, Keyset: set.Bytes(),
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if err := writeOnce(path, append(data, '\n')); err != nil {
		return nil, fmt.Errorf("writing the key file: %w", err)
	}
	return LoadKeys(path)
}

// writeOnce puts a whole, synced file at path unless one is there already.
func writeOnce(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Path is where the key file lies.
func (k *Keys) Path() string { return k.path }

// AddressKey is the keyed hash that an address or number is found by.
func (k *Keys) AddressKey(a Address) []byte { return k.mac(a.canonical) }

// LimitKey is the keyed hash under which an address's mails are counted: not
// the address key, so that the two can't be joined.
func (k *Keys) LimitKey(a Address) []byte { return k.mac("limit\x00" + a.canonical) }

func (k *Keys) mac(s string) []byte {
	h := hmac.New(sha256.New, k.pepper)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// fileKey is the key of the encrypted database file.
func (k *Keys) fileKey() ([]byte, error) {
	return hkdf.Key(sha256.New, k.pepper, nil, "kartotek database file", 32)
}

// checkValue tells the key file of a store from others', without telling
// anything of it: an embedded store does without, since it doesn't open.
func (k *Keys) checkValue() string { return hex.EncodeToString(k.mac("key check\x00")) }
