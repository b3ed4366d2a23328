package flows

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"kartotek/store"
)

// lookEvery is how often a followed directory is looked at besides when the
// system tells of a change: on some file systems it never does.
const lookEvery = 5 * time.Second

// The directories, in the one that is followed, that files are moved into.
const (
	feedDone    = "done"
	feedRefused = "refused"
	whySuffix   = ".why.txt" // of the reason beside a refused file
)

// FollowOptions say how files are taken that arrive in a directory.
type FollowOptions struct {
	ImportOptions
	// Settle is how long a file must stay as it is before it is taken.
	Settle time.Duration
	// Keep is how long a file stays that was taken or refused.
	Keep time.Duration
}

// The outcomes of an Arrival.
const (
	FeedTaken   = "taken"
	FeedBefore  = "taken before" // its content was, under this name or another
	FeedRefused = "refused"
	FeedWaits   = "waits"   // for the store, and is tried again
	FeedRemoved = "removed" // having been kept long enough
	FeedStays   = "stays"   // although it was kept long enough
)

// Arrival is what became of a file.
type Arrival struct {
	File    string        `json:"file"` // its name
	Outcome string        `json:"outcome"`
	Why     string        `json:"why,omitempty"`
	Result  *ImportResult `json:"result,omitempty"`
}

// Follow imports the files that arrive in a directory, each once, until ctx
// ends. Once is by content and list, and remembered in the store in the same
// transaction that ends the import, so that a feed that was killed anywhere
// goes on where it stood. A file is taken when nobody has changed it for a
// while and nobody has it open for writing; then it is moved into done, or into
// refused with the reason beside it when it can't be read, and removed from
// there when it was kept long enough. Hidden files and those whose names tell
// of an upload under way are left alone.
func (s *Service) Follow(ctx context.Context, a Actor, dir string, o FollowOptions, tell func(Arrival)) (err error) {
	defer func() { err = s.trace(ctx, a, doImport, 0, err) }()
	if err := s.allow(ctx, a, doImport); err != nil {
		return err
	}
	for _, d := range []string{feedDone, feedRefused} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return fmt.Errorf("making a directory in the one that is followed: %w", err)
		}
	}
	f := &feed{s: s, a: a, dir: dir, o: o, tell: tell, seen: map[string]sight{}}
	changes, stop := changesIn(dir)
	defer stop()
	for {
		unsettled, err := f.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = f.sweep()
		}
		if err != nil {
			return err
		}
		wait := lookEvery
		if unsettled {
			wait = min(wait, o.Settle)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		case <-time.After(wait):
		}
	}
}

// changesIn tells of changes in a directory, where the system does. Its end is
// up to who calls stop.
func changesIn(dir string) (changes <-chan struct{}, stop func()) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(dir); err != nil {
			_ = w.Close() // it watches nothing
		}
	}
	if err != nil {
		return nil, func() {}
	}
	some := make(chan struct{}, 1) // many at once are one
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var more bool
			select {
			case _, more = <-w.Events:
			case _, more = <-w.Errors: // a change may be missed: look
			}
			if !more {
				return
			}
			select {
			case some <- struct{}{}:
			default:
			}
		}
	}()
	return some, func() {
		_ = w.Close() // what it told of is no longer asked for
		<-done
	}
}

// feed is a directory that is followed.
type feed struct {
	s    *Service
	a    Actor
	dir  string
	o    FollowOptions
	tell func(Arrival)
	seen map[string]sight // by name

	swept time.Time // when it was last looked for files to remove
}

// sight is how a file looked, and since when.
type sight struct {
	size  int64
	mod   time.Time
	since time.Time
	done  bool // it could not be moved away: it is left alone until it changes
	told  bool // that it waits
}

// look takes what has settled, oldest first, and tells whether there is more
// that hasn't.
func (f *feed) look(ctx context.Context) (unsettled bool, err error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return false, fmt.Errorf("looking into the directory that is followed: %w", err)
	}
	now := time.Now()
	there := map[string]sight{}
	var ready []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || isUnfinished(e.Name()) {
			continue
		}
		old, known := f.seen[e.Name()]
		if !known || old.size != info.Size() || !old.mod.Equal(info.ModTime()) {
			old = sight{size: info.Size(), mod: info.ModTime(), since: now}
		}
		there[e.Name()] = old
		switch {
		case old.done:
		case now.Sub(old.since) < f.o.Settle:
			unsettled = true
		default:
			ready = append(ready, e.Name())
		}
	}
	f.seen = there // what is gone is forgotten
	slices.SortFunc(ready, func(a, b string) int {
		return cmp.Or(there[a].mod.Compare(there[b].mod), strings.Compare(a, b))
	})
	for _, name := range ready {
		if err := f.s.allow(ctx, f.a, doImport); err != nil {
			return false, err // out since the feed began
		}
		again, err := f.take(ctx, name)
		if err != nil || ctx.Err() != nil {
			return false, err
		}
		unsettled = unsettled || again
	}
	return unsettled, nil
}

// isUnfinished tells by a file's name that somebody is still at it.
func isUnfinished(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return true
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp":
		return true
	}
	return false
}

var (
	// errChanged: a file was changed while it was imported.
	errChanged = errors.New("the file changed while it was read: it is taken again when nobody changes it any more")
	// waitsFor are what a feed outlasts.
	waitsFor = []error{store.ErrAway, store.ErrBusy, store.ErrUnsure, store.ErrFull, store.ErrDisk}
)

// take imports a file and moves it away. It reports true when it is to be
// looked at again soon.
func (f *feed) take(ctx context.Context, name string) (again bool, err error) {
	path := filepath.Join(f.dir, name)
	if beingWritten(path) {
		f.unsettle(name)
		return true, nil
	}
	key, err := keyOfContent(path, f.o.ImportOptions)
	switch {
	case errors.Is(err, fs.ErrNotExist): // somebody took it away
		return false, nil
	case err != nil:
		f.away(name, feedRefused, Arrival{Outcome: FeedRefused, Why: err.Error()})
		return false, nil
	}
	at, before, err := f.s.store.FileTaken(ctx, key)
	if before {
		f.away(name, feedDone, Arrival{Outcome: FeedBefore, Why: "its content was taken on " + at.Time().Format("2006-01-02 15:04 UTC")})
		return false, nil
	}
	var res ImportResult
	if err == nil {
		res, err = f.s.importFile(ctx, f.a, path, f.o.ImportOptions, &feedFile{key: key, path: path, sight: f.seen[name]}, nil)
	}
	var unreadable *unreadableError
	switch {
	case err == nil:
		f.away(name, feedDone, Arrival{Outcome: FeedTaken, Result: &res})
	case ctx.Err() != nil:
	case errors.Is(err, errChanged):
		f.unsettle(name)
		return true, nil
	case errors.As(err, &unreadable):
		f.away(name, feedRefused, Arrival{Outcome: FeedRefused, Why: err.Error(), Result: &res})
	case slices.ContainsFunc(waitsFor, func(target error) bool { return errors.Is(err, target) }):
		f.wait(name, err)
	default:
		return false, err // of the options, or of the store for good
	}
	return false, nil
}

// unsettle lets a file begin to settle anew.
func (f *feed) unsettle(name string) {
	s := f.seen[name]
	s.since = time.Now()
	f.seen[name] = s
}

// wait tells once that a file waits for the store.
func (f *feed) wait(name string, err error) {
	s := f.seen[name]
	if !s.told {
		f.tell(Arrival{File: name, Outcome: FeedWaits, Why: err.Error()})
	}
	s.told = true
	f.seen[name] = s
}

// away moves a file into a directory, under a name that nothing has there, and
// tells of it.
func (f *feed) away(name, to string, a Arrival) {
	a.File = name
	target := filepath.Join(f.dir, to, name)
	for n := 2; ; n++ {
		if !there(target) && !there(target+whySuffix) {
			break
		}
		ext := filepath.Ext(name)
		target = filepath.Join(f.dir, to, fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext))
	}
	err := os.Rename(filepath.Join(f.dir, name), target)
	if err == nil {
		countFromNow(target)
	}
	if err == nil && to == feedRefused {
		// Whole or not at all, as somebody may be waiting for it.
		_, err = writeFile(target+whySuffix, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, a.Why)
			return err
		})
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.Why = strings.TrimPrefix(a.Why+"; it can't be moved away: "+err.Error(), "; ")
		s := f.seen[name]
		s.done = true
		f.seen[name] = s
	}
	f.tell(a)
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// feedFile is a file of a feed under way, as it looked before.
type feedFile struct {
	key  []byte
	path string
	sight
}

// unchanged tells whether the file is still what was hashed and imported.
func (f *feedFile) unchanged() error {
	info, err := os.Stat(f.path)
	if err != nil || info.Size() != f.size || !info.ModTime().Equal(f.mod) {
		return errChanged
	}
	return nil
}

// unreadableError is about the file, not about the store.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// keyOfContent names a file by all that is in it, and where it goes.
func keyOfContent(path string, o ImportOptions) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	defer file.Close()
	h := sha256.New()
	fmt.Fprintf(h, "feed\x00%s\x00%v\x00", listName(o.List), o.Confirmed)
	if _, err := io.Copy(h, file); err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	return h.Sum(nil), nil
}
