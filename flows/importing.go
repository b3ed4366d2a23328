package flows

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"kartotek/flows/intake"
	"kartotek/store"
)

// importChunk is how many rows one transaction takes: it holds the store for
// some hundredths of a second, so others get their turn.
const importChunk = 500

// Import takes contacts from a CSV, XLSX or JSON lines file onto a list: as
// confirmed elsewhere, with the evidence of its columns, or as pending, with a
// confirmation mail to each. Erased and withdrawn addresses are refused, and
// listed in the report by line number only. An import that ends early can
// simply be run again: what is there comes out as unchanged.
func (s *Service) Import(ctx context.Context, a Actor, path string, o ImportOptions, progress func(ImportProgress)) (_ ImportResult, err error) {
	defer func() { err = s.trace(ctx, a, doImport, 0, err) }()
	if err := s.allow(ctx, a, doImport); err != nil {
		return ImportResult{}, err
	}
	return s.importFile(ctx, a, path, o, nil, progress)
}

// importFile imports a file; of says that it belongs to a feed.
func (s *Service) importFile(ctx context.Context, a Actor, path string, o ImportOptions, of *feedFile, progress func(ImportProgress)) (ImportResult, error) {
	o.List = listName(o.List)
	r, err := intake.Open(path, intake.Options{Map: o.Map})
	if err != nil {
		return ImportResult{}, &unreadableError{err}
	}
	defer r.Close()
	im := &importer{s: s, a: a, o: o, in: r, of: of, progress: progress, started: store.At(s.now()), early: map[int]*lot{}}
	im.res.DryRun = o.DryRun
	if im.fileKey, err = keyOfFile(path, o); err != nil {
		return im.res, err
	}
	if err := im.prepareList(ctx); err != nil {
		return im.res, err
	}
	if im.kinds, err = s.store.OwnKinds(ctx); err != nil {
		return im.res, err
	}
	if err := im.openReport(); err != nil {
		return im.res, err
	}
	err = cmp.Or(im.run(ctx), im.endLoad(context.WithoutCancel(ctx)), im.report.close()) // of a full disk, one word is enough
	if err == nil && of != nil {
		err = of.unchanged()
	}
	im.res.Report = im.report.path
	if !o.DryRun {
		err = cmp.Or(err, im.end(context.WithoutCancel(ctx), err))
	}
	switch {
	case err != nil && im.next == 0:
		return im.res, err
	case errors.Is(err, context.Canceled):
		im.res.Stopped = im.next
		return im.res, &interrupted{im.next}
	case err != nil:
		im.res.Stopped = im.next
		return im.res, fmt.Errorf("the import stopped at line %d; every line before it is done, and it can simply be run again: %w", im.next, err)
	}
	return im.res, nil
}

// interrupted is an import that was stopped on purpose.
type interrupted struct{ line int64 }

func (e *interrupted) Error() string {
	return fmt.Sprintf("the import was interrupted at line %d; every line before it is done, and it can simply be run again", e.line)
}

// Unwrap makes it a context.Canceled.
func (e *interrupted) Unwrap() error { return context.Canceled }

// errDryRun undoes a chunk that was done to see what it does.
var errDryRun = errors.New("dry run")

// importer is one import under way.
type importer struct {
	s        *Service
	a        Actor
	o        ImportOptions
	in       *intake.Reader
	of       *feedFile // nil: of no feed
	list     store.List
	fileKey  []byte
	started  store.Micros
	progress func(ImportProgress)
	report   *report
	kinds    []store.OwnKind // of own fields
	ids      idBlock
	load     importLoad
	seen     map[uint64]struct{} // of a dry run

	mu      sync.Mutex
	res     ImportResult
	next    int64 // the line that follows the last lot that is done, as all before it
	nextLot int
	early   map[int]*lot // done before one that comes before them
}

// keyOfFile names a file by its size, its beginning and where it goes.
func keyOfFile(path string, o ImportOptions) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%v\x00", o.List, o.Confirmed)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(info.Size())))
	if _, err := io.CopyN(h, f, 1<<16); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	return h.Sum(nil), nil
}

// prepareList finds the list, or makes it: who imports onto a list names it.
func (im *importer) prepareList(ctx context.Context) error {
	if _, line, err := im.s.store.ImportStopped(ctx, im.fileKey); err == nil {
		im.res.Earlier = line
	}
	l, err := findList(ctx, im.s.store, im.o.List)
	if err == nil {
		im.list = l
		return nil
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	im.res.NewList = true
	if im.o.DryRun {
		return nil
	}
	return im.s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		im.list, err = im.s.addList(ctx, tx, im.a, im.o.List)
		return err
	})
}

func (im *importer) openReport() error {
	dir := im.o.Reports
	if dir == "" {
		dir = im.s.cfg.Reports
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the reports directory: %w", err)
	}
	var err error
	im.report, err = newReport(dir, "import-"+im.s.now().UTC().Format("20060102T150405")+"-*.csv")
	return err
}

// run reads and seals on one core while it writes on the other.
func (im *importer) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan []*item)
	g.Go(func() error {
		defer close(chunks)
		return im.readAll(ctx, chunks)
	})
	g.Go(func() error { return im.writeAll(ctx, chunks) })
	return g.Wait()
}

func (im *importer) readAll(ctx context.Context, chunks chan<- []*item) error {
	for {
		items, readErr := im.readChunk()
		if len(items) > 0 {
			im.load.expect(im.in.Progress())
			if err := im.seal(ctx, items); err != nil {
				return err
			}
			select {
			case chunks <- items:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return &unreadableError{readErr}
		}
	}
}

func (im *importer) readChunk() ([]*item, error) {
	most := im.load.chunk()
	items, room := make([]*item, 0, most), make([]item, most)
	var row intake.Row
	for len(items) < most {
		if err := im.in.Next(&row); err != nil {
			return items, err
		}
		it := &room[len(items)]
		im.s.fill(it, &row)
		if it.problem == "" {
			it.problem = misfit(im.kinds, it.person.Own)
		}
		items = append(items, it)
	}
	return items, nil
}

// seal looks up who is known, and makes the rows of the others ready: what
// the transaction is left with is inserting them.
func (im *importer) seal(ctx context.Context, items []*item) error {
	if err := im.s.rekeyItems(ctx, items); err != nil {
		return err
	}
	if im.o.DryRun || !im.o.Confirmed {
		return nil
	}
	fresh, err := im.seemNew(ctx, items)
	if err != nil {
		return err
	}
	for i, it := range fresh {
		id, err := im.ids.take(ctx, im.s.store, len(fresh)-i)
		if err != nil {
			return err
		}
		if err := im.s.prepareNew(it, id, im.list, im.started, im.a); err != nil {
			return err
		}
	}
	return nil
}

// seemNew are the rows of a chunk whose addresses seem to be new, each once.
// They are known to be where they can be inserted.
func (im *importer) seemNew(ctx context.Context, items []*item) (fresh []*item, err error) {
	states := make(map[string]store.KnownState, len(items))
	if im.load.looks() {
		if states, err = im.s.store.Known(ctx, keysOf(items)); err != nil {
			return nil, err
		}
	}
	for _, it := range items {
		if it.problem != "" {
			continue
		}
		if _, there := states[string(it.key)]; !there {
			states[string(it.key)] = store.KnownState{} // the same address further down is known then
			fresh = append(fresh, it)
		}
	}
	if len(items) >= importChunk { // what is inserted in the order of the keys gets its ids in that order: all tables grow at their ends
		slices.SortFunc(fresh, byKey)
	}
	return fresh, nil
}

func byKey(a, b *item) int { return bytes.Compare(a.key, b.key) }

// rekeyItems moves addresses that are kept under an older pepper.
func (s *Service) rekeyItems(ctx context.Context, items []*item) error {
	var all []store.Address
	for _, it := range items {
		if it.problem == "" {
			all = append(all, it.address)
		}
	}
	return s.store.Rekey(ctx, all...)
}

func keysOf(items []*item) [][]byte {
	keys := make([][]byte, 0, len(items))
	for _, it := range items {
		if it.problem == "" {
			keys = append(keys, it.key)
		}
	}
	return keys
}

// tell tells how far the import is, and what it does when not reading rows.
func (im *importer) tell(step string) {
	if im.progress != nil {
		done, total := im.in.Progress()
		im.progress(ImportProgress{Done: done, Total: total, Read: im.res.Read, Step: step})
	}
}

// again marks the addresses that an earlier chunk of a dry run, undone since,
// would have added. Eight bytes of a keyed hash tell them apart well enough.
func (im *importer) again(items []*item) {
	if im.seen == nil {
		im.seen = map[uint64]struct{}{}
	}
	for _, it := range items {
		if it.problem == "" {
			_, it.again = im.seen[binary.BigEndian.Uint64(it.key)]
		}
	}
	for _, it := range items {
		if it.problem == "" {
			im.seen[binary.BigEndian.Uint64(it.key)] = struct{}{}
		}
	}
}

// end writes the audit row, and gives back the ids that were not needed.
func (im *importer) end(ctx context.Context, failed error) error {
	return im.s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := im.ids.giveBack(ctx, tx); err != nil {
			return err
		}
		if failed == nil {
			if err := tx.DropImport(ctx, im.fileKey); err != nil {
				return err
			}
		} else if im.next > 0 {
			if err := tx.SetImport(ctx, im.fileKey, im.started, im.next-1); err != nil {
				return err
			}
		}
		if failed == nil && im.of != nil {
			if err := tx.TakeFile(ctx, im.of.key, im.started); err != nil {
				return err
			}
		}
		why := fmt.Sprintf("list %d: read %d, added %d, updated %d, unchanged %d, refused %d, invalid %d", im.list.ID,
			im.res.Read, im.res.Added, im.res.Updated, im.res.Unchanged, im.res.Refused, im.res.Invalid)
		return audit(ctx, tx, im.a, store.At(im.s.now()), "import", 0, why)
	})
}

// idBlock hands out SubscriberIDs that were reserved together: as many as a
// chunk needs at first, and more when many are needed.
type idBlock struct {
	next, end int64
	size      int
}

// take takes an id, the first of as many as are needed now.
func (b *idBlock) take(ctx context.Context, s *store.Store, needed int) (int64, error) {
	if b.next == b.end {
		b.size = max(needed, min(2*b.size, 16*loadChunk))
		err := s.InTx(ctx, func(tx *store.Tx) (err error) {
			b.next, err = tx.NextIDs(ctx, "contacts", b.size)
			return err
		})
		if err != nil {
			return 0, err
		}
		b.end = b.next + int64(b.size)
	}
	b.next++
	return b.next - 1, nil
}

func (b *idBlock) giveBack(ctx context.Context, tx *store.Tx) error {
	if b.next == b.end {
		return nil
	}
	return tx.ReturnIDs(ctx, "contacts", b.next, b.end)
}
