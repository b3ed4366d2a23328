package tui

import "kartotek/flows"

// How contacts are fetched and kept: pages of pageSize, at most keptPages of
// them around the cursor, however many contacts there are.
const (
	pageSize  = 100
	keptPages = 5
)

// window is the part of all contacts that is in memory: pages that follow one
// another, newest first. The cursor may stand on rows beyond an end that are
// not loaded yet; when their page comes, it is on them.
type window struct {
	pages []flows.Cards
	start int64 // index of the first row among all, -1 when not known
	cur   int   // the row under the cursor, from the window's first
	top   int   // the first row on show
}

func (w *window) len() int {
	n := 0
	for i := range w.pages {
		n += len(w.pages[i].Cards)
	}
	return n
}

// at gives a row, or nil.
func (w *window) at(i int) *flows.Card {
	if i < 0 {
		return nil
	}
	for p := range w.pages {
		cards := w.pages[p].Cards
		if i < len(cards) {
			return &cards[i]
		}
		i -= len(cards)
	}
	return nil
}

func (w *window) newer() bool { return len(w.pages) > 0 && w.pages[0].Newer }

func (w *window) older() bool { return len(w.pages) > 0 && w.pages[len(w.pages)-1].Older }

// bounds are the rows that the cursor may stand on, first and last.
func (w *window) bounds() (lo, hi int) {
	hi = w.len() - 1
	if w.newer() {
		lo = -pageSize
	}
	if w.older() {
		hi += pageSize
	}
	return lo, hi
}

// clamp keeps the cursor on a row, and the row on show.
func (w *window) clamp(rows int) {
	lo, hi := w.bounds()
	w.cur = max(lo, min(w.cur, hi))
	w.top = max(w.cur-rows+1, min(w.top, w.cur))
	w.top = max(lo, min(w.top, hi-rows+1))
}

// leap moves the rows on show by two thirds when a step of n leads out of them.
// Beside the preview the terminal can't scroll them by itself, so that every
// move of theirs writes them all.
func (w *window) leap(rows, n int) {
	switch {
	case w.cur >= w.top && w.cur < w.top+rows:
	case n > 0:
		w.top = w.cur - rows/3
	default:
		w.top = w.cur - rows + 1 + rows/3
	}
}

// reset starts anew with one page; its first row is the start-th of all.
func (w *window) reset(page flows.Cards, start int64) {
	*w = window{pages: []flows.Cards{page}, start: start}
}

// extend adds a page at the older end and lets go of one at the other.
func (w *window) extend(page flows.Cards) {
	last := &w.pages[len(w.pages)-1]
	if len(page.Cards) == 0 {
		last.Older = false
		return
	}
	w.pages = append(w.pages, page)
	if len(w.pages) > keptPages {
		n := len(w.pages[0].Cards)
		w.pages = append([]flows.Cards(nil), w.pages[1:]...)
		w.pages[0].Newer = true
		w.shift(-n)
	}
}

// extendFront adds a page at the newer end.
func (w *window) extendFront(page flows.Cards) {
	if len(page.Cards) == 0 {
		w.pages[0].Newer = false
		return
	}
	w.pages = append([]flows.Cards{page}, w.pages...)
	w.shift(len(page.Cards))
	if !page.Newer {
		w.start = 0
	}
	if len(w.pages) > keptPages {
		w.pages = w.pages[:keptPages:keptPages]
		w.pages[keptPages-1].Older = true
	}
}

// shift moves the numbering of rows, as n rows came (or went) ahead of them.
func (w *window) shift(n int) {
	w.cur += n
	w.top += n
	if w.start >= 0 {
		w.start = max(0, w.start-int64(n))
	}
}

// patch puts in what has become of a card.
func (w *window) patch(c flows.Card) bool {
	for p := range w.pages {
		for i := range w.pages[p].Cards {
			if w.pages[p].Cards[i].SubscriberID == c.SubscriberID {
				w.pages[p].Cards[i] = c
				return true
			}
		}
	}
	return false
}
