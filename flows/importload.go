package flows

import (
	"context"
	"fmt"
	"sync/atomic"

	"kartotek/store"
)

// loadFrom is how many rows make it worth to make indexes at an import's end.
// The read-ahead counts as rows that are done, so files of up to twice as many
// may go without.
const loadFrom = 20_000

// loadChunk is how many rows one transaction of a load takes: the index of the
// addresses, to which each row comes at another page, is written that much less
// often, and the disk waited for.
const loadChunk = 4000

// importLoad is how an import of many rows goes: in larger transactions on a
// server, which others don't wait for, and in an embedded store that is small
// beside the file, of which most indexes are made at the end then.
type importLoad struct {
	rows  atomic.Int64 // that the file has, about; 0 when that can't be told
	asked bool
	under *store.Load // nil: none; set before on
	on    atomic.Bool // transactions are larger
	clean atomic.Bool // nobody in the last chunk was known
}

// chunk is how many rows one transaction takes. On a server those of people who
// are known are few: each takes some ways there, and their cards are locked
// until the end.
func (l *importLoad) chunk() int {
	if l.on.Load() && (l.under != nil || l.clean.Load()) {
		return loadChunk
	}
	return importChunk
}

// looks tells whether it pays to look up who is known before rows are sealed.
func (l *importLoad) looks() bool { return !l.on.Load() || !l.clean.Load() }

// note takes down whether somebody in a chunk was known.
func (l *importLoad) note(known bool) { l.clean.Store(!known) }

// expect reckons from its first chunk how many rows a file has.
func (l *importLoad) expect(done, total int64) {
	if done > 0 {
		l.rows.CompareAndSwap(0, max(1, total*importChunk/done))
	}
}

// goOnLoading begins a load before the first chunk, where it pays, and keeps it
// before the others.
func (im *importer) goOnLoading(ctx context.Context) error {
	if im.load.under != nil {
		return im.load.under.Keep(ctx)
	}
	if im.load.asked {
		return nil
	}
	im.load.asked = true
	rows := im.load.rows.Load()
	if !im.o.Confirmed || rows < loadFrom {
		return nil
	}
	if im.s.store.OnServer() {
		cluster, err := im.s.store.InCluster(ctx)
		im.load.on.Store(err == nil && !cluster)
		return err
	}
	return im.beginLoad(ctx, rows)
}

// beginLoad begins one where the store at least doubles, so that the sorting at
// the end is mostly of what comes now.
func (im *importer) beginLoad(ctx context.Context, rows int64) error {
	c, err := im.s.store.Counters(ctx)
	if err != nil {
		return err
	}
	var there int64
	for _, n := range c.ByPermission {
		there += n
	}
	if there <= rows {
		im.load.under, err = im.s.store.BeginLoad(ctx)
		im.load.on.Store(im.load.under != nil)
	}
	return err
}

// endLoad makes the indexes, also of an import that was stopped.
func (im *importer) endLoad(ctx context.Context) error {
	if im.load.under == nil {
		return nil
	}
	return im.load.under.End(ctx, func(n, of int) { im.tell(fmt.Sprintf("making index %d of %d", n, of)) })
}
