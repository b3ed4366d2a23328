package flows

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kartotek/flows/letters"
	"kartotek/mta"
	"kartotek/store"
	"kartotek/store/storetest"
)

// crashDir, in the environment, makes the test binary the process that is
// killed; crashStore is the store that it works on.
const (
	crashDir   = "KARTOTEK_TEST_CRASH_DIR"
	crashStore = "KARTOTEK_TEST_CRASH_STORE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		work := victim
		if relay := os.Getenv(crashRelay); relay != "" {
			work = func(ctx context.Context, dir string) error { return sendingVictim(ctx, dir, relay) }
		}
		if err := work(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(storetest.Both(m))
}

// victim does all acts at once, and tells of each before and after it, until
// it is killed.
func victim(ctx context.Context, dir string) error {
	st, err := store.Open(ctx, store.Options{URL: os.Getenv(crashStore), Keys: filepath.Join(dir, "keys.json"), Files: dir})
	if err != nil {
		return err
	}
	s := New(st, Config{PublicURL: "http://127.0.0.1:8425", From: letters.Sender{Address: "news@example.com"}})
	route, err := mta.NewCapture(s.Capture)
	if err != nil {
		return err
	}
	sender := mta.NewSender(s.Spool(), route, mta.WithLogger(slog.New(slog.DiscardHandler)))
	s.OnLetter(sender.Wake)
	go sender.Run(ctx)
	var mu sync.Mutex
	say := func(words ...any) {
		mu.Lock()
		fmt.Println(words...)
		mu.Unlock()
	}
	fail := make(chan error)
	go func() {
		_, err := s.Import(ctx, anna, filepath.Join(dir, "in.csv"), ImportOptions{List: "News", Confirmed: true}, nil)
		if err != nil {
			fail <- err
		}
		say("imported")
	}()
	for worker := range 3 {
		go func() {
			for n := 0; ; n++ {
				address := fmt.Sprintf("p%d.w%d.%d@example.com", os.Getpid(), worker, n)
				if err := life(ctx, s, address, say); err != nil {
					fail <- err
				}
			}
		}()
	}
	return <-fail
}

// life leads a new address through its states. Each address has one life: the
// limits would let a second sign-up within minutes change nothing.
func life(ctx context.Context, s *Service, address string, say func(...any)) error {
	if rand.IntN(3) == 0 {
		return comeBack(ctx, s, address, say)
	}
	say("begin", address)
	if err := s.SignUp(ctx, SignUp{Slug: "news", Address: address, Agreed: true, Client: click}); err != nil {
		return err
	}
	say("done", address, Pending)
	f, err := s.Find(ctx, anna, address)
	if err != nil {
		return err
	}
	if len(f.Cards) != 1 || f.Cards[0].Permission != Pending {
		return fmt.Errorf("signed up, and found as %+v", f.Cards)
	}
	id := f.Cards[0].SubscriberID
	if err := clickOn(ctx, s, address, store.Token{SubscriberID: id}, say); err != nil {
		return err
	}
	say("begin", address)
	if rand.IntN(2) == 0 {
		_, err = s.Unsubscribe(ctx, anna, id, "")
		say("done", address, Unsubscribed)
		return err
	}
	if _, err := s.Erase(ctx, anna, address, "asked for it"); err != nil {
		return err
	}
	say("done", address, Deleted)
	return nil
}

// comeBack blocks an address, lets staff ask for its return, and the person click.
func comeBack(ctx context.Context, s *Service, address string, say func(...any)) error {
	say("begin", address)
	erased, err := s.Erase(ctx, anna, address, "asked for it")
	if err != nil {
		return err
	}
	say("done", address, Deleted)
	say("begin", address)
	if _, err := s.Resubscribe(ctx, anna, Resubscription{Address: address, List: "News", Asked: "by telephone"}); err != nil {
		return err
	}
	say("done", address, Deleted)
	return clickOn(ctx, s, address, store.Token{SubscriberID: erased.SubscriberID, Data: store.TokenData{Address: address, Resubscribe: true}}, say)
}

// clickOn makes a link that confirms, as that in the letter does, and clicks on it.
func clickOn(ctx context.Context, s *Service, address string, t store.Token, say func(...any)) error {
	secret := store.NewToken()
	if err := s.store.InTx(ctx, func(tx *store.Tx) error {
		l, err := tx.ListByName(ctx, "news")
		if err != nil {
			return err
		}
		t.Purpose, t.ListID, t.CreatedAt, t.ExpiresAt = store.ForConfirm, l.ID, 1, store.At(time.Now().Add(time.Hour))
		return tx.AddToken(ctx, secret, t)
	}); err != nil {
		return err
	}
	say("begin", address)
	page, err := s.Confirm(ctx, secret, click)
	if err == nil && page.State != PageDone {
		err = fmt.Errorf("the link's page says %q", page.State)
	}
	if err != nil {
		return err
	}
	say("done", address, Confirmed)
	return nil
}

// once tells whether an act on a card was done twice: the audit has a row of
// each, written in its transaction.
func (d *desk) once(id int64) {
	d.t.Helper()
	ctx := d.t.Context()
	rows, err := d.store.Audit(ctx, store.AuditQuery{SubscriberID: id, Limit: 100})
	d.must(err)
	acts, err := d.store.EvidenceOf(ctx, id)
	d.must(err)
	var said []string
	twice, seen := false, map[string]bool{}
	for _, r := range rows {
		if r.Act == "search" || r.Act == "open" { // looking is no act on the card
			continue
		}
		twice = twice || seen[r.Act]
		seen[r.Act] = true
		said = append(said, fmt.Sprintf("%s %q by %s", r.At.Time().Format(time.TimeOnly), r.Act, r.Actor))
	}
	for _, e := range acts {
		kind := "evidence " + e.Kind.String()
		twice = twice || seen[kind]
		seen[kind] = true
		said = append(said, fmt.Sprintf("%s %s", e.At.Time().Format(time.TimeOnly), kind))
	}
	if twice {
		d.t.Errorf("an act on card %d was done twice:\n%s", id, strings.Join(said, "\n"))
	}
}

// acknowledged tells whether every address is in the state that it was last
// told to be in, and no act was done twice. Where there is none, the end came
// in the middle of an act: either is right.
func (d *desk) acknowledged(states map[string]string) {
	d.t.Helper()
	for address, want := range states {
		f, err := d.FindOpened(d.t.Context(), anna, address)
		d.must(err)
		got := "unknown"
		if len(f.Cards) > 0 {
			got = f.Cards[0].Permission.String()
		}
		if want != "" && got != want {
			d.t.Errorf("%s was acknowledged as %s, and is %s", address, want, got)
		}
		for _, c := range f.Cards {
			d.once(c.SubscriberID)
		}
	}
}

// TestKilledAtAnyMoment kills the process in the middle of everything, again
// and again on the same store: what it acknowledged is there, nothing is half
// done, no mail is lost, and the import can simply be run again.
func TestKilledAtAnyMoment(t *testing.T) {
	kills := 4
	if os.Getenv("KARTOTEK_SOAK") != "" {
		kills = 60
	}
	p := storetest.At(t, t.TempDir())
	killed(t, kills, 700*time.Millisecond, p, func(int) storetest.Place { return p })
}

// killed makes a store, kills as many processes that work on it as it is told
// to, each at the place that it is given and within some time, and looks after each.
func killed(t *testing.T, kills int, within time.Duration, p storetest.Place, place func(n int) storetest.Place) {
	t.Helper()
	const rows = 4000
	d := scene(t, p, rows)
	want := map[string]string{}
	for n := range kills {
		for address, state := range killOne(t, place(n), 50*time.Millisecond+rand.N(within)) {
			want[address] = state
		}
		d.acknowledged(want)
		d.check()
		checkMail(d)
	}
	t.Logf("%d kills, %d addresses", kills, len(want))
	d.time = time.Now()
	res, err := d.Import(t.Context(), anna, filepath.Join(p.Files, "in.csv"), ImportOptions{List: "News", Confirmed: true}, nil)
	if d.must(err); res.Read != rows || res.Added+res.Unchanged != rows {
		t.Errorf("the import run again: %+v", res)
	}
}

// scene makes a store with a list, and a file to import onto it.
func scene(t *testing.T, p storetest.Place, rows int) *desk {
	t.Helper()
	var csv strings.Builder
	csv.WriteString("email,first_name\n")
	for i := range rows {
		fmt.Fprintf(&csv, "import.%d@example.com,Marie\n", i)
	}
	csv.WriteString(strings.Repeat(",\n", 25*csv.Len())) // by its size, worth making indexes at its end
	if err := os.WriteFile(filepath.Join(p.Files, "in.csv"), []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	d := deskOn(t, p)
	if _, err := d.AddList(t.Context(), anna, "News"); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestProcessesSideBySide runs three busy processes on one file: none of them
// ever fails, and all that each acknowledged is there.
func TestProcessesSideBySide(t *testing.T) {
	p := storetest.At(t, t.TempDir())
	d := scene(t, p, 2000)
	all := make([]map[string]string, 3)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = killOne(t, p, 1500*time.Millisecond) })
	}
	wg.Wait()
	for _, states := range all {
		for address, state := range states {
			if got := d.newest(address).Permission.String(); state != "" && got != state {
				t.Errorf("%s was acknowledged as %s, and is %s", address, state, got)
			}
		}
	}
	d.check()
	checkMail(d)
}

// killOne runs the victim for a while, kills it, and returns the states that
// it acknowledged; "" for an address with an act under way.
func killOne(t *testing.T, p storetest.Place, after time.Duration) map[string]string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+p.Files, crashStore+"="+p.URL)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	states := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch words := strings.Fields(lines.Text()); words[0] {
		case "begin":
			states[words[1]] = ""
		case "done":
			states[words[1]] = words[2]
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Errorf("the process ended by itself: %v", err)
	}
	return states
}

// checkMail tells whether every letter is still to be sent or was captured.
func checkMail(d *desk) {
	d.t.Helper()
	letters, err := d.store.Letters(d.t.Context(), 0, 100_000)
	d.must(err)
	captured, err := d.store.CapturedMails(d.t.Context(), 0, 100_000)
	d.must(err)
	delivered := 0
	for _, l := range letters {
		switch l.State {
		case store.LetterDelivered:
			delivered++
		case store.LetterUrgent, store.LetterDue, store.LetterSending, store.LetterDeferred:
			if _, err := d.store.Envelope(d.t.Context(), l.ID); err != nil {
				d.t.Errorf("letter %d has no body: %v", l.ID, err)
			}
		default:
			d.t.Errorf("letter %d was refused: %s", l.ID, l.Reply)
		}
	}
	if len(captured) < delivered {
		d.t.Errorf("%d letters were delivered and %d captured", delivered, len(captured))
	}
}

// outlasts is how long a server may be away without any act failing for it; on
// a starved machine its start takes longer.
const outlasts = 20 * time.Second

// TestDatabaseKilled kills the database server in the middle of everything and
// brings it up again: no act fails for it, every acknowledged one is there
// once, and nothing is half done.
func TestDatabaseKilled(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database server")
	}
	kills := 2
	if os.Getenv("KARTOTEK_SOAK") != "" {
		kills = 30
	}
	server := storetest.StartFor(t)
	dir := t.TempDir()
	d := deskOn(t, storetest.Place{URL: storetest.On(t, server.Address), Keys: filepath.Join(dir, "keys.json"), Files: dir})
	_, err := d.AddList(t.Context(), anna, "News")
	d.must(err)
	var mu sync.Mutex
	states := map[string]string{}
	acts := 0
	var away []error // acts that gave up waiting for the server
	say := func(words ...any) {
		mu.Lock()
		defer mu.Unlock()
		switch words[0] {
		case "begin":
			states[fmt.Sprint(words[1])] = ""
		case "done":
			states[fmt.Sprint(words[1])] = fmt.Sprint(words[2])
			acts++
		}
	}
	done := func() int {
		mu.Lock()
		defer mu.Unlock()
		return acts
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for worker := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				err := life(t.Context(), d.Service, fmt.Sprintf("w%d.%d@example.com", worker, n), say)
				if errors.Is(err, store.ErrAway) {
					mu.Lock()
					away = append(away, err)
					mu.Unlock()
				} else if err != nil {
					t.Errorf("an act failed: %v", err)
					return
				}
			}
		})
	}
	longest := time.Duration(0)
	for range kills {
		for next := done() + 50; done() < next && !t.Failed(); time.Sleep(time.Millisecond) {
			continue
		}
		began := time.Now()
		storetest.Restart(t, server)
		longest = max(longest, time.Since(began))
	}
	close(stop)
	wg.Wait()
	if len(away) > 0 && longest < outlasts {
		t.Errorf("%d acts failed for a server that was away for %v: %v", len(away), longest, away[0])
	}
	d.acknowledged(states)
	d.check()
}
