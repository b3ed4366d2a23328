package flows

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"kartotek/flows/intake"
	"kartotek/store"
)

// activityChunk is how many lines one transaction takes: it holds the store
// for some hundredths of a second.
const activityChunk = 1000

// ActivityOptions say how a file of activity is to be taken.
type ActivityOptions struct {
	Map     map[string]string // column = field
	Reports string            // directory for the report file; "" means beside the exports
}

// ActivityResult ends an import of activity. It counts lines of this run.
type ActivityResult struct {
	Read      int64  `json:"read"`
	Opens     int64  `json:"opens"`
	Clicks    int64  `json:"clicks"`
	Updates   int64  `json:"updates"`
	Unknown   int64  `json:"unknown"` // of these people nothing is counted, and nobody is made a contact
	Erased    int64  `json:"erased"`
	Frozen    int64  `json:"frozen"`
	Withdrawn int64  `json:"withdrawn"`
	Invalid   int64  `json:"invalid"`
	Report    string `json:"report"`
	Stopped   int64  `json:"stopped_at_line,omitempty"`                // every line before this one is counted
	Earlier   int64  `json:"earlier_run_stopped_after_line,omitempty"` // and was not read again
}

// Skipped is how many lines were not counted.
func (r ActivityResult) Skipped() int64 {
	return r.Unknown + r.Erased + r.Frozen + r.Withdrawn + r.Invalid
}

// ImportActivity counts what contacts did with their mail: a CSV, XLSX or JSON
// lines file with the columns email (or subscriber_id), kind (open, click,
// update) and at, and if there are any city, country and list. Nobody is made
// a contact by it. A line is counted once: an import that ended early goes on
// behind its last line when the same file is run again, and a file that was
// taken whole is refused. The same event in two files counts twice.
func (s *Service) ImportActivity(ctx context.Context, a Actor, path string, o ActivityOptions, progress func(ImportProgress)) (_ ActivityResult, err error) {
	defer func() { err = s.trace(ctx, a, doImport, 0, err) }()
	if err := s.allow(ctx, a, doImport); err != nil {
		return ActivityResult{}, err
	}
	r, err := intake.OpenActivity(path, intake.Options{Map: o.Map})
	if err != nil {
		return ActivityResult{}, err
	}
	defer r.Close()
	im := &activityImporter{s: s, in: r, progress: progress, started: store.At(s.now())}
	if err := im.prepare(ctx, path); err != nil {
		return ActivityResult{}, err
	}
	dir := cmp.Or(o.Reports, s.cfg.Reports)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return im.res, fmt.Errorf("making the reports directory: %w", err)
	}
	if im.report, err = newReport(dir, "activity-"+s.now().UTC().Format("20060102T150405")+"-*.csv"); err != nil {
		return im.res, err
	}
	im.res.Report = im.report.path
	err = cmp.Or(im.run(ctx), im.report.close())
	err = cmp.Or(err, im.end(context.WithoutCancel(ctx), a, err))
	switch {
	case err != nil && im.line == im.res.Earlier:
		return im.res, err
	case err != nil:
		im.res.Stopped = im.line + 1
		return im.res, fmt.Errorf("the import stopped at line %d; every line before it is counted, and the same file goes on from there when it is run again: %w", im.line+1, err)
	}
	return im.res, nil
}

// activityImporter is one import of activity under way.
type activityImporter struct {
	s        *Service
	in       *intake.Reader
	fileKey  []byte
	lists    map[string]int64
	started  store.Micros
	progress func(ImportProgress)
	report   *report
	res      ActivityResult
	line     int64 // the last one that is counted
}

// deed is a line on its way into the store.
type deed struct {
	line    int
	problem string // why it is invalid
	fate    string // why it is not counted; "" when it is
	key     []byte // of the address, where it was told by that
	address store.Address
	id      int64 // 0 for nobody
	kind    intake.EventKind
	at      store.Micros
	list    int64
	city    string
	country string
}

// prepare finds out whether the file was taken before, by all that is in it:
// a log that has grown since is another file.
func (im *activityImporter) prepare(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the file: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	h.Write([]byte("activity\x00"))
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("reading the file: %w", err)
	}
	im.fileKey = h.Sum(nil)
	started, line, whole, err := im.s.store.ActivityTaken(ctx, im.fileKey)
	if err != nil {
		return err
	}
	if whole {
		return refuse("the activity in %q was counted before, in the import of %s: nothing was counted again", filepath.Base(path), started.Time().Format("2006-01-02 15:04 UTC"))
	}
	im.line, im.res.Earlier = line, line
	lists, err := im.s.store.Lists(ctx)
	im.lists = make(map[string]int64, 2*len(lists))
	for _, l := range lists {
		im.lists[l.Slug] = l.ID
	}
	for _, l := range lists {
		im.lists[l.Name] = l.ID
	}
	return err
}

// run reads and looks up on one core while it counts on the other.
func (im *activityImporter) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan []*deed, 2)
	skip := im.line
	g.Go(func() error {
		defer close(chunks)
		for {
			deeds, readErr := im.read(skip)
			if err := im.lookUp(ctx, deeds); err != nil {
				return err
			}
			if len(deeds) > 0 {
				select {
				case chunks <- deeds:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if errors.Is(readErr, io.EOF) {
				return nil
			}
			if readErr != nil {
				return readErr
			}
		}
	})
	g.Go(func() error {
		for deeds := range chunks {
			if err := im.write(ctx, deeds); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// read reads a chunk of the lines behind skip.
func (im *activityImporter) read(skip int64) ([]*deed, error) {
	deeds := make([]*deed, 0, activityChunk)
	var row intake.Row
	for len(deeds) < activityChunk {
		if err := im.in.Next(&row); err != nil {
			return deeds, err
		}
		if int64(row.Line) > skip {
			deeds = append(deeds, im.deedOf(&row))
		}
	}
	return deeds, nil
}

// deedOf checks a line.
func (im *activityImporter) deedOf(row *intake.Row) *deed {
	d := &deed{
		line: row.Line, problem: row.Problem, id: row.SubscriberID, kind: row.Kind, at: store.At(row.At),
		city: place(row.City), country: place(row.Country),
	}
	listed := true
	if row.List != "" {
		d.list, listed = im.lists[row.List]
	}
	switch {
	case d.problem != "":
	case row.Email == "" && row.SubscriberID == 0:
		d.problem = "neither an address nor a SubscriberID"
	case d.kind == 0:
		d.problem = "the kind is none of open, click and update"
	case d.at == 0:
		d.problem = "the time is missing"
	case d.at > im.started:
		d.problem = "the time lies in the future"
	case !listed:
		d.problem = "no list is called that"
	case row.SubscriberID == 0:
		address, err := store.ParseAddress(row.Email)
		if err != nil {
			d.problem = "no full email address"
			break
		}
		d.address, d.key = address, im.s.store.Keys().AddressKey(address)
	}
	return d
}

// place makes the name of a place fit to be kept.
func place(name string) string {
	if name == "" {
		return ""
	}
	return oneLine(strings.Map(printable, name), 100)
}

// lookUp finds the cards of the addresses in a chunk.
func (im *activityImporter) lookUp(ctx context.Context, deeds []*deed) error {
	var keys [][]byte
	var addresses []store.Address
	for _, d := range deeds {
		if d.problem == "" && d.key != nil {
			keys, addresses = append(keys, d.key), append(addresses, d.address)
		}
	}
	if err := im.s.store.Rekey(ctx, addresses...); err != nil {
		return err
	}
	known, err := im.s.store.Known(ctx, keys)
	for _, d := range deeds {
		if d.key != nil {
			d.id = known[string(d.key)].ID
		}
	}
	return err
}

// write counts a chunk, in one transaction with how far the file is taken.
func (im *activityImporter) write(ctx context.Context, deeds []*deed) error {
	last := int64(deeds[len(deeds)-1].line)
	err := im.s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := im.advance(ctx, tx, last); err != nil {
			return err
		}
		return countDeeds(ctx, tx, deeds, store.At(im.s.now()))
	})
	if err != nil {
		return err
	}
	im.line = last
	im.res.Read += int64(len(deeds))
	for _, d := range deeds {
		im.tell(d)
		if d.fate == "" {
			continue
		}
		if err := im.report.csv.Write([]string{strconv.Itoa(d.line), d.fate, d.problem}); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	if im.progress != nil {
		done, total := im.in.Progress()
		im.progress(ImportProgress{Done: done, Total: total, Read: im.res.Read})
	}
	return nil
}

func (im *activityImporter) advance(ctx context.Context, tx *store.Tx, to int64) error {
	mine, err := tx.AdvanceActivity(ctx, im.fileKey, im.started, im.line, to)
	if err == nil && !mine {
		err = refuse("the same file is being imported by somebody else at this moment")
	}
	return err
}

// tell adds a deed to the result.
func (im *activityImporter) tell(d *deed) {
	of := map[string]*int64{
		fateUnknown: &im.res.Unknown, fateErased: &im.res.Erased, fateFrozen: &im.res.Frozen,
		fateWithdrawn: &im.res.Withdrawn, fateInvalid: &im.res.Invalid,
	}[d.fate]
	if of == nil {
		of = map[intake.EventKind]*int64{intake.Opened: &im.res.Opens, intake.Clicked: &im.res.Clicks, intake.Updated: &im.res.Updates}[d.kind]
	}
	*of++
}

// end notes that the file was taken whole, and writes the audit row.
func (im *activityImporter) end(ctx context.Context, a Actor, failed error) error {
	return im.s.store.InTx(ctx, func(tx *store.Tx) error {
		if failed == nil {
			if err := im.advance(ctx, tx, 0); err != nil {
				return err
			}
		}
		r := im.res
		why := fmt.Sprintf("read %d, opens %d, clicks %d, updates %d, unknown %d, erased %d, frozen %d, withdrawn %d, invalid %d",
			r.Read, r.Opens, r.Clicks, r.Updates, r.Unknown, r.Erased, r.Frozen, r.Withdrawn, r.Invalid)
		return audit(ctx, tx, a, store.At(im.s.now()), "import activity", 0, why)
	})
}
