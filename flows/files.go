package flows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// exportPrefix starts the name of every file in the exports directory; the
// SubscriberID follows it, so that an erasure finds a person's files.
const exportPrefix = "contact-"

// writeFile writes a whole file of mode 0600, or none: it appears under its
// name when it is complete and on disk.
func writeFile(path string, write func(io.Writer) error) (size int64, err error) {
	switch _, err := os.Lstat(path); {
	case err == nil: // whatever it is, a file, a link or a device, it isn't ours to replace
		return 0, refuse("%s is there already: name another file, or remove it first", path)
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	var of *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("there is no directory %s: make it first, or name another", filepath.Dir(path))
	case errors.As(err, &of): // nobody has heard of the name that it would have had until then
		return 0, fmt.Errorf("%s can't be written: %w", path, of.Err)
	case err != nil:
		return 0, err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err = errors.Join(write(f), f.Sync()); err != nil {
		f.Close()
		return 0, err
	}
	info, err := f.Stat()
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	if err = os.Link(f.Name(), path); err != nil { // unlike a rename it replaces nothing
		return 0, err
	}
	return info.Size(), os.Remove(f.Name())
}

// dropExports removes the exported files of some cards.
func (s *Service) dropExports(ids []int64) (int, error) {
	n := 0
	for _, id := range ids {
		files, err := filepath.Glob(filepath.Join(globSafe(s.cfg.Exports), fmt.Sprintf("%s%d-*", exportPrefix, id)))
		if err != nil {
			return n, fmt.Errorf("looking for exported files: %w", err)
		}
		for _, f := range files {
			if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return n, fmt.Errorf("removing an exported file: %w", err)
			}
			n++
		}
	}
	return n, nil
}

func globSafe(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// sweepExports removes exported files of cards that hold nothing any more:
// what an erasure that was killed, or a restored backup, may have left.
func (s *Service) sweepExports(ctx context.Context) error {
	entries, err := os.ReadDir(s.cfg.Exports)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the exports directory: %w", err)
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), exportPrefix)
		number, _, _ := strings.Cut(rest, "-")
		id, err := strconv.ParseInt(number, 10, 64)
		if !ours || err != nil {
			continue
		}
		there, err := s.store.Exists(ctx, id)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		// What was written of a tombstone since, for somebody who gave the
		// address, is there to be fetched, and not to stay.
		if c, err := s.store.Contact(ctx, id); err == nil && e.Type().IsRegular() && !evidenceRemoved(c) {
			if info, err := e.Info(); err == nil && info.ModTime().After(c.DeletedAt.Time()) && s.now().Sub(info.ModTime()) < bulkKept {
				continue
			}
		}
		if err := os.Remove(filepath.Join(s.cfg.Exports, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an exported file: %w", err)
		}
	}
	return nil
}
