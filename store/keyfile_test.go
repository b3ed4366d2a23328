package store

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"kartotek/store/storetest"
)

// addKey puts a new primary key into a key file, as a rotation does.
func addKey(f *keyFile) error {
	handle, err := f.handle()
	if err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	if err := m.SetPrimary(id); err != nil {
		return err
	}
	if handle, err = m.Handle(); err != nil {
		return err
	}
	return f.setKeyset(handle)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeyFileChanges(t *testing.T) {
	storetest.Embedded(t)
	dir := t.TempDir()
	path, link := filepath.Join(dir, "keys.json"), filepath.Join(dir, "link.json")
	k, err := CreateKeys(path)
	must(t, err)
	must(t, os.Symlink(path, link))
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte(strings.Replace(string(data), "{", `{"of_a_newer_version": {"a": [1, 2]},`, 1)), 0o600))

	// Many change it at once, some through the link; each keeps what the others wrote.
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			other, err := LoadKeys([]string{path, link}[i%2])
			if err == nil {
				_, err = other.NamedOrNew(fmt.Sprint("key ", i), func() ([]byte, error) { return []byte{byte(i)}, nil })
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 16 { // k reads what it doesn't know
		if got, err := k.Named(fmt.Sprint("key ", i)); err != nil || !cmp.Equal(got, []byte{byte(i)}) {
			t.Errorf("key %d: %v, %v", i, got, err)
		}
	}
	must(t, k.SetNamed("key 3", nil))
	if len(k.Names()) != 16 { // the log's is one of them
		t.Errorf("names: %v", k.Names())
	}
	info, err := os.Lstat(link)
	if must(t, err); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	info, err = os.Stat(path)
	if must(t, err); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	var fields map[string]json.RawMessage
	data, err = os.ReadFile(path)
	must(t, err)
	must(t, json.Unmarshal(data, &fields))
	var kept map[string][]int
	if must(t, json.Unmarshal(fields["of_a_newer_version"], &kept)); !cmp.Equal(kept, map[string][]int{"a": {1, 2}}) {
		t.Errorf("a field of a newer version: %s", fields["of_a_newer_version"])
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".keys-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestKeysOfAnother opens what was sealed with a key that another process has
// added since.
func TestKeysOfAnother(t *testing.T) {
	storetest.Embedded(t)
	path := filepath.Join(t.TempDir(), "keys.json")
	k, err := CreateKeys(path)
	must(t, err)
	old, err := k.sealBytes(sealContact, 7, []byte("old"))
	must(t, err)
	must(t, updateKeys(path, addKey))
	other, err := LoadKeys(path)
	must(t, err)
	sealed, err := other.sealBytes(sealContact, 7, []byte("new"))
	must(t, err)
	if keyIDOf(sealed) == keyIDOf(old) || keyIDOf(sealed) == 0 {
		t.Errorf("sealed with %x, before with %x", keyIDOf(sealed), keyIDOf(old))
	}
	for _, k := range []*Keys{k, other} {
		for want, sealed := range map[string][]byte{"new": sealed, "old": old} {
			if got, err := k.openBytes(sealContact, 7, sealed); err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		}
	}
	if _, err := k.openBytes(sealContact, 8, sealed); err == nil {
		t.Error("it opens in another place")
	}
}

// TestAnotherKeyset refuses a key file whose pepper is right and whose keyset isn't.
func TestAnotherKeyset(t *testing.T) {
	p := storetest.At(t, t.TempDir())
	made(t, options(p)).Close()
	other, err := newKeyFile()
	must(t, err)
	mine, _, err := readKeyFile(p.Keys)
	must(t, err)
	must(t, updateKeys(p.Keys, func(f *keyFile) error { f.Keyset = other.Keyset; return nil }))
	if why := refused(t, options(p)); !strings.Contains(why, "not the key that its data is sealed with") {
		t.Error(why)
	}
	must(t, updateKeys(p.Keys, func(f *keyFile) error { f.Keyset = mine.Keyset; return nil }))
	made(t, options(p))
}
