//go:build soak

package flows

import (
	"context"
	"fmt"
	"log/slog"
	"os"
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

// galeraWriters are as many machines, each with a node that it prefers.
const galeraWriters = 8

// galeraKills is how many processes are killed that work on a cluster.
const galeraKills = 60

// TestGaleraFaults lets eight machines work on a cluster of three nodes, of
// which one is killed, one cut off its peers and one off everybody, each to
// join again: no acknowledged act is lost, none is done twice, and whoever
// works through a surviving node goes on within ten seconds.
func TestGaleraFaults(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database cluster")
	}
	cluster := storetest.StartGalera(t)
	dir := t.TempDir()
	place := storetest.Place{URL: storetest.On(t, cluster.Address), Keys: filepath.Join(dir, "keys.json"), Files: dir}
	d := deskOn(t, place)
	d.time = time.Now()
	_, err := d.AddList(t.Context(), anna, "News")
	d.must(err)
	w := &workshop{t: t, dir: dir, states: map[string]Permission{}, open: map[string]bool{}, underWay: map[int]underWay{}, longest: make([]time.Duration, galeraWriters)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for i := range galeraWriters {
		w.machines = append(w.machines, machine(ctx, t, place, i, &wg))
	}
	for i := range galeraWriters {
		wg.Go(func() { w.work(ctx, i) })
	}
	phase := func(name string, long time.Duration, gone int, change ...string) {
		t.Helper()
		w.begin(cluster.Committed(t))
		if len(change) > 0 {
			cluster.Do(t, change...)
		}
		time.Sleep(long)
		w.tell(name, cluster.Committed(t), gone)
	}
	phase("before", 10*time.Second, 0)
	phase("node 1 killed", 15*time.Second, 1, "kill", "1")
	phase("node 1 joined again", 15*time.Second, 0, "heal", "1")
	phase("node 2 cut off its peers", 15*time.Second, 2, "cut", "2")
	phase("node 2 joined again", 15*time.Second, 0, "heal", "2")
	phase("node 3 cut off everybody", 15*time.Second, 3, "cut", "3", "all")
	phase("node 3 joined again", 15*time.Second, 0, "heal", "3")
	phase("after", 10*time.Second, 0)
	stop()
	wg.Wait()
	cluster.Same(t, place.URL, "contacts", "memberships", "evidence", "audit", "tokens", "counters")
	w.check(d)
}

// machine is a service on the cluster with a store of its own, and the mail
// sender with it. Each prefers another node.
func machine(ctx context.Context, t *testing.T, p storetest.Place, i int, senders *sync.WaitGroup) *Service {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{URL: preferring(p.URL, i), Keys: p.Keys, Files: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s := New(st, Config{PublicURL: "http://127.0.0.1:8425", From: letters.Sender{Address: "news@example.com"}})
	route, err := mta.NewCapture(s.Capture)
	if err != nil {
		t.Fatal(err)
	}
	sender := mta.NewSender(s.Spool(), route, mta.WithLogger(slog.New(slog.DiscardHandler)))
	s.OnLetter(sender.Wake)
	senders.Go(func() { sender.Run(ctx) })
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// preferring is the address of a cluster with its nodes in another order.
func preferring(url string, i int) string {
	before, rest, _ := strings.Cut(url, "@")
	hosts, database, _ := strings.Cut(rest, "/")
	all := strings.Split(hosts, ",")
	i %= len(all)
	return before + "@" + strings.Join(append(all[i:len(all):len(all)], all[:i]...), ",") + "/" + database
}

// TestGaleraClientsKilled kills processes that work on a cluster, each through
// another node: what they acknowledged is there on every node, once.
func TestGaleraClientsKilled(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database cluster")
	}
	cluster := storetest.StartGalera(t)
	dir := t.TempDir()
	p := storetest.Place{URL: storetest.On(t, cluster.Address), Keys: filepath.Join(dir, "keys.json"), Files: dir}
	killed(t, galeraKills, 3*time.Second, p, func(n int) storetest.Place {
		return storetest.Place{URL: preferring(p.URL, n), Keys: p.Keys, Files: p.Files}
	})
	cluster.Same(t, p.URL, "contacts", "memberships", "evidence", "audit", "tokens", "counters", "outbox", "mailbox")
}

// workshop is what the machines do, and what was acknowledged to them.
type workshop struct {
	t        *testing.T
	dir      string
	machines []*Service

	mu       sync.Mutex
	states   map[string]Permission
	acts     int
	began    time.Time       // the phase
	commits  int64           // how many there were then
	open     map[string]bool // an act was broken off by the end: it may be kept or not
	underWay map[int]underWay
	longest  []time.Duration // that an act through each machine took
}

// underWay is an act that a worker waits for.
type underWay struct {
	machine int
	since   time.Time
}

// through does an act through a machine, for worker i, and notes what was
// acknowledged by it; Unknown for an act that leaves the address as it is.
func (w *workshop) through(i, machine int, address string, p Permission, act func(*Service) error) error {
	machine %= len(w.machines)
	w.mu.Lock()
	start := time.Now()
	w.underWay[i] = underWay{machine, start}
	w.mu.Unlock()
	err := act(w.machines[machine])
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.underWay, i)
	w.longest[machine] = max(w.longest[machine], time.Since(start))
	switch {
	case err != nil:
		w.open[address] = true
	case p != Unknown:
		w.states[address] = p
		w.acts++
	}
	return err
}

func (w *workshop) begin(commits int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began, w.commits = time.Now(), commits
	clear(w.longest)
}

// tell prints how a phase went: how long the slowest act took through a machine
// that prefers a surviving node, and through one that prefers the node that is
// gone and has to notice that first.
func (w *workshop) tell(name string, commits int64, gone int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.underWay {
		w.longest[u.machine] = max(w.longest[u.machine], time.Since(u.since))
	}
	var surviving, other time.Duration
	for i, d := range w.longest {
		if i%3+1 == gone {
			other = max(other, d)
		} else {
			surviving = max(surviving, d)
		}
	}
	w.t.Logf("%-26s %6.1f commits a second; slowest act %s, through the node that is gone %s", name, float64(commits-w.commits)/time.Since(w.began).Seconds(), surviving.Round(time.Millisecond), other.Round(time.Millisecond))
	if surviving > 10*time.Second {
		w.t.Errorf("%s: an act through a surviving node took %s", name, surviving)
	}
}

// work leads one address after the other through its life.
func (w *workshop) work(ctx context.Context, i int) {
	for n := 0; ctx.Err() == nil; n++ {
		err := w.life(ctx, i, n)
		if err != nil && ctx.Err() == nil {
			w.t.Errorf("machine %d: %v", i, err)
			return
		}
	}
}

func (w *workshop) life(ctx context.Context, i, n int) error {
	if n%20 == 19 {
		return w.importing(ctx, i, n)
	}
	address := fmt.Sprintf("w%d.%d@example.com", i, n)
	if err := w.through(i, i, address, Pending, func(s *Service) error {
		return s.SignUp(ctx, SignUp{Slug: "news", Address: address, Agreed: true, Client: click})
	}); err != nil {
		return fmt.Errorf("signing up: %w", err)
	}
	var id int64
	if err := w.through(i, i+1, address, Unknown, func(other *Service) error { // through another node
		f, err := other.Find(ctx, anna, address)
		if err == nil && (len(f.Cards) != 1 || f.Cards[0].Permission != Pending) {
			err = fmt.Errorf("signed up, and found on another node as %+v", f.Cards)
		}
		if err == nil {
			id = f.Cards[0].SubscriberID
		}
		return err
	}); err != nil {
		return fmt.Errorf("finding: %w", err)
	}
	if err := w.click(ctx, i, address, store.Token{SubscriberID: id}); err != nil {
		return fmt.Errorf("confirming: %w", err)
	}
	if n%2 == 0 {
		return w.through(i, i, address, Unsubscribed, func(s *Service) error {
			_, err := s.Unsubscribe(ctx, anna, id, "")
			return err
		})
	}
	if err := w.through(i, i+1, address, Deleted, func(other *Service) error {
		done, err := other.Erase(ctx, anna, address, "asked for it")
		if err == nil && (done.SubscriberID != id || done.Before) {
			err = fmt.Errorf("card %d was erased as %+v", id, done)
		}
		return err
	}); err != nil || n%4 == 1 {
		return err
	}
	return w.click(ctx, i, address, store.Token{SubscriberID: id, Data: store.TokenData{Address: address, Resubscribe: true}})
}

// click makes a link and follows it.
func (w *workshop) click(ctx context.Context, i int, address string, t store.Token) error {
	secret := store.NewToken()
	t.Purpose, t.ListID, t.CreatedAt, t.ExpiresAt = store.ForConfirm, 1, store.At(time.Now()), store.At(time.Now().Add(time.Hour))
	return w.through(i, i, address, Confirmed, func(s *Service) error {
		if err := s.store.InTx(ctx, func(tx *store.Tx) error { return tx.AddToken(ctx, secret, t) }); err != nil {
			return err
		}
		page, err := s.Confirm(ctx, secret, click)
		if err == nil && page.State != PageDone {
			err = fmt.Errorf("the link's page says %q", page.State)
		}
		return err
	})
}

// importing imports a small file.
func (w *workshop) importing(ctx context.Context, i, n int) error {
	const rows = 50
	path := filepath.Join(w.dir, fmt.Sprintf("w%d.%d.csv", i, n))
	var csv strings.Builder
	csv.WriteString("email\n")
	for k := range rows {
		fmt.Fprintf(&csv, "i%d.%d.%d@example.com\n", i, n, k)
	}
	if err := os.WriteFile(path, []byte(csv.String()), 0o600); err != nil {
		return err
	}
	if err := w.through(i, i, fmt.Sprintf("i%d.%d.0@example.com", i, n), Confirmed, func(s *Service) error {
		res, err := s.Import(ctx, anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
		if err == nil && res.Added != rows {
			err = fmt.Errorf("an import of %d new rows: %+v", rows, res)
		}
		return err
	}); err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range rows {
		w.states[fmt.Sprintf("i%d.%d.%d@example.com", i, n, k)] = Confirmed
	}
	return nil
}

// check tells whether all that was acknowledged is there, once.
func (w *workshop) check(d *desk) {
	d.t.Helper()
	ctx := d.t.Context()
	for address, want := range w.states {
		f, err := d.FindOpened(ctx, anna, address)
		d.must(err)
		if len(f.Cards) == 0 {
			d.t.Errorf("%s was acknowledged as %s, and is gone", address, want)
			continue
		}
		if got := f.Cards[0].Permission; got != want && !w.open[address] {
			d.t.Errorf("%s was acknowledged as %s, and is %s", address, want, got)
		}
		for _, c := range f.Cards {
			d.once(c.SubscriberID)
		}
	}
	d.t.Logf("%d acts on %d addresses", w.acts, len(w.states))
	d.check()
}
