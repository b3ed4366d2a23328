package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/serdes"

	"kartotek/store/storetest"
)

// pages are all pages of the database, free ones included, decrypted.
func pages(t *testing.T, s *Store) []byte {
	t.Helper()
	key, err := s.Keys().fileKey()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite3.Open(dsn(s.engine.(*sqliteEngine).path, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Exec("PRAGMA hexkey='" + hex.EncodeToString(key) + "'"); err != nil {
		t.Fatal(err)
	}
	all, err := serdes.Serialize(db, "main")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// inChunks runs fn for each id, a hundred in a transaction.
func inChunks(t *testing.T, s *Store, ids []int64, fn func(tx *Tx, id int64) error) {
	t.Helper()
	for chunk := range slices.Chunk(ids, 100) {
		if err := s.InTx(t.Context(), func(tx *Tx) error {
			for _, id := range chunk {
				if err := fn(tx, id); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// crowd adds n contacts with an act of evidence each, and then lets half of
// them grow and gather another act, so that pages are split in their middle.
// It returns each one's sealed values.
func crowd(t *testing.T, s *Store, n int) map[int64][][]byte {
	t.Helper()
	ctx := t.Context()
	sealed := map[int64][][]byte{}
	rnd := rand.New(rand.NewPCG(1, 2))
	var ids, half []int64
	for i := range n {
		ids = append(ids, int64(i+1))
	}
	inChunks(t, s, ids, func(tx *Tx, id int64) error {
		c := &Contact{SubscriberID: id, Permission: Confirmed, LastSeenAt: Micros(rnd.Int64N(1 << 40))}
		p := Person{Email: fmt.Sprintf("p%d@example.com", id), Mobile: fmt.Sprintf("+45%08d", 20000000+id), FirstName: strings.Repeat("x", rnd.IntN(60))}
		if err := errors.Join(tx.Seal(c, p), addAct(ctx, tx, c, p, sealed), tx.AddContact(ctx, c)); err != nil {
			return err
		}
		sealed[id] = append(sealed[id], c.Sealed, c.MobileKey)
		return nil
	})
	for _, i := range rnd.Perm(n)[:n/2] {
		half = append(half, int64(i+1))
	}
	inChunks(t, s, half, func(tx *Tx, id int64) error {
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		p, err := tx.Open(c)
		if err != nil {
			return err
		}
		p.LastName = strings.Repeat("y", 50+rnd.IntN(400))
		c.LastSeenAt = Micros(rnd.Int64N(1 << 40))
		if err := errors.Join(tx.Seal(c, p), addAct(ctx, tx, c, p, sealed), tx.SaveContact(ctx, c)); err != nil {
			return err
		}
		sealed[id] = append(sealed[id], c.Sealed)
		return nil
	})
	return sealed
}

func addAct(ctx context.Context, tx *Tx, c *Contact, p Person, sealed map[int64][][]byte) error {
	key, err := tx.Keys().EvidenceKey(p.Address())
	if err != nil {
		return err
	}
	e := key.Prepare(c, SignedUp, 1, EvidenceAct{IP: "192.0.2.7", Note: strings.Repeat("n", int(c.SubscriberID%90))})
	sealed[c.SubscriberID] = append(sealed[c.SubscriberID], e.Sealed)
	return tx.InsertEvidence(ctx, e)
}

// TestWipesAreShared: of erasures in quick succession the first is wiped at
// once, and the others together, at the latest when the store is closed.
func TestWipesAreShared(t *testing.T) {
	storetest.Embedded(t)
	dir, ctx := t.TempDir(), t.Context()
	s, other := open(t, dir), open(t, dir) // which keeps the log from being removed
	logged := func() int64 {
		t.Helper()
		info, err := os.Stat(other.engine.(*sqliteEngine).path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	write := func(value string) {
		t.Helper()
		if err := s.InTx(ctx, func(tx *Tx) error { return tx.SetSetting(ctx, "wiped", value) }); err != nil {
			t.Fatal(err)
		}
		if wiped, err := s.WipeSoon(ctx, 10*time.Second); err != nil || !wiped {
			t.Fatalf("wiped: %v, %v", wiped, err)
		}
	}
	if write("once"); logged() != 0 {
		t.Error("the first was not wiped at once")
	}
	write("twice")
	write("three times")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := logged(); n != 0 {
		t.Errorf("%d bytes of the log are left after the store was closed", n)
	}
}

// TestErasedBytesAreGone: after an erasure and a wipe, no earlier image of the
// row is in the log or in any page, not even where a page was split.
func TestErasedBytesAreGone(t *testing.T) {
	storetest.Embedded(t)
	s := open(t, t.TempDir())
	ctx := t.Context()
	const n, erased = 3000, 300
	sealed := crowd(t, s, n)
	var gone []int64
	for id := int64(1); id <= n; id += n / erased {
		gone = append(gone, id)
	}
	inChunks(t, s, gone, func(tx *Tx, id int64) error {
		c, err := tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		*c = c.Tombstone(1)
		_, err = tx.KeepEvidence(ctx, id)
		return errors.Join(err, tx.SaveContact(ctx, c))
	})
	if wiped, err := s.Wipe(ctx, 10*time.Second); err != nil || !wiped {
		t.Fatalf("wiped: %v, %v", wiped, err)
	}
	if info, err := os.Stat(s.engine.(*sqliteEngine).path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("the write-ahead log is not empty: %v, %v", info, err)
	}
	all := pages(t, s)
	left := 0
	for _, id := range gone {
		for _, secret := range sealed[id] {
			if bytes.Contains(all, secret[len(secret)-24:]) {
				left++
			}
		}
	}
	if left > 0 {
		t.Errorf("%d sealed values of %d erased people are still in the pages", left, erased)
	}
	if !bytes.Contains(all, sealed[2][len(sealed[2])-1]) {
		t.Error("a living contact's sealed value should be there: is this looking at the right pages?")
	}
}

// TestWipedAfterAKill: whoever opens a store that was killed between an
// erasure and its wipe wipes the log.
func TestWipedAfterAKill(t *testing.T) {
	storetest.Embedded(t)
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	crowd(t, s, 3)
	if err := s.InErasure(ctx, func(tx *Tx) error {
		c, err := tx.Contact(ctx, 2)
		if err != nil {
			return err
		}
		*c = c.Tombstone(1)
		_, err = tx.KeepEvidence(ctx, c.SubscriberID)
		return errors.Join(err, tx.SaveContact(ctx, c))
	}); err != nil {
		t.Fatal(err)
	}
	logged := func(told bool) int64 {
		t.Helper()
		killed := t.TempDir() // as the process would leave it
		if err := errors.Join(os.CopyFS(killed, os.DirFS(dir)), os.Chmod(filepath.Join(killed, "keys.json"), 0o600)); err != nil {
			t.Fatal(err)
		}
		e := s.engine.(*sqliteEngine)
		for _, gone := range []string{e.path + "-shm", e.owedPath()} {
			if told && gone == e.owedPath() {
				continue
			}
			if err := os.Remove(filepath.Join(killed, filepath.Base(gone))); err != nil {
				t.Fatal(err)
			}
		}
		next := open(t, killed).engine.(*sqliteEngine)
		if next.owed() != nil {
			t.Error("a wipe is still owed")
		}
		info, err := os.Stat(next.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if logged(false) == 0 {
		t.Error("the log of the store that was killed is empty")
	}
	if n := logged(true); n != 0 {
		t.Errorf("%d bytes of the log are left after the store was opened", n)
	}
	if wiped, err := s.Wipe(ctx, 10*time.Second); err != nil || !wiped || s.engine.(*sqliteEngine).owed() != nil {
		t.Errorf("wiped: %v, %v, and a wipe is owed: %v", wiped, err, s.engine.(*sqliteEngine).owed())
	}
}
