package flows

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kartotek/store"
)

// TestBrowsingDecryptsNothing takes the AEAD keyset away and leaves the
// pepper: browsing and searching go on as before, and no card opens.
func TestBrowsingDecryptsNothing(t *testing.T) {
	dir := t.TempDir()
	d := deskAt(t, dir)
	ctx := t.Context()
	_, err := d.AddList(ctx, anna, "News")
	d.must(err)
	d.bring("other@example.dk", Deleted)
	d.bring(marie, Confirmed)
	// The store knows its keyset by a probe, and refuses another: without one it
	// takes any.
	d.must(d.store.InTx(ctx, func(tx *store.Tx) error { return tx.SetSetting(ctx, "sealed_probe", "") }))
	d.must(d.store.Close())
	otherKeyset(t, filepath.Join(dir, "keys.json"))
	d = deskAt(t, dir)

	cards, err := d.Browse(ctx, anna, Page{})
	if d.must(err); len(cards.Cards) != 1 || *cards.Cards[0].EmailMasked != "mar**.******@example.dk" {
		t.Errorf("browsing: %+v", cards.Cards)
	}
	for _, q := range []string{marie, "other@example.dk"} {
		f, err := d.FindOpened(ctx, anna, q)
		if d.must(err); len(f.Cards) != 1 || *f.Cards[0].SignedUp.IP != click.IP {
			t.Errorf("searching: %+v", f.Cards)
		}
	}
	if _, err := d.Open(ctx, anna, cards.Cards[0].SubscriberID, nil); !errors.Is(err, store.ErrSealed) {
		t.Errorf("opening a card without its key: %v", err)
	}
}

// otherKeyset puts another AEAD keyset beside the pepper of a key file.
func otherKeyset(t *testing.T, path string) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "keys.json")
	if _, err := store.CreateKeys(other); err != nil {
		t.Fatal(err)
	}
	read := func(path string) (m map[string]json.RawMessage) {
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	keys := read(path)
	keys["keyset"] = read(other)["keyset"]
	b, err := json.Marshal(keys)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
