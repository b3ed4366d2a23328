package store

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"kartotek/store/ledger"
)

// Keys are the two secrets of a store, read from its key file: the pepper,
// under which addresses are hashed and evidence is sealed, and the AEAD keyset
// under which personal data is sealed. Where another process has changed the
// key file, they are read again as soon as that shows.
type Keys struct {
	path string
	mu   sync.Mutex // held while the file is read again
	now  atomic.Pointer[secrets]

	looked atomic.Int64 // when the file was last looked at, in nanoseconds
	log    *ledger.Key  // set by Open
}

// secrets are a key file as it was read once.
type secrets struct {
	info    os.FileInfo
	peppers []*pepper // the oldest first
	handle  *keyset.Handle
	aead    tink.AEAD
	sealing uint32 // the id of the key that seals
	named   map[string][]byte

	nextPepper bool // there is one that isn't used yet

	created time.Time
	times   map[string]keyTimes // of the keyset's keys
}

// LoadKeys reads a key file. It refuses one that others can read.
func LoadKeys(path string) (*Keys, error) {
	now, err := readSecrets(path)
	if err != nil {
		return nil, err
	}
	k := &Keys{path: path}
	k.now.Store(now)
	return k, nil
}

func readSecrets(path string) (*secrets, error) {
	f, info, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	bad := fmt.Errorf("the key file %s is damaged: restore your copy of it", path)
	peppers := make([]*pepper, len(f.Peppers))
	for i, text := range f.Peppers {
		secret, err := hex.DecodeString(text)
		if err != nil || len(secret) != 32 {
			return nil, bad
		}
		if peppers[i], err = newPepper(secret); err != nil {
			return nil, err
		}
	}
	handle, err := f.handle()
	if err != nil {
		return nil, bad
	}
	sealer, err := aead.New(handle)
	if err != nil {
		return nil, bad
	}
	return &secrets{info: info, peppers: peppers, nextPepper: f.NextPepper != "", handle: handle, aead: sealer, sealing: handle.KeysetInfo().GetPrimaryKeyId(), named: f.Named, created: f.Created, times: f.Times}, nil
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
	f, err := newKeyFile()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	data, err := f.text()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if err := writeOnce(path, data); err != nil {
		return nil, fmt.Errorf("writing the key file: %w", err)
	}
	return LoadKeys(path)
}

// Path is where the key file lies.
func (k *Keys) Path() string { return k.path }

// Named is a further secret that the key file holds under a name; ErrNotFound
// when it holds none of that name.
func (k *Keys) Named(name string) ([]byte, error) {
	if secret, ok := k.now.Load().named[name]; ok {
		return slices.Clone(secret), nil
	}
	if err := k.reload(); err != nil { // another process may have added it
		return nil, err
	}
	if secret, ok := k.now.Load().named[name]; ok {
		return slices.Clone(secret), nil
	}
	return nil, ErrNotFound
}

// NamedOrNew is the secret that the key file holds under a name. Where there
// is none it keeps the one that fresh makes; of processes that do so at once,
// all get the same.
func (k *Keys) NamedOrNew(name string, fresh func() ([]byte, error)) ([]byte, error) {
	if secret, err := k.Named(name); err == nil || !errors.Is(err, ErrNotFound) {
		return secret, err
	}
	var kept []byte
	err := k.update(func(f *keyFile) (err error) {
		var there bool
		if kept, there = f.Named[name]; there {
			return nil
		}
		if kept, err = fresh(); err != nil {
			return err
		}
		if f.Named == nil {
			f.Named = map[string][]byte{}
		}
		f.Named[name] = kept
		return nil
	})
	return slices.Clone(kept), err
}

// SetNamed keeps a secret under a name in the key file, in the place of one
// that is there; with nil it removes that.
func (k *Keys) SetNamed(name string, secret []byte) error {
	return k.update(func(f *keyFile) error {
		if secret == nil {
			delete(f.Named, name)
			return nil
		}
		if f.Named == nil {
			f.Named = map[string][]byte{}
		}
		f.Named[name] = slices.Clone(secret)
		return nil
	})
}

// Names lists under which names the key file holds further secrets.
func (k *Keys) Names() []string { return slices.Sorted(maps.Keys(k.now.Load().named)) }

// update changes the key file and goes by it from then on.
func (k *Keys) update(fn func(*keyFile) error) error {
	if err := updateKeys(k.path, fn); err != nil {
		return err
	}
	return k.reload()
}

// reload reads the key file again if it is another than the one that was read.
func (k *Keys) reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.now.Load()
	info, err := os.Stat(k.path)
	if err != nil {
		return fmt.Errorf("reading the key file: %w", err)
	}
	if os.SameFile(info, old.info) && info.ModTime().Equal(old.info.ModTime()) && info.Size() == old.info.Size() {
		return nil
	}
	now, err := readSecrets(k.path)
	if err != nil {
		return err
	}
	if !slices.Equal(now.peppers[0].secret, old.peppers[0].secret) {
		return fmt.Errorf("the key file %s was replaced by another store's while this one was open", k.path)
	}
	k.now.Store(now)
	return nil
}

// lookEvery is how long a process may go on with a key that another one on
// this machine has retired.
const lookEvery = 200 * time.Millisecond

// fresh looks now and then whether the key file has changed.
func (k *Keys) fresh() (*secrets, error) {
	last, now := k.looked.Load(), time.Now().UnixNano()
	if now-last >= int64(lookEvery) && k.looked.CompareAndSwap(last, now) {
		if err := k.reload(); err != nil {
			return nil, err
		}
	}
	return k.now.Load(), nil
}

// keyIDOf is the id of the key that a value is sealed with: Tink writes a 1 and
// the id, four bytes, before it. 0 when it is none.
func keyIDOf(sealed []byte) uint32 {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0
	}
	return binary.BigEndian.Uint32(sealed[1:])
}

// has tells whether a keyset has a key.
func (s *secrets) has(id uint32) bool {
	for _, info := range s.handle.KeysetInfo().GetKeyInfo() {
		if info.GetKeyId() == id {
			return true
		}
	}
	return false
}

// decrypt opens a value. One that names a key which isn't known makes the key
// file be read again: another process may have rotated it.
func (k *Keys) decrypt(sealed, place []byte) ([]byte, error) {
	plain, err := k.now.Load().aead.Decrypt(sealed, place)
	if err == nil || k.now.Load().has(keyIDOf(sealed)) {
		return plain, err
	}
	if err := k.reload(); err != nil {
		return nil, err
	}
	return k.now.Load().aead.Decrypt(sealed, place)
}

// AddressKey is the keyed hash that an address or number is found by.
func (k *Keys) AddressKey(a Address) []byte { return k.underNewest(a.canonical) }

// LimitKey is the keyed hash under which an address's mails are counted: not
// the address key, so that the two can't be joined.
func (k *Keys) LimitKey(a Address) []byte { return k.underNewest("limit\x00" + a.canonical) }

func (k *Keys) underNewest(s string) []byte {
	peppers := k.now.Load().peppers
	return peppers[len(peppers)-1].mac(s)
}

// mac is the keyed hash of what belongs to the store itself, under its first
// pepper: that stays.
func (k *Keys) mac(s string) []byte { return k.now.Load().peppers[0].mac(s) }

// fileKey is the key of the encrypted database file.
func (k *Keys) fileKey() ([]byte, error) {
	return hkdf.Key(sha256.New, k.now.Load().peppers[0].secret, nil, "kartotek database file", 32)
}

// checkValue tells the key file of a store from others', without telling
// anything of it: an embedded store does without, since it doesn't open.
func (k *Keys) checkValue() string { return hex.EncodeToString(k.mac("key check\x00")) }

// logKeyName is what the key that signs the log is called in the key file.
const logKeyName = "log"

// openLog reads the key that signs the log. A key file from before there was a
// log gets one.
func (k *Keys) openLog() error {
	secret, err := k.NamedOrNew(logKeyName, func() ([]byte, error) {
		fresh, err := ledger.NewKey()
		return []byte(fresh), err
	})
	if err != nil {
		return err
	}
	k.log, err = ledger.ParseKey(string(secret))
	return err
}

// Log is the key that signs the log.
func (k *Keys) Log() *ledger.Key { return k.log }
