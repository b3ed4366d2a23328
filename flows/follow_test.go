package flows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/store"
)

// following is a feed under test.
type following struct {
	*desk
	dir      string
	arrivals chan Arrival
	stop     context.CancelFunc
	ended    chan error
}

const (
	settleSoon = 30 * time.Millisecond
	keptLong   = 30 * 24 * time.Hour
)

func follow(d *desk, dir string) *following {
	d.t.Helper()
	ctx, stop := context.WithCancel(d.t.Context())
	f := &following{desk: d, dir: dir, arrivals: make(chan Arrival, 100), stop: stop, ended: make(chan error, 1)}
	go func() {
		f.ended <- d.Follow(ctx, anna, dir, FollowOptions{ImportOptions: ImportOptions{List: "News", Confirmed: true}, Settle: settleSoon, Keep: keptLong}, func(a Arrival) { f.arrivals <- a })
	}()
	return f
}

// end stops the feed.
func (f *following) end() {
	f.t.Helper()
	f.stop()
	f.must(<-f.ended)
}

// put writes a file as an upload does that renames at its end.
func (f *following) put(name, content string) {
	f.t.Helper()
	hidden := filepath.Join(f.dir, "."+name)
	f.must(os.WriteFile(hidden, []byte(content), 0o600))
	f.must(os.Rename(hidden, filepath.Join(f.dir, name)))
}

// next is what became of the next file, in a few words.
func (f *following) next() string {
	f.t.Helper()
	a := f.arrival()
	said := a.File + " " + a.Outcome
	if a.Outcome == FeedTaken {
		said += fmt.Sprintf(" +%d =%d", a.Result.Added, a.Result.Unchanged)
	}
	return said
}

// arrival is the next file.
func (f *following) arrival() Arrival {
	f.t.Helper()
	select {
	case a := <-f.arrivals:
		return a
	case err := <-f.ended:
		f.t.Fatalf("the feed ended: %v", err)
	case <-time.After(patience):
		f.t.Fatal("nothing arrived")
	}
	return Arrival{}
}

func (f *following) files(sub string) []string {
	f.t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.dir, sub))
	f.must(err)
	var out []string
	for _, e := range entries {
		if !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// TestFollow takes what arrives, each content once, and goes on behind a file
// that can't be read.
func TestFollow(t *testing.T) {
	d, dir := newDesk(t), t.TempDir()
	d.must(os.WriteFile(filepath.Join(dir, "early.csv"), []byte("email\na@example.dk\n"), 0o600))
	f := follow(d, dir)
	for _, step := range []struct{ name, content, want string }{
		{"", "", "early.csv taken +1 =0"},
		{"b.csv", "email\nb@example.dk\na@example.dk\n", "b.csv taken +1 =1"},
		{"c.jsonl", `{"email":"c@example.dk"}` + "\n", "c.jsonl taken +1 =0"},
		{"bad.pdf", "%PDF-1.7", "bad.pdf refused"},
		{"again.csv", "email\nb@example.dk\na@example.dk\n", "again.csv taken before"},
		{"b.csv", "email\nd@example.dk\n", "b.csv taken +1 =0"},
		{"empty.csv", "", "empty.csv refused"},
	} {
		if step.name != "" {
			f.put(step.name, step.content)
		}
		if got := f.next(); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	f.end()
	if diff := cmp.Diff(map[string][]string{
		"":         nil,
		"/done":    {"again.csv", "b-2.csv", "b.csv", "c.jsonl", "early.csv"},
		"/refused": {"bad.pdf", "bad.pdf.why.txt", "empty.csv", "empty.csv.why.txt"},
	}, map[string][]string{"": f.files(""), "/done": f.files("done"), "/refused": f.files("refused")}); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	why, err := os.ReadFile(filepath.Join(dir, "refused", "bad.pdf.why.txt"))
	if d.must(err); !strings.Contains(string(why), "PDF") {
		t.Errorf("refused because %q", why)
	}
	d.check()
}

// TestFollowKeepsFilesForATime: what was taken or refused goes when it was kept
// long enough, counted from then, whenever it was written; nothing else does.
func TestFollowKeepsFilesForATime(t *testing.T) {
	d, dir := newDesk(t), t.TempDir()
	long := time.Now().Add(-keptLong - time.Minute)
	write := func(name string, at time.Time) {
		path := filepath.Join(dir, name)
		d.must(os.MkdirAll(filepath.Dir(path), 0o700))
		d.must(os.WriteFile(path, []byte("email\n"+filepath.Base(name)+"@example.dk\n"), 0o600))
		d.must(os.Chtimes(path, at, at))
	}
	for _, name := range []string{"done/a.csv", "done/kept/a.csv", "done/.hidden", "refused/b.pdf", "refused/b.pdf.why.txt"} {
		write(name, long)
	}
	for _, name := range []string{"done/new.csv", "refused/new.pdf"} {
		write(name, long.Add(time.Hour))
	}
	d.must(os.Symlink(filepath.Join(dir, "done", "new.csv"), filepath.Join(dir, "done", "link")))
	write("arrives.csv", long)
	f := follow(d, dir)
	got := map[string]string{}
	for range 5 {
		a := f.arrival()
		got[a.File] = a.Outcome
	}
	f.end()
	want := map[string]string{"arrives.csv": FeedTaken, "done/a.csv": FeedRemoved, "done/.hidden": FeedRemoved, "refused/b.pdf": FeedRemoved, "refused/b.pdf.why.txt": FeedRemoved}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	f = follow(d, dir) // what has just been taken stays
	f.put("last.csv", "email\nlast@example.dk\n")
	if got := f.next(); got != "last.csv taken +1 =0" {
		t.Error(got)
	}
	f.end()
	if diff := cmp.Diff([][]string{{"arrives.csv", "last.csv", "link", "new.csv"}, {"a.csv"}, {"new.pdf"}}, [][]string{f.files("done"), f.files("done/kept"), f.files("refused")}); diff != "" {
		t.Error(diff)
	}
}

// TestFollowLeavesUnfinishedFilesAlone: those that are being written, and those
// whose names say so.
func TestFollowLeavesUnfinishedFilesAlone(t *testing.T) {
	d, dir := newDesk(t), t.TempDir()
	half, err := os.Create(filepath.Join(dir, "half.csv"))
	d.must(err)
	defer half.Close()
	_, err = half.WriteString("email\na@example.dk\n")
	d.must(err)
	if !beingWritten(half.Name()) {
		if os.Getenv("CI") == "true" {
			t.Fatal("this file system gives no leases")
		}
		t.Skip("this file system gives no leases")
	}
	d.must(os.WriteFile(filepath.Join(dir, "up.csv.part"), []byte("email\nb@example.dk\n"), 0o600))
	f := follow(d, dir)
	f.put("whole.csv", "email\nc@example.dk\n")
	if got := f.next(); got != "whole.csv taken +1 =0" { // it came later, and settled like the other
		t.Error(got)
	}
	_, err = half.WriteString("e@example.dk\n")
	d.must(err)
	half.Close()
	if got := f.next(); got != "half.csv taken +2 =0" {
		t.Error(got)
	}
	f.end()
	if diff := cmp.Diff([]string{"up.csv.part"}, f.files("")); diff != "" {
		t.Error(diff)
	}
}

// TestFollowGoesOnAfterAnEnd ends a feed in the middle of a file: nothing is
// lost, and what was done comes out as unchanged.
func TestFollowGoesOnAfterAnEnd(t *testing.T) {
	d, dir := newDesk(t), t.TempDir()
	var csv strings.Builder
	csv.WriteString("email\n")
	const rows = 4 * importChunk
	for i := range rows {
		fmt.Fprintf(&csv, "p%d@example.dk\n", i)
	}
	path := filepath.Join(dir, "big.csv")
	d.must(os.WriteFile(path, []byte(csv.String()), 0o600))
	ctx, stop := context.WithCancel(t.Context())
	key, err := keyOfContent(path, ImportOptions{List: "News", Confirmed: true})
	d.must(err)
	_, err = d.Service.importFile(ctx, anna, path, ImportOptions{List: "News", Confirmed: true}, &feedFile{key: key, path: path}, func(ImportProgress) { stop() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	if _, taken, err := d.store.FileTaken(t.Context(), key); err != nil || taken {
		t.Fatalf("a file that was stopped is taken: %v, %v", taken, err)
	}
	f := follow(d, dir)
	a := f.arrival()
	if a.Outcome != FeedTaken || a.Result.Unchanged == 0 || a.Result.Added+a.Result.Unchanged != rows {
		t.Errorf("the rest: %+v, %+v", a, a.Result)
	}
	f.end()
	// Killed after the import and before the move, it is moved without being read.
	d.must(os.Rename(filepath.Join(dir, "done", "big.csv"), path))
	f = follow(d, dir)
	if got := f.next(); got != "big.csv taken before" {
		t.Error(got)
	}
	f.end()
	d.check()
}

// TestFollowTakesAChangedFileAgain: one that was changed while it was read.
func TestFollowTakesAChangedFileAgain(t *testing.T) {
	d, dir := newDesk(t), t.TempDir()
	path := filepath.Join(dir, "grows.csv")
	d.must(os.WriteFile(path, []byte("email\na@example.dk\n"), 0o600))
	of := &feedFile{key: []byte("before"), path: path, sight: sight{size: 5}}
	if _, err := d.Service.importFile(t.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, of, nil); !errors.Is(err, errChanged) {
		t.Errorf("a file that changed: %v", err)
	}
	if _, taken, err := d.store.FileTaken(t.Context(), of.key); err != nil || taken {
		t.Errorf("it is taken: %v, %v", taken, err)
	}
}

func TestFollowIsForSomeRolesOnly(t *testing.T) {
	d := newDesk(t)
	var refusal *Refusal
	err := d.Follow(t.Context(), Actor{Name: "bob", Role: Support}, t.TempDir(), FollowOptions{}, nil)
	if !errors.As(err, &refusal) {
		t.Error(err)
	}
}

// TestFollowOutlastsTheStore: a store that is away is waited for, and said once.
func TestFollowOutlastsTheStore(t *testing.T) {
	f := &feed{seen: map[string]sight{}}
	var told []Arrival
	f.tell = func(a Arrival) { told = append(told, a) }
	for range 3 {
		f.wait("a.csv", store.ErrAway)
	}
	if len(told) != 1 || told[0].Outcome != FeedWaits {
		t.Errorf("told %+v", told)
	}
}
