package flows

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kartotek/store/ledger"
)

// keepCheckpoint appends a checkpoint to the file beside the database, unless
// it stands last there, and syncs it: so a database that is rewritten, cut or
// put back is noticed.
func (s *Service) keepCheckpoint(note string) error {
	if err := s.appendCheckpoint(note); err != nil {
		return fmt.Errorf("keeping a checkpoint outside the database: %w", err)
	}
	return nil
}

func (s *Service) appendCheckpoint(note string) (err error) {
	if err := os.MkdirAll(filepath.Dir(s.cfg.Checkpoints), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(s.cfg.Checkpoints, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tail, err := tailOf(f)
	if err != nil {
		return err
	}
	verifier, err := ledger.Verifier(s.store.Keys().Log().Public())
	if err != nil {
		return err
	}
	next, err := ledger.OpenCheckpoint(note, verifier)
	if err != nil {
		return err
	}
	if notes, _ := ledger.SplitNotes([]byte(tail)); len(notes) > 0 {
		if last, err := ledger.OpenCheckpoint(notes[len(notes)-1], verifier); err == nil && last.Note == next.Note {
			return nil
		}
	}
	if tail != "" && !strings.HasSuffix(tail, "\n\n") {
		note = "\n\n\n" + note // an earlier one was cut off by a crash
	}
	if _, err := f.WriteString(note + "\n"); err != nil {
		return err
	}
	return f.Sync()
}

// tailSize holds the last few checkpoints of a file.
const tailSize = 4096

// tailOf reads the end of the file, from the beginning of a note on.
func tailOf(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	from := max(0, info.Size()-tailSize)
	b := make([]byte, info.Size()-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	tail := string(b)
	if from > 0 {
		if _, rest, ok := strings.Cut(tail, "=\n\n"); ok { // where a signature ends
			tail = rest
		}
	}
	return tail, nil
}

// checkpointsAtOnce is how many checkpoints are in memory at a time.
const checkpointsAtOnce = 1000

// keptCheckpoints reads all of the file, some checkpoints at a time: one is added
// every two seconds in which anything happens. cut counts those whose writing
// was cut off. No file is none.
func (s *Service) keptCheckpoints(take func(notes []string)) (cut int, err error) {
	f, err := os.Open(s.cfg.Checkpoints)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil {
		defer f.Close()
		var some []string
		cut, err = ledger.EachNote(f, func(note string) error {
			if some = append(some, note); len(some) == checkpointsAtOnce {
				take(some)
				some = some[:0]
			}
			return nil
		})
		take(some)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the checkpoints outside the database: %w", err)
	}
	return cut, nil
}
