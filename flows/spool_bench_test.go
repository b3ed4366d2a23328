package flows

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
	"kartotek/store/storetest"
)

// instant is a route that takes every letter at once.
type instant struct{}

func (instant) Name() string { return "instant" }
func (instant) Close() error { return nil }
func (instant) Deliver(_ context.Context, _ mta.Letter, mark func(mta.Verdict)) {
	mark(mta.Verdict{State: mta.Delivered, Code: 250, Enhanced: "2.0.0", Reply: "OK", At: time.Now(), Transcript: []string{"> MAIL FROM:<sender>", "< 250 OK"}})
}

// BenchmarkDrain is what a letter costs beside the network: from a full outbox,
// claimed and marked, with the evidence on its card, or for no card.
func BenchmarkDrain(b *testing.B) {
	for _, cards := range []bool{false, true} {
		b.Run(fmt.Sprintf("cards=%v", cards), func(b *testing.B) { drain(b, cards) })
	}
}

func drain(b *testing.B, cards bool) {
	dir := b.TempDir()
	p := storetest.At(b, dir)
	st, err := store.Open(b.Context(), store.Options{URL: p.URL, Keys: p.Keys, Files: p.Files, Migrate: true})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	s := New(st, Config{PublicURL: "http://127.0.0.1", Exports: dir, Reports: dir})
	if _, err := s.AddList(b.Context(), anna, "News"); err != nil {
		b.Fatal(err)
	}
	if cards {
		var file strings.Builder
		file.WriteString("email\n")
		for i := range b.N {
			fmt.Fprintf(&file, "p%d@example.com\n", i)
		}
		path := filepath.Join(dir, "in.csv")
		if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Import(b.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, nil); err != nil {
			b.Fatal(err)
		}
	}
	data := []byte("From: a@b.dk\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 42))
	for from := 0; from < b.N; from += 500 {
		if err := st.InTx(b.Context(), func(tx *store.Tx) error {
			for i := from; i < min(b.N, from+500); i++ {
				l := &store.Letter{Kind: "test", ToMasked: "p*@exam***.com", DueAt: 1, CreatedAt: 1}
				if cards {
					l.SubscriberID, l.ListID = int64(i+1), 1
				}
				if err := tx.Enqueue(b.Context(), l, store.Envelope{From: "a@b.dk", To: fmt.Sprintf("p%d@example.com", i), MessageID: "x@y", Data: data}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	b.ResetTimer()
	go func() {
		defer close(done)
		mta.NewSender(s.Spool(), instant{}, mta.WithLogger(slog.New(slog.DiscardHandler))).Run(ctx)
	}()
	for {
		c, err := st.Counters(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if c.OpenLetters() == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	b.StopTimer()
	stop()
	<-done
}
