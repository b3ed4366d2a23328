package cmd

import (
	"fmt"
	"io"
	"time"

	"charm.land/bubbles/v2/progress"
	"github.com/dustin/go-humanize"

	"kartotek/flows"
)

// bar is the progress bar of an import, on a terminal only.
type bar struct {
	w     io.Writer
	model progress.Model
	began time.Time
	last  time.Time
}

func newBar(w io.Writer) *bar {
	if !terminal(w) {
		return &bar{}
	}
	return &bar{w: w, model: progress.New(progress.WithWidth(40)), began: time.Now()}
}

func (b *bar) show(p flows.ImportProgress) {
	if b.w == nil || p.Total == 0 || p.Step == "" && time.Since(b.last) < 100*time.Millisecond {
		return
	}
	b.last = time.Now()
	if p.Step != "" {
		fmt.Fprintf(b.w, "\r\x1b[K%s %s rows, %s", b.model.ViewAs(1), humanize.Comma(p.Read), p.Step)
		return
	}
	took := time.Since(b.began)
	share := float64(p.Done) / float64(p.Total)
	left := ""
	if share > 0 && took > time.Second {
		left = fmt.Sprintf(", %s left", time.Duration(float64(took)*(1/share-1)).Round(time.Second))
	}
	fmt.Fprintf(b.w, "\r\x1b[K%s %s rows, %s a second%s", b.model.ViewAs(share), humanize.Comma(p.Read),
		humanize.Comma(int64(float64(p.Read)/max(took.Seconds(), 0.001))), left)
}

// count shows how many of a number of things are done.
func (b *bar) count(done, total int64) {
	b.show(flows.ImportProgress{Done: done, Total: total, Read: done})
}

func (b *bar) clear() {
	if b.w != nil && !b.last.IsZero() {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
