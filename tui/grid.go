package tui

import (
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// ink is what a cell is written with.
type ink struct {
	*theme
	now  time.Time
	zone *time.Location
}

// column is one column of a grid of rows of T. The columns with the lowest
// rank are kept when there is no room for all.
type column[T any] struct {
	title string
	rank  int
	min   int  // cells that it needs
	want  int  // cells that it gladly takes
	most  int  // cells that it takes when all have what they want; 0 for no more
	right bool // written at the right edge
	rest  bool // takes what is left when all have what they want
	cell  func(ink, *T) (string, lipgloss.Style)
}

// Columns from extraRank on come only where the others keep extraSpare cells
// to grow by.
const (
	extraRank  = 5
	lastRank   = 6
	extraSpare = 24
)

// grid draws rows under a head. Rows that have been drawn are kept until the
// width, the theme or the minute changes, or the rows themselves do (forget).
type grid[T any] struct {
	sh     *shell
	all    []column[T]
	id     func(*T) int64 // the row's number, which is its first column
	width  int
	digits int
	gap    int
	ink    ink
	cols   []column[T]
	widths []int
	spare  int // cells after the last column
	head   string
	rows   map[int64]string
	marked func(id int64) bool // nil when rows can't be marked
}

// keptRows bounds the rows that a grid keeps drawn.
const keptRows = 400

// newGrid makes a grid whose first column is the rows' number.
func newGrid[T any](sh *shell, title string, id func(*T) int64, columns []column[T]) *grid[T] {
	first := column[T]{title: title, right: true, cell: func(k ink, row *T) (string, lipgloss.Style) {
		return strconv.FormatInt(id(row), 10), k.text
	}}
	return &grid[T]{sh: sh, id: id, all: append([]column[T]{first}, columns...), digits: 4, rows: map[int64]string{}}
}

// forget drops the rows that are kept drawn: they have changed.
func (g *grid[T]) forget() { clear(g.rows) }

// touch drops one row that is kept drawn.
func (g *grid[T]) touch(id int64) { delete(g.rows, id) }

// draw is the head and then h-1 rows from top on, each w cells wide. row gives the row for an
// index: nil with true is a row that is not loaded yet.
func (g *grid[T]) draw(w, h, top, cur int, row func(int) (*T, bool)) []string {
	digits := g.digits
	for i := top; i < top+h-1; i++ {
		if r, _ := row(i); r != nil {
			digits = max(digits, len(strconv.FormatInt(g.id(r), 10)))
		}
	}
	g.layout(w, digits)
	out := make([]string, 1, max(h, 1))
	out[0] = g.head
	for i := top; i < top+h-1; i++ {
		r, ok := row(i)
		switch {
		case !ok:
			out = append(out, spaces(w))
		case r == nil:
			out = append(out, g.line(i == cur, false, func(column[T]) (string, lipgloss.Style) { return "·····", g.ink.faint }))
		case i == cur:
			out = append(out, g.line(true, g.isMarked(r), g.cells(r)))
		default:
			out = append(out, g.kept(r))
		}
	}
	return out
}

func (g *grid[T]) kept(r *T) string {
	line, ok := g.rows[g.id(r)]
	if !ok {
		line = g.line(false, g.isMarked(r), g.cells(r))
		if len(g.rows) >= keptRows {
			clear(g.rows)
		}
		g.rows[g.id(r)] = line
	}
	return line
}

func (g *grid[T]) cells(r *T) func(column[T]) (string, lipgloss.Style) {
	return func(c column[T]) (string, lipgloss.Style) { return c.cell(g.ink, r) }
}

// layout picks the columns that fit, by rank.
func (g *grid[T]) layout(w, digits int) {
	now := g.sh.now()
	if g.width == w && g.digits == digits && g.ink.theme == g.sh.theme {
		if now.Sub(g.ink.now) >= time.Minute {
			g.ink.now = now
			clear(g.rows)
		}
		return
	}
	g.width, g.digits, g.ink = w, digits, ink{g.sh.theme, now, g.sh.zone}
	clear(g.rows)
	g.gap = 2
	if w < 90 {
		g.gap = 1
	}
	g.all[0].min, g.all[0].want = digits, digits
	room := w - 3 // the mark of the cursor, and an edge
	taken := make([]bool, len(g.all))
	for rank := range lastRank + 1 {
		spare := 0
		if rank >= extraRank {
			spare = extraSpare
		}
		for i, c := range g.all {
			need := c.min
			if i > 0 {
				need += g.gap
			}
			if c.rank == rank && room >= need+spare {
				taken[i] = true
				room -= need
			}
		}
	}
	g.cols, g.widths = g.cols[:0], g.widths[:0]
	for i, c := range g.all {
		if taken[i] {
			g.cols, g.widths = append(g.cols, c), append(g.widths, c.min)
		}
	}
	g.share(room)
	g.head = g.line(false, false, func(c column[T]) (string, lipgloss.Style) { return c.title, g.ink.dim.Bold(true) })
}

// share gives the cells that are left to the columns that want them, those of
// the lowest rank first, and what then remains to the one that takes the rest.
func (g *grid[T]) share(room int) {
	for rank := range lastRank + 1 {
		for i, c := range g.cols {
			if c.rank == rank {
				n := max(0, min(room, c.want-g.widths[i]))
				g.widths[i] += n
				room -= n
			}
		}
	}
	for i, c := range g.cols {
		n := max(0, min(room, c.most-g.widths[i]))
		g.widths[i] += n
		room -= n
	}
	for i, c := range g.cols {
		if c.rest {
			g.widths[i] += room
			room = 0
		}
	}
	g.spare = room + 1
}

func (g *grid[T]) isMarked(r *T) bool { return g.marked != nil && g.marked(g.id(r)) }

// line writes one row; the current one has a mark, and its number on the
// cursor's ground. Each step writes these few cells anew, on two rows, and
// lets the terminal scroll the rest: were the whole row on that ground, holding
// a key would cost several times as much, which is felt over SSH. The gap after
// a cell is in its style: what stands side by side in one style goes to the
// terminal in one piece.
func (g *grid[T]) line(current, marked bool, cell func(column[T]) (string, lipgloss.Style)) string {
	under := func(s lipgloss.Style) lipgloss.Style { return s }
	if current {
		under = g.ink.row
	}
	var b strings.Builder
	switch {
	case current && marked:
		b.WriteString(under(g.ink.accentBold).Render("▌✓"))
	case current:
		b.WriteString(under(g.ink.accentBold).Render("▌ "))
	case marked:
		b.WriteString(g.ink.accentBold.Render("✓ "))
	default:
		b.WriteString("  ")
	}
	for i, c := range g.cols {
		s, style := cell(c)
		if c.right {
			s = fitRight(s, g.widths[i])
		} else {
			s = fit(s, g.widths[i])
		}
		gap := ""
		if i < len(g.cols)-1 {
			gap = spaces(g.gap)
		}
		if current && i == 0 {
			b.WriteString(under(g.ink.accentBold).Render(s) + gap)
		} else {
			b.WriteString(style.Render(s + gap))
		}
	}
	b.WriteString(spaces(g.spare))
	return b.String()
}
