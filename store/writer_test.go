package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"

	"kartotek/store/storetest"
)

// TestTransactionsThatShareACommit: many at once, of which some fail, panic or
// are broken off half way: what returned nil is kept, and nothing else is.
func TestTransactionsThatShareACommit(t *testing.T) {
	s := open(t, t.TempDir())
	refused := errors.New("refused")
	const n = 400
	outcome := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			defer func() {
				if p := recover(); p != nil {
					outcome[i] = fmt.Errorf("panicked: %v", p)
				}
			}()
			outcome[i] = s.InTx(ctx, func(tx *Tx) error {
				if err := tx.SetSetting(ctx, fmt.Sprint("s", i), "kept"); err != nil {
					return err
				}
				if err := tx.Enqueue(ctx, &Letter{Kind: "x", ToMasked: "x", DueAt: 1, CreatedAt: 1}, Envelope{}); err != nil {
					return err
				}
				switch i % 8 {
				case 3:
					return refused
				case 5:
					panic("at the disco")
				case 6:
					cancel()
				case 7:
					if i%16 == 7 { // in the middle of a statement that writes
						time.AfterFunc(time.Millisecond, cancel)
						_, err := tx.exec(ctx, `INSERT INTO notices (notice_id, body, created_at) SELECT x'00' || n, 'x', 1 FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000000) SELECT n FROM c) q`)
						return err
					}
				}
				return nil
			})
		})
		if i%32 == 0 {
			time.Sleep(time.Millisecond) // so that groups of every size come about
		}
	}
	wg.Wait()
	kept := int64(0)
	for i, err := range outcome {
		if err == nil {
			kept++
		}
		value, readErr := s.Setting(t.Context(), fmt.Sprint("s", i))
		if readErr != nil {
			t.Fatal(readErr)
		}
		if (value == "kept") != (err == nil) {
			t.Errorf("transaction %d returned %v, and %q is there", i, err, value)
		}
		if wants := map[int]bool{3: true, 5: true, 6: true}[i%8] || i%16 == 7; wants != (err != nil) {
			t.Errorf("transaction %d returned %v", i, err)
		}
	}
	letters, err := s.Letters(t.Context(), 0, n)
	counts, countErr := s.Counters(t.Context())
	if err := errors.Join(err, countErr); err != nil {
		t.Fatal(err)
	}
	if got := counts.OpenLetters(); int64(len(letters)) != kept || got != kept {
		t.Errorf("%d were kept, with %d letters, and %d are counted", kept, len(letters), got)
	}
}

// deafDisk is a log that can't be synced as long as it is deaf.
type deafDisk struct {
	encryptedFile
	deaf atomic.Bool
}

func (d *deafDisk) Sync(flags vfs.SyncFlag) error {
	if d.deaf.Load() {
		return errors.New("input/output error")
	}
	return d.encryptedFile.Sync(flags)
}

// TestDiskThatTakesNoCommit: what could not be brought onto the disk fails, and
// so does all that follows, until the log could be begun anew.
func TestDiskThatTakesNoCommit(t *testing.T) {
	dir := t.TempDir()
	storetest.Embedded(t)
	s := open(t, dir)
	set := func(name string) error {
		return s.InTx(t.Context(), func(tx *Tx) error { return tx.SetSetting(t.Context(), name, "kept") })
	}
	if err := set("before"); err != nil {
		t.Fatal(err)
	}
	w := s.engine.(*sqliteEngine).write
	log, err := w.log()
	if err != nil {
		t.Fatal(err)
	}
	disk := &deafDisk{encryptedFile: log.encryptedFile}
	log.encryptedFile = disk
	disk.deaf.Store(true)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := set(fmt.Sprint("lost", i)); !errors.Is(err, ErrDisk) {
				t.Errorf("the disk took nothing, and the commit returned %v", err)
			}
		})
	}
	wg.Wait()
	if err := set("lost too"); !errors.Is(err, ErrDisk) {
		t.Errorf("after a commit that is not on the disk another returned %v", err)
	}
	disk.deaf.Store(false)
	if err := set("after"); err != nil {
		t.Fatal(err)
	}
	if log.end > 3*walFrame+walHeader {
		t.Errorf("the log goes on after pages that may be missing, at %d", log.end)
	}
	again := open(t, dir)
	for _, name := range []string{"before", "after"} {
		if got, err := again.Setting(t.Context(), name); got != "kept" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// BenchmarkSmallTransactions is what durable transactions that come at once cost.
func BenchmarkSmallTransactions(b *testing.B) {
	p := storetest.At(b, b.TempDir())
	s, err := Open(b.Context(), Options{URL: p.URL, Keys: p.Keys, Files: p.Files, Migrate: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.InTx(b.Context(), func(tx *Tx) error {
				l := &Letter{Kind: "x", ToMasked: "x", DueAt: 1, CreatedAt: 1}
				return tx.Enqueue(b.Context(), l, Envelope{From: "a@b.dk", To: "c@d.dk", Data: make([]byte, 3000)})
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
