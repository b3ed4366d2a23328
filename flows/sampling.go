package flows

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"

	"kartotek/flows/sample"
	"kartotek/store"
)

// The lists that sample contacts stand on.
const (
	sampleList    = "News"
	sampleWaiting = 5  // sign-ups that wait for a click, with a mail each
	sampleLeaves  = 12 // one in so many has unsubscribed
)

// Sample loads n synthetic contacts with history, to try things on: most are
// confirmed, one in twelve has unsubscribed, and a few wait for their click.
func (s *Service) Sample(ctx context.Context, a Actor, n int, progress func(ImportProgress)) (_ ImportResult, err error) {
	defer func() { err = s.trace(ctx, a, doImport, 0, err) }()
	if err := s.allow(ctx, a, doImport); err != nil {
		return ImportResult{}, err
	}
	if err := s.roomForSample(ctx, n); err != nil {
		return ImportResult{}, err
	}
	var confirmed bytes.Buffer
	if err := sample.Write(&confirmed, n, 1, s.now()); err != nil {
		return ImportResult{}, fmt.Errorf("making sample contacts: %w", err)
	}
	rest, last := splitLines(confirmed.Bytes(), sampleWaiting)
	res, err := s.importBytes(ctx, a, rest, ImportOptions{List: sampleList, Confirmed: true}, progress)
	if err != nil {
		return res, err
	}
	if res.Added > 0 { // loaded before, the contacts have their activity
		if err := s.sampleActivity(ctx, a, rest, progress); err != nil {
			return res, err
		}
	}
	if err := s.sampleUnsubscribe(ctx, a, rest); err != nil {
		return res, err
	}
	waiting, err := s.importBytes(ctx, a, last, ImportOptions{List: sampleList}, nil)
	res.Read, res.Added = res.Read+waiting.Read, res.Added+waiting.Added
	res.Unchanged, res.Updated, res.Refused = res.Unchanged+waiting.Unchanged, res.Updated+waiting.Updated, res.Refused+waiting.Refused
	return res, err
}

// splitLines puts the last n lines apart from the others, both with the header.
func splitLines(csv []byte, n int) (rest, last []byte) {
	header := csv[:bytes.IndexByte(csv, '\n')+1]
	cut := len(csv)
	for ; n > 0 && cut > len(header); n-- {
		cut = bytes.LastIndexByte(csv[:cut-1], '\n') + 1
	}
	return csv[:cut], append(bytes.Clone(header), csv[cut:]...)
}

func (s *Service) importBytes(ctx context.Context, a Actor, csv []byte, o ImportOptions, progress func(ImportProgress)) (res ImportResult, err error) {
	err = withFile(csv, func(path string) error {
		res, err = s.Import(ctx, a, path, o, progress)
		return err
	})
	return res, err
}

// sampleActivity counts what the contacts did with their mail.
func (s *Service) sampleActivity(ctx context.Context, a Actor, contacts []byte, progress func(ImportProgress)) error {
	var activity bytes.Buffer
	if err := sample.WriteActivity(&activity, bytes.NewReader(contacts), 1, s.now()); err != nil {
		return fmt.Errorf("making sample contacts: %w", err)
	}
	return withFile(activity.Bytes(), func(path string) error {
		_, err := s.ImportActivity(ctx, a, path, ActivityOptions{}, progress)
		return err
	})
}

// withFile runs do on a file that is there only meanwhile.
func withFile(content []byte, do func(path string) error) error {
	dir, err := os.MkdirTemp("", "kartotek-sample-")
	if err != nil {
		return fmt.Errorf("making sample contacts: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sample.csv")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("making sample contacts: %w", err)
	}
	return do(path)
}

// sampleUnsubscribe takes one in twelve of the samples off the list, and nobody
// else: somebody may have imported people meanwhile.
func (s *Service) sampleUnsubscribe(ctx context.Context, a Actor, contacts []byte) error {
	rows, err := csv.NewReader(bytes.NewReader(contacts)).ReadAll()
	if err != nil {
		return fmt.Errorf("making sample contacts: %w", err)
	}
	for i := 1; i < len(rows); i += sampleLeaves {
		address, err := store.ParseAddress(rows[i][0])
		if err != nil {
			return fmt.Errorf("making sample contacts: %w", err)
		}
		err = s.store.InTx(ctx, func(tx *store.Tx) error {
			c, err := known(ctx, tx, address)
			if err != nil || c == nil || c.Permission != Confirmed {
				return err
			}
			_, err = s.leave(ctx, tx, c, 0, a, Client{})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// roomForSample refuses samples in a store that people are in already: only one
// whose load was broken off may hold some.
func (s *Service) roomForSample(ctx context.Context, n int) error {
	c, err := s.store.Counters(ctx)
	if err != nil {
		return err
	}
	for _, some := range c.ByPermission {
		n -= int(some)
	}
	if n < 0 {
		return refuse("only an empty store takes sample contacts")
	}
	return nil
}
