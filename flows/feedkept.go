package flows

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// sweepEvery is how often a feed looks for files that have been kept long enough.
const sweepEvery = time.Hour

// countFromNow makes a file's time count from now, when it was put where it lies.
func countFromNow(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now) // of somebody else's file it counts from when it was written
}

// sweep removes the files, taken or refused, that have been kept long enough:
// an erasure doesn't reach into them (GDPR art. 5(1)(e)).
func (f *feed) sweep() error {
	if time.Since(f.swept) < sweepEvery {
		return nil
	}
	f.swept = time.Now()
	for _, sub := range []string{feedDone, feedRefused} {
		entries, err := os.ReadDir(filepath.Join(f.dir, sub))
		if err != nil {
			return fmt.Errorf("looking for files that were kept long enough: %w", err)
		}
		for _, e := range entries {
			f.sweepOne(sub, e)
		}
	}
	return nil
}

func (f *feed) sweepOne(sub string, e fs.DirEntry) {
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() || f.swept.Sub(info.ModTime()) < f.o.Keep {
		return
	}
	gone := Arrival{File: filepath.Join(sub, e.Name()), Outcome: FeedRemoved}
	if err := os.Remove(filepath.Join(f.dir, sub, e.Name())); err != nil {
		gone.Outcome, gone.Why = FeedStays, "it was kept long enough, and can't be removed: "+err.Error()
	}
	f.tell(gone)
}
