package flows

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sync/errgroup"

	"kartotek/store"
)

// writesAtOnce is how many transactions of an import a server has under way:
// one alone leaves cores and the disk idle by turns.
const writesAtOnce = 2

// lot is the rows of one transaction.
type lot struct {
	n     int // in the order of the file
	items []*item
	keys  map[uint64]struct{} // beginnings of the address keys
	tally tally
	tries int
	done  chan struct{} // closed when it is written, or isn't
}

func newLot(n int, items []*item) *lot {
	l := &lot{n: n, items: items, keys: make(map[uint64]struct{}, len(items)), done: make(chan struct{})}
	for _, it := range items {
		if it.problem == "" {
			l.keys[binary.BigEndian.Uint64(it.key)] = struct{}{}
		}
	}
	return l
}

// lastLine is that of its last row.
func (l *lot) lastLine() int64 { return int64(l.items[len(l.items)-1].line) }

// after waits until no earlier lot is under way that has an address of this
// one: what a file says of somebody counts in its order.
func (l *lot) after(earlier []*lot) {
	for _, e := range earlier {
		for key := range l.keys {
			if _, same := e.keys[key]; same {
				<-e.done
				break
			}
		}
	}
}

// writeAll writes what was made ready, several transactions at once where
// nothing but the order of the file's rows asks for one after the other.
func (im *importer) writeAll(ctx context.Context, chunks <-chan []*item) error {
	g, ctx := errgroup.WithContext(ctx)
	atOnce := 1
	if im.s.store.OnServer() && im.o.Confirmed && !im.o.DryRun {
		atOnce = writesAtOnce
	}
	g.SetLimit(atOnce)
	var recent []*lot
	for n := 0; ; n++ {
		items, more := <-chunks
		if !more || ctx.Err() != nil {
			break
		}
		if im.o.DryRun {
			im.again(items)
		} else if err := im.goOnLoading(ctx); err != nil {
			return errors.Join(err, g.Wait())
		}
		l := newLot(n, items)
		l.after(recent)
		if recent = append(recent, l); len(recent) > atOnce {
			recent = recent[1:]
		}
		g.Go(func() error {
			defer close(l.done)
			if err := im.write(ctx, l); err != nil {
				return err
			}
			return im.written(l)
		})
	}
	err := g.Wait()
	for _, l := range im.early { // behind one that failed
		err = errors.Join(err, im.account(l))
	}
	return err
}

// write puts a lot into the store, in one transaction.
func (im *importer) write(ctx context.Context, l *lot) error {
	err := im.s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		l.tries++
		l.tally.reset()
		if im.o.DryRun && im.res.NewList {
			if im.list, err = im.s.addList(ctx, tx, im.a, im.o.List); err != nil {
				return err
			}
		}
		if err := im.apply(ctx, tx, l.items, &l.tally, l.tries > 1); err != nil {
			return err
		}
		if im.o.DryRun {
			return errDryRun
		}
		if line := im.lineWith(l); line > 0 {
			return tx.SetImport(ctx, im.fileKey, im.started, line)
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

// lineWith is the line up to which all is done once a lot is written.
func (im *importer) lineWith(l *lot) int64 {
	im.mu.Lock()
	defer im.mu.Unlock()
	if l.n == im.nextLot {
		return l.lastLine()
	}
	return im.next - 1
}

// written takes over what came of a lot, once those before it are written.
func (im *importer) written(l *lot) error {
	im.load.note(l.tries > 1 || l.tally[added]+l.tally[invalid] < int64(len(l.items)))
	im.mu.Lock()
	defer im.mu.Unlock()
	im.early[l.n] = l
	for l := im.early[im.nextLot]; l != nil; l = im.early[im.nextLot] {
		delete(im.early, l.n)
		if err := im.account(l); err != nil {
			return err
		}
		im.nextLot++
		im.next = l.lastLine() + 1
	}
	im.tell("")
	return nil
}

// account counts what came of a lot, and reports it.
func (im *importer) account(l *lot) error {
	if err := im.report.add(l.items); err != nil {
		return err
	}
	im.res.Read += int64(len(l.items))
	im.res.Added += l.tally[added]
	im.res.Updated += l.tally[updated]
	im.res.Unchanged += l.tally[unchanged]
	im.res.Refused += l.tally[refused]
	im.res.Invalid += l.tally[invalid]
	if l.tally[mailed] > 0 && !im.o.DryRun {
		im.s.wake()
	}
	return nil
}
