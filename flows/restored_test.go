package flows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kartotek/store"
	"kartotek/store/storetest"
)

// snapshot keeps the database of a place as a backup does, and returns what
// puts it back. The journal, which lies outside of it, stays as it is.
func snapshot(t *testing.T, p storetest.Place) (restore func()) {
	t.Helper()
	if storetest.Engine == storetest.MySQL {
		return storetest.Snapshot(t, p.URL)
	}
	path := strings.TrimPrefix(p.URL, "sqlite:")
	data, err := os.ReadFile(path) // nobody has it open
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		os.Remove(path + "-wal")
		os.Remove(path + "-shm")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// people imports n addresses and returns them.
func people(d *desk, from, n int) []string {
	d.t.Helper()
	var csv strings.Builder
	csv.WriteString("email,first_name\n")
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("p%d@example.com", from+i))
		fmt.Fprintln(&csv, out[i]+",Marie")
	}
	path := filepath.Join(d.t.TempDir(), "in.csv")
	if err := os.WriteFile(path, []byte(csv.String()), 0o600); err != nil {
		d.t.Fatal(err)
	}
	res, err := d.Import(d.t.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
	if d.must(err); res.Added != int64(n) {
		d.t.Fatalf("importing: %+v", res)
	}
	return out
}

// TestRestoredBackup erases a tenth of the people, restores a backup from
// before, and finds them erased before anything else can be read. The work is
// interrupted again and again, and goes on where it stopped.
func TestRestoredBackup(t *testing.T) {
	all, gone := 500, 50
	if os.Getenv("KARTOTEK_SOAK") != "" {
		all, gone = 10_000, 1_000
	}
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	addresses := people(d, 0, all)
	back := addresses[gone] // erased and back before the backup: stays
	erase := func(d *desk, address string) Erased {
		t.Helper()
		done, err := d.Erase(t.Context(), anna, address, "asked for it")
		d.must(err)
		return done
	}
	erase(d, back)
	came := d.comeBack(back)
	d.must(d.store.Close())
	restore := snapshot(t, p)

	d = deskOn(t, p)
	erased := map[string]int64{}
	for _, address := range addresses[:gone] {
		erased[address] = erase(d, address).SubscriberID
	}
	later := people(d, all, 10)
	erased[later[3]] = erase(d, later[3]).SubscriberID                       // nobody the backup knows
	erased["never@example.com"] = erase(d, "never@example.com").SubscriberID // nor anybody
	highest := erased["never@example.com"]
	d.must(d.store.Close())
	restore()

	for broken := 0; ; broken++ { // each start gets a little further
		s, err := store.Open(t.Context(), store.Options{URL: p.URL, Keys: p.Keys, Files: p.Files})
		d.must(err)
		if s.Behind() == nil {
			d.must(s.Close())
			if broken < 2 {
				t.Errorf("it was interrupted %d times", broken)
			}
			break
		}
		if _, err := s.Counters(t.Context()); !errors.Is(err, store.ErrBehind) {
			t.Errorf("the store tells before the erasures are done again: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err = New(s, Config{}).CatchUp(ctx, func(done, _ int) {
			if done >= 20 {
				cancel()
			}
		})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		d.must(s.Close())
	}
	d = deskOn(t, p)
	for address, id := range erased {
		c := d.newest(address)
		if c.SubscriberID != id || c.Permission != Deleted || len(c.Lists) > 0 || c.EmailMasked != nil {
			t.Fatalf("after the restore %s is %+v", address, c)
		}
	}
	if c := d.newest(back); c.SubscriberID != came || c.Permission != Confirmed {
		t.Errorf("who came back is %+v", c)
	}
	if c := d.newest(addresses[gone+1]); c.Permission != Confirmed {
		t.Errorf("who stayed is %+v", c)
	}
	d.check()
	people(d, all+100, 1)
	if c := d.newest(fmt.Sprintf("p%d@example.com", all+100)); c.SubscriberID <= highest {
		t.Errorf("a SubscriberID was given out twice: %d", c.SubscriberID)
	}
}

// comeBack brings an erased person back, by their own click, and returns the
// new SubscriberID.
func (d *desk) comeBack(address string) int64 {
	d.t.Helper()
	d.signUp(address, "news")
	d.confirmNewest()
	return d.newest(address).SubscriberID
}

// TestJournalLost refuses a store whose journal is missing, was cut or
// changed, and takes it as it is only when told to.
func TestJournalLost(t *testing.T) {
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	addresses := people(d, 0, 4)
	for _, a := range addresses[:3] {
		_, err := d.Erase(t.Context(), anna, a, "asked for it")
		d.must(err)
	}
	d.must(d.store.Close())
	files, err := filepath.Glob(filepath.Join(p.Files, "journal", "*", "*.erasures"))
	if err != nil || len(files) != 1 {
		t.Fatalf("journals: %v, %v", files, err)
	}
	whole := journalOf(t, files[0])
	open := func(anew bool) error {
		o := store.Options{URL: p.URL, Keys: p.Keys, Files: p.Files}
		if anew {
			o.NewJournal = func(ctx context.Context, s *store.Store) error { return New(s, Config{}).RenewingJournal(ctx, anna) }
		}
		s, err := store.Open(t.Context(), o)
		if err == nil {
			err = s.Close()
		}
		return err
	}
	changed := append([]byte{}, whole...)
	changed[len(changed)-100]++
	for what, data := range map[string][]byte{
		"missing": nil, "cut": whole[:len(whole)-128], "cut in the middle of a record": whole[:len(whole)-1],
		"empty": {}, "cut to its head": whole[:128], "changed": changed,
	} {
		d.must(os.Remove(files[0]))
		if data != nil {
			d.must(os.WriteFile(files[0], data, 0o600))
		}
		if err := open(false); !errors.Is(err, store.ErrJournal) || !strings.Contains(err.Error(), "kartotek journal new") {
			t.Errorf("%s: %v", what, err)
		}
		if data == nil {
			d.must(os.WriteFile(files[0], whole, 0o600))
		}
	}
	d.must(open(true))
	d.must(open(false))
	// What a crash left half written was never kept, and doesn't count.
	now, err := os.ReadFile(files[0])
	d.must(err)
	d.must(os.WriteFile(files[0], append(now, whole[:200]...), 0o600))
	d.must(open(false))
}

// TestJournalsOfMachines has two machines on one server: each one's journal is
// enough to erase again what the other has erased.
func TestJournalsOfMachines(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("machines share a server")
	}
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	addresses := people(d, 0, 10)
	d.must(d.store.Close())
	restore := snapshot(t, p)
	d = deskOn(t, p)
	_, err := d.Erase(t.Context(), anna, addresses[0], "asked for it")
	d.must(err)
	q := p
	q.Files = t.TempDir()
	e := deskOn(t, q)
	if words := e.store.Words(); len(words) != 1 || !strings.Contains(words[0], "had no erasure journal") {
		t.Errorf("a machine that is new to the store says %q", words)
	}
	for i, a := range addresses[1:6] {
		_, err := []*desk{d, e}[i%2].Erase(t.Context(), anna, a, "asked for it")
		d.must(err)
	}
	for range 2 { // the second time there is nothing to copy
		d.must(d.Tick(t.Context()))
		e.must(e.Tick(t.Context()))
	}
	size := func(p storetest.Place) int {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(p.Files, "journal", "*", "*.erasures"))
		if err != nil || len(files) != 1 {
			t.Fatalf("journals: %v, %v", files, err)
		}
		return len(journalOf(t, files[0]))
	}
	before := size(p) + size(q)
	d.must(d.Tick(t.Context()))
	e.must(e.Tick(t.Context()))
	if now := size(p) + size(q); now != before {
		t.Errorf("machines copy what they copied: %d bytes, then %d", before, now)
	}
	d.must(d.store.Close())
	e.must(e.store.Close())
	for _, place := range []storetest.Place{q, p} { // either is enough
		restore()
		d = deskOn(t, place)
		for i, a := range addresses {
			want := Confirmed
			if i < 6 {
				want = Deleted
			}
			if got := d.newest(a).Permission; got != want {
				t.Errorf("%s: %s, want %s", a, got, want)
			}
		}
		d.check()
		d.must(d.store.Close())
	}
}

// journalOf reads a journal without the room for more at its end.
func journalOf(t *testing.T, path string) []byte {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const record = 128
	for len(whole) > record && bytes.Equal(whole[len(whole)-record:], make([]byte, record)) {
		whole = whole[:len(whole)-record]
	}
	return whole
}

// untilWritten is a context that ends as soon as a file is not what it was.
type untilWritten struct {
	context.Context
	path string
	was  []byte
}

func (u untilWritten) Err() error {
	if is, err := os.ReadFile(u.path); err == nil && !bytes.Equal(is, u.was) {
		return context.Canceled
	}
	return u.Context.Err()
}

func whenWritten(t *testing.T, path string) untilWritten {
	t.Helper()
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return untilWritten{t.Context(), path, was}
}

// TestErasureBrokenOff breaks an erasure off between journal and commit: it did
// not come about, and is not done again. When the process dies there, whoever
// is open does it again before the next one.
func TestErasureBrokenOff(t *testing.T) {
	p := storetest.At(t, t.TempDir())
	d := deskOn(t, p)
	addresses := people(d, 0, 3)
	files, err := filepath.Glob(filepath.Join(p.Files, "journal", "*", "*.erasures"))
	if err != nil || len(files) != 1 {
		t.Fatalf("journals: %v, %v", files, err)
	}
	if _, err := d.Erase(whenWritten(t, files[0]), anna, addresses[0], "asked for it"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	d.must(d.Tick(t.Context()))
	if got := d.newest(addresses[0]).Permission; got != Confirmed {
		t.Errorf("an erasure that failed was done again: %s", got)
	}
	before := int64(len(journalOf(t, files[0])))
	if _, err := d.Erase(whenWritten(t, files[0]), anna, addresses[1], "asked for it"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	d.must(os.Truncate(files[0], before+128)) // as if it had died then: nothing takes the record back
	_, err = d.Erase(t.Context(), anna, addresses[2], "asked for it")
	d.must(err)
	for i, want := range []Permission{Confirmed, Deleted, Deleted} {
		if got := d.newest(addresses[i]).Permission; got != want {
			t.Errorf("%s is %s, want %s", addresses[i], got, want)
		}
	}
	d.check()
}
