package tui

import (
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"

	"kartotek/flows"
)

// theme holds every style of the console: the terminal's own text colour, two
// quieter ones, one accent, and four for what must be told apart at a glance.
// No meaning rests on a colour alone: each has a symbol or a word beside it.
type theme struct {
	text, bold, dim, faint lipgloss.Style
	off                    lipgloss.Style // what can't be done now, and what could be typed: quiet, but to be read
	accent, accentBold     lipgloss.Style
	good, warn, bad        lipgloss.Style
	row                    func(lipgloss.Style) lipgloss.Style // on the row under the cursor
	button, picked         lipgloss.Style
	danger                 lipgloss.Style
	inked                  inked
}

// newTheme picks colours that read well on the terminal's background and that
// its profile can show; without colours, bold and reverse do the work. They
// are of the 256-colour palette, also where more could be had: a change of
// colour is then half as long on the wire, which is felt over SSH.
func newTheme(dark bool, profile colorprofile.Profile) *theme {
	light := lipgloss.LightDark(dark)
	pick := func(onLight, onDark, basicLight, basicDark string) lipgloss.Style {
		if profile <= colorprofile.ASCII {
			return lipgloss.NewStyle()
		}
		if profile == colorprofile.ANSI {
			return lipgloss.NewStyle().Foreground(light(lipgloss.Color(basicLight), lipgloss.Color(basicDark)))
		}
		return lipgloss.NewStyle().Foreground(light(lipgloss.Color(onLight), lipgloss.Color(onDark)))
	}
	t := &theme{
		inked:  inked{},
		text:   lipgloss.NewStyle(),
		bold:   lipgloss.NewStyle().Bold(true),
		dim:    pick("242", "247", "8", "7"),
		faint:  pick("251", "240", "7", "8"),
		off:    pick("246", "243", "7", "8"),
		accent: pick("56", "147", "5", "13"),
		good:   pick("28", "114", "2", "10"),
		warn:   pick("130", "179", "3", "11"),
		bad:    pick("124", "210", "1", "9"),
	}
	if profile <= colorprofile.ANSI { // of 16 colours none is sure to be fainter than the text and still there
		t.faint = lipgloss.NewStyle().Faint(true)
		t.off = t.faint
	}
	t.accentBold = t.accent.Bold(true)
	t.button = t.dim.Padding(0, 2)
	t.row = func(s lipgloss.Style) lipgloss.Style { return s.UnsetForeground().Reverse(true) }
	t.picked = t.bold.Reverse(true).Padding(0, 2)
	t.danger = t.picked
	if profile > colorprofile.ANSI {
		under := light(lipgloss.Color("189"), lipgloss.Color("236"))
		t.row = func(s lipgloss.Style) lipgloss.Style { return s.Background(under) }
		onAccent := light(lipgloss.Color("231"), lipgloss.Color("16"))
		t.picked = t.bold.Padding(0, 2).Foreground(onAccent).Background(t.accent.GetForeground())
		t.danger = t.bold.Padding(0, 2).Foreground(onAccent).Background(t.bad.GetForeground())
	}
	return t
}

// inked keeps words as they are in the theme's colours: each frame shows mostly
// those of the one before.
type inked map[any]string

// keptWords bounds the words that are kept: counts among them change for ever.
const keptWords = 500

func (k inked) get(word any, draw func() string) string {
	s, ok := k[word]
	if !ok {
		if len(k) >= keptWords {
			clear(k)
		}
		s = draw()
		k[word] = s
	}
	return s
}

// membership is a membership's status as a symbol, with its style.
func (t *theme) membership(status string) (string, lipgloss.Style) {
	switch status {
	case "subscribed":
		return "● ", t.good
	case "pending":
		return "◐ ", t.warn
	default:
		return "○ ", t.dim
	}
}

// permission is a permission as a symbol and a word, with its style.
func (t *theme) permission(p flows.Permission) (string, lipgloss.Style) {
	switch p {
	case flows.Confirmed:
		return "● confirmed", t.good
	case flows.Pending:
		return "◐ pending", t.warn
	case flows.Unsubscribed:
		return "○ unsubscribed", t.dim
	case flows.Deleted:
		return "✕ deleted", t.bad
	default:
		return "? " + p.String(), t.dim
	}
}
