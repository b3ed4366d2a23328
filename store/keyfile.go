package store

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"kartotek/store/ledger"
)

// keyFile is the key file's JSON. Fields that this version doesn't know stay
// in it when it is changed.
type keyFile struct {
	Word    string            `json:"read_me"`
	Created time.Time         `json:"created"`
	Peppers []string          `json:"peppers"`         // hex; the first is the oldest
	Keyset  json.RawMessage   `json:"keyset"`          // Tink's JSON form of a keyset
	Named   map[string][]byte `json:"named,omitempty"` // further secrets by their names: see Keys.Named

	NextPepper string `json:"next_pepper,omitempty"` // added, and not used until every machine has it

	Times map[string]keyTimes `json:"sealing_keys,omitempty"` // of the keyset's keys, by their ids in hex

	others map[string]json.RawMessage // what this version doesn't know
}

const keyFileWord = "This file opens the Kartotek database. Keep a copy in a safe place, apart from the database's backups: without it everything is lost, with it everything can be read."

// ErrNoKeys: there is no key file at the path.
var ErrNoKeys = errors.New("there is no key file")

// readKeyFile reads and parses a key file. It refuses one that others can read.
func readKeyFile(path string) (keyFile, os.FileInfo, error) {
	var f keyFile
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil, fmt.Errorf("%w at %s", ErrNoKeys, path)
	}
	if err != nil {
		return f, nil, fmt.Errorf("reading the key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return f, nil, fmt.Errorf("%s is not a key file: give the right one with --keys", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f, nil, fmt.Errorf("the key file %s can be read by others: run chmod 600 on it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return f, nil, fmt.Errorf("reading the key file: %w", err)
	}
	if err := f.parse(data); err != nil || len(f.Peppers) == 0 {
		return f, nil, fmt.Errorf("%s is not a key file, or it is damaged: give the right one with --keys, or restore your copy of it", path)
	}
	return f, info, nil
}

// parse fills f; the fields by their tags, all others as they are.
func (f *keyFile) parse(data []byte) error {
	if err := json.Unmarshal(data, &f.others); err != nil {
		return err
	}
	type plain keyFile // without the others
	if err := json.Unmarshal(data, (*plain)(f)); err != nil {
		return err
	}
	for _, known := range []string{"read_me", "created", "peppers", "keyset", "named", "sealing_keys", "next_pepper"} {
		delete(f.others, known)
	}
	return nil
}

// text is the file as it is written: its own fields first.
func (f *keyFile) text() ([]byte, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	if len(f.others) > 0 {
		more, err := json.Marshal(f.others)
		if err != nil {
			return nil, err
		}
		data = append(append(data[:len(data)-1], ','), more[1:]...)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// updateKeys changes a key file. Of processes that do so at once each sees what
// the one before it wrote, and a crash leaves the file as it was or as it
// shall be: a lock file beside it is held from reading to writing, and the new
// file is synced before it takes the old one's place, mode and owner. What fn
// doesn't touch stays, also what this version doesn't know. Nothing is written
// when fn fails, or changes nothing.
func updateKeys(path string, fn func(*keyFile) error) error {
	path, err := filepath.EvalSymlinks(path) // the file changes, not what points at it
	if err != nil {
		return fmt.Errorf("changing the key file: %w", err)
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return fmt.Errorf("changing the key file: %w", err)
	}
	defer unlock()
	f, info, err := readKeyFile(path)
	if err != nil {
		return err
	}
	before, err := f.text()
	if err != nil {
		return fmt.Errorf("changing the key file: %w", err)
	}
	if err := fn(&f); err != nil {
		return err
	}
	after, err := f.text()
	if err == nil && !bytes.Equal(before, after) {
		err = replaceFile(path, after, info)
	}
	if err != nil {
		return fmt.Errorf("changing the key file: %w", err)
	}
	return nil
}

// lockFile waits for the lock of a path and holds it until unlock is called or
// the process ends. The lock's file stays: who removed it would unlock others.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil // closing gives the lock up
}

// tempFile writes a synced file, readable by its owner alone, beside path.
func tempFile(path string, data []byte) (name string, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", errors.Join(err, os.Remove(tmp.Name()))
	}
	return tmp.Name(), nil
}

// replaceFile puts a whole, synced file in the place of another, and keeps its
// mode and owner: the superuser must not take it from the user it belongs to.
func replaceFile(path string, data []byte, old os.FileInfo) error {
	tmp, err := tempFile(path, data)
	if err != nil {
		return err
	}
	err = os.Chmod(tmp, old.Mode().Perm())
	if st, ok := old.Sys().(*syscall.Stat_t); ok && err == nil && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		err = os.Chown(tmp, int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(path))
}

// writeOnce puts a whole, synced file at path unless one is there already.
func writeOnce(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := tempFile(path, data)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a directory's new names outlast a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// newKeyFile makes the two secrets.
func newKeyFile() (*keyFile, error) {
	pepper := make([]byte, 32)
	rand.Read(pepper)
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	log, err := ledger.NewKey()
	if err != nil {
		return nil, err
	}
	f := &keyFile{
		Word: keyFileWord, Created: time.Now().UTC().Truncate(time.Second), Peppers: []string{hex.EncodeToString(pepper)},
		Named: map[string][]byte{logKeyName: []byte(log)}, // copies of the file must hold the same one
	}
	return f, f.setKeyset(handle)
}

func (f *keyFile) handle() (*keyset.Handle, error) {
	return insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.Keyset)))
}

func (f *keyFile) setKeyset(handle *keyset.Handle) error {
	var set bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&set)); err != nil {
		return err
	}
	f.Keyset = set.Bytes()
	return nil
}
