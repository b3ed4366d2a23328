package tui

import (
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/google/go-cmp/cmp"
)

// ways are the kinds of terminal that every golden screen is drawn on. The
// program's own writer stands between, as it does in earnest.
var ways = []struct {
	name    string
	dark    bool
	profile colorprofile.Profile
}{
	{"dark", true, colorprofile.TrueColor},
	{"light", false, colorprofile.TrueColor},
	{"dark16", true, colorprofile.ANSI},
	{"light16", false, colorprofile.ANSI},
	{"NO_COLOR", true, colorprofile.ASCII},
}

// looks are all that a cell can be written in, each with the letter that stands
// for it in the golden screens. testdata/looks.golden says what each is on
// every kind of terminal, so a colour that is changed shows there alone, and a
// word that is written in another style shows on its screen.
var looks = []struct {
	letter byte
	name   string
	style  func(*theme) lipgloss.Style
}{
	{' ', "text", func(t *theme) lipgloss.Style { return t.text }},
	{'B', "bold", func(t *theme) lipgloss.Style { return t.bold }},
	{'d', "dim", func(t *theme) lipgloss.Style { return t.dim }},
	{'D', "dim, bold", func(t *theme) lipgloss.Style { return t.dim.Bold(true) }},
	{'f', "faint", func(t *theme) lipgloss.Style { return t.faint }},
	{'o', "off", func(t *theme) lipgloss.Style { return t.off }},
	{'a', "accent", func(t *theme) lipgloss.Style { return t.accent }},
	{'A', "accent, bold", func(t *theme) lipgloss.Style { return t.accentBold }},
	{'T', "tab on show", func(t *theme) lipgloss.Style { return t.accentBold.Underline(true) }},
	{'g', "good", func(t *theme) lipgloss.Style { return t.good }},
	{'w', "warn", func(t *theme) lipgloss.Style { return t.warn }},
	{'W', "warn, bold", func(t *theme) lipgloss.Style { return t.warn.Bold(true) }},
	{'x', "bad", func(t *theme) lipgloss.Style { return t.bad }},
	{'X', "bad, bold", func(t *theme) lipgloss.Style { return t.bad.Bold(true) }},
	{'R', "row under the cursor", func(t *theme) lipgloss.Style { return t.row(t.accentBold) }},
	{'S', "row of the palette", func(t *theme) lipgloss.Style { return t.row(t.bold) }},
	{'C', "chip", func(t *theme) lipgloss.Style { return t.row(t.accent) }},
	{'P', "button picked", func(t *theme) lipgloss.Style { return t.picked.UnsetPadding() }},
	{'!', "button picked, no way back", func(t *theme) lipgloss.Style { return t.danger.UnsetPadding() }},
}

// grounds are what the terminals' own colours are taken for in the tests.
var grounds = map[bool]color.Color{true: color.Black, false: color.White}

// cell is what a terminal shows in one place.
type cell struct {
	text  string
	style uv.Style
}

// seen drops what can't be seen of a space.
func (c cell) seen() cell {
	if c.text == " " {
		c.style.Attrs &= uv.AttrReverse
		if c.style.Attrs == 0 {
			c.style.Fg = nil
		}
	}
	return c
}

// cells draws content on an emulated terminal of a kind.
func cells(t *testing.T, content string, p colorprofile.Profile, w, h int) [][]cell {
	t.Helper()
	term := vt.NewEmulator(w, h)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		io.Copy(io.Discard, term) // its answers to queries
	}()
	out := &colorprofile.Writer{Forward: term, Profile: p}
	if _, err := out.WriteString(strings.ReplaceAll(content, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	rows := make([][]cell, h)
	for y := range rows {
		for x := range w {
			c := term.CellAt(x, y)
			switch {
			case c == nil || c.Width == 1 && c.Content == "":
				rows[y] = append(rows[y], cell{text: " "})
			case c.Width == 0:
				rows[y] = append(rows[y], cell{"", rows[y][x-1].style})
			default:
				rows[y] = append(rows[y], cell{c.Content, c.Style}.seen())
			}
		}
	}
	if in, ok := term.InputPipe().(io.Closer); ok {
		in.Close()
	}
	<-drained
	return rows
}

// pen writes a style in words, each only once: there are few, and many cells.
func pen(s uv.Style) string {
	if words, ok := pens.Load(s); ok {
		return words.(string)
	}
	words := penned(s)
	pens.Store(s, words)
	return words
}

var pens sync.Map

func penned(s uv.Style) string {
	var words []string
	ink := func(where string, c color.Color) {
		switch c := c.(type) {
		case nil:
		case ansi.BasicColor:
			words = append(words, fmt.Sprintf("%s%d", where, c))
		case ansi.IndexedColor:
			words = append(words, fmt.Sprintf("%s%d", where, c))
		default:
			words = append(words, fmt.Sprintf("%s%v", where, c))
		}
	}
	ink("", s.Fg)
	ink("on ", s.Bg)
	for _, a := range []struct {
		bit  uint8
		word string
	}{{uv.AttrBold, "bold"}, {uv.AttrFaint, "faint"}, {uv.AttrReverse, "reverse"}, {uv.AttrItalic, "italic"}, {uv.AttrBlink, "blink"}, {uv.AttrStrikethrough, "struck"}} {
		if s.Attrs&a.bit != 0 {
			words = append(words, a.word)
		}
	}
	if s.Underline != 0 {
		words = append(words, "underlined")
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, " ")
}

// way is how a cell is written on each kind of terminal.
type way [5]string

// legend finds the letters for how a cell is written: those of letters, and
// those of spaces, where more than one look may be the same.
func legend(t *testing.T) map[way]string {
	t.Helper()
	out := map[way]string{}
	for _, l := range looks {
		var letter, space way
		for i, w := range ways {
			drawn := cells(t, l.style(newTheme(w.dark, w.profile)).Render("x\u00a0 "), w.profile, 3, 1)[0]
			letter[i], space[i] = pen(drawn[0].style), pen(drawn[2].style)
		}
		if old := out[letter]; old != "" {
			t.Errorf("%s looks like the one called %s in all ways", l.name, old)
		}
		out[letter] += string(l.letter)
		if space != letter {
			out[space] += string(l.letter)
		}
	}
	return out
}

// drawnAll is the screen on every kind of terminal.
func (c *console) drawnAll() [5][][]cell {
	c.t.Helper()
	c.screen() // holds the view against its size
	var drawn [5][][]cell
	for i, way := range ways {
		c.m.Update(tea.ColorProfileMsg{Profile: way.profile})
		c.m.Update(tea.BackgroundColorMsg{Color: grounds[way.dark]})
		drawn[i] = cells(c.t, c.m.View().Content, way.profile, c.w, c.h)
	}
	return drawn
}

// lines are the screen's lines, and the letters of their looks. The text is
// the same on every kind of terminal.
func (c *console) lines(known map[way]string) (texts, letters []string) {
	c.t.Helper()
	drawn := c.drawnAll()
	for y := range c.h {
		var text strings.Builder
		look := []byte{}
		for x := range c.w {
			var all way
			for i := range ways {
				at := drawn[i][y][x]
				if at.text != drawn[0][y][x].text {
					c.t.Fatalf("%s: there is %q at %d,%d, and %q on dark", ways[i].name, at.text, x, y, drawn[0][y][x].text)
				}
				all[i] = pen(at.style)
			}
			of := known[all]
			switch {
			case of == "":
				c.t.Errorf("%d,%d: %q is written in a look that is not among looks: %q", x, y, drawn[0][y][x].text, all)
				of = "?"
			case of[0] != ' ' && x > 0 && strings.IndexByte(of, look[x-1]) >= 0:
				of = string(look[x-1])
			}
			text.WriteString(drawn[0][y][x].text)
			look = append(look, of[0])
		}
		bridge(text.String(), look)
		texts, letters = append(texts, strings.TrimRight(text.String(), " ")), append(letters, strings.TrimRight(string(look), " "))
	}
	return texts, letters
}

// bridge gives the gaps between words of one look that look, so that lines of
// one make have the same letters.
func bridge(text string, look []byte) {
	last, x := 0, 0
	for _, r := range text {
		if w := ansi.StringWidth(string(r)); r != ' ' {
			if x > last && x < len(look) && last > 0 && look[last-1] == look[x] {
				for i := last; i < x; i++ {
					if look[i] == ' ' {
						look[i] = look[x]
					}
				}
			}
			x += w
			last = x
		} else {
			x++
		}
	}
}

// picture is the screen as a golden file holds it: each line of the text, and
// under it the letters of its looks where they are not those of the line above.
func (c *console) picture(known map[way]string) string {
	c.t.Helper()
	texts, letters := c.lines(known)
	c.withoutColour(texts, letters)
	var b strings.Builder
	above := ""
	for y, l := range texts {
		fmt.Fprintln(&b, strings.TrimRight("  "+l, " "))
		if letters[y] != above {
			fmt.Fprintln(&b, strings.TrimRight("~ "+letters[y], " "))
			above = letters[y]
		}
	}
	if at := c.m.View().Cursor; at != nil {
		fmt.Fprintf(&b, "cursor in column %d of line %d\n", at.X+1, at.Y+1)
	}
	return b.String()
}

// withoutColour finds what is good, a warning or bad by its colour alone:
// neither by a symbol or a word, nor as the rest of the line above.
func (c *console) withoutColour(texts, letters []string) {
	c.t.Helper()
	for y, look := range letters {
		for x := range len(look) {
			if strings.IndexByte("gwx", look[x]) < 0 || x > 0 && look[x-1] == look[x] {
				continue
			}
			if y > 0 && x < len(letters[y-1]) && letters[y-1][x] == look[x] {
				continue
			}
			if rest := ansi.Cut(texts[y], x, len(look)); !telling.MatchString(rest) {
				c.t.Errorf("only the colour tells of %q", rest)
			}
		}
	}
}

// telling are the texts that say by themselves what their colour says: those
// that begin with a symbol, the frames of overlays, charts, times and words.
var telling = regexp.MustCompile(`^([●◐○◑◔■▸▲✕✓✗!]|[│╭╰╮╯─]|[·▁▂▃▄▅▆▇█]|(in )?\d+ (min|h|d|mo)\b|refused)`)

// golden holds what is shown against a file in testdata, or writes the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-golden +screen):\n%s", path, diff)
	}
}

// TestLooks holds every look, on every kind of terminal, against its golden
// table.
func TestLooks(t *testing.T) {
	var b strings.Builder
	row := func(words ...string) {
		line := ""
		for i, w := range words {
			line += fit(w, []int{3, 29, 21, 20, 20, 20, 20}[i])
		}
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	row("", "", "dark", "light", "dark, 16 colours", "light, 16 colours", "NO_COLOR")
	for _, l := range looks {
		words := []string{string(l.letter), l.name}
		for _, way := range ways {
			th := newTheme(way.dark, way.profile)
			words = append(words, pen(cells(t, l.style(th).Render("x"), way.profile, 1, 1)[0][0].style))
		}
		row(words...)
	}
	golden(t, "looks", b.String())
}
