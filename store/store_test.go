package store

import (
	"context"
	"os"
	"testing"

	"kartotek/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Both(m)) }

// open opens the store of a directory, on the engine that tests run on now.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	p := storetest.At(t, dir)
	s, err := Open(context.Background(), Options{URL: p.URL, Keys: p.Keys, Files: p.Files, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	if !a.NewKeys || b.NewKeys {
		t.Errorf("new keys: %v, %v", a.NewKeys, b.NewKeys)
	}
	ctx := context.Background()
	for _, s := range []*Store{a, b, a} {
		if err := s.InTx(ctx, func(tx *Tx) error {
			c := &Contact{Permission: Pending, Rating: Average, LastSeenAt: 1}
			var err error
			if c.SubscriberID, err = tx.NextIDs(ctx, "contacts", 1); err != nil {
				return err
			}
			if err := tx.Seal(c, Person{Email: "a" + string(rune('a'+c.SubscriberID)) + "@example.com"}); err != nil {
				return err
			}
			return tx.AddContact(ctx, c)
		}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := b.Counters(ctx)
	if err != nil || c.ByPermission[Pending] != 3 {
		t.Errorf("counters %v, %v", c, err)
	}
	got, err := b.Browse(ctx, BrowseQuery{FromEnd: false, From: Place{1 << 62, 1 << 62}, Limit: 10})
	if err != nil || len(got) != 3 || got[0].SubscriberID != 3 {
		t.Errorf("browse %v, %v", got, err)
	}
}
