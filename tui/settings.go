package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// Setting is one of the configuration's, as the console shows it: nothing
// secret is in its value.
type Setting struct{ Name, Value string }

// settings are what the palette finds besides acts and screens: what can be
// changed here, and what the configuration says.
func (sh *shell) settings() []action {
	var out []action
	for _, look := range []struct {
		word   string
		chosen *bool
	}{{"dark", new(true)}, {"light", new(false)}, {"as the terminal's", nil}} {
		out = append(out, action{Label: "setting: colours " + look.word, Why: func() string {
			if look.chosen == nil && sh.chosen == nil || look.chosen != nil && sh.chosen != nil && *look.chosen == *sh.chosen {
				return "they are so already"
			}
			return ""
		}, Do: func() tea.Cmd { return sh.choose(look.chosen) }})
	}
	out = append(out, action{Label: "setting: how long evidence is kept", Why: func() string {
		return sh.Desk.Why(sh.Actor, "retention", flows.Card{})
	}, Do: sh.askRetention})
	for _, s := range sh.Settings {
		out = append(out, action{Label: "setting: " + s.Name, Do: func() tea.Cmd { return sh.showSetting(s) }})
	}
	return out
}

// choose picks the colours for a background, or for the terminal's own again.
func (sh *shell) choose(dark *bool) tea.Cmd {
	sh.chosen = dark
	sh.dress()
	if dark == nil {
		return tea.Batch(tea.RequestBackgroundColor, sh.say(info, "the colours are those for the terminal's background"))
	}
	return sh.say(info, "the colours stay until the console ends")
}

// dress makes the theme for what is known of the terminal.
func (sh *shell) dress() {
	dark := sh.dark
	if sh.chosen != nil {
		dark = *sh.chosen
	}
	sh.theme = newTheme(dark, sh.profile)
}

// showSetting tells what a setting is now, and how it is changed.
func (sh *shell) showSetting(s Setting) tea.Cmd {
	value := s.Value
	if value == "" {
		value = "not set"
	}
	return sh.tell("Setting "+s.Name, "It is read when Kartotek starts: change it in "+sh.Config+", by an environment variable or a flag, and start again.", s.Name+" = "+value)
}

// askRetention shows how long the evidence of erased people is kept, and asks
// for another time.
func (sh *shell) askRetention() tea.Cmd {
	f := &form{title: "How long evidence is kept", labels: []string{"No", "Keep"}, fields: []field{typed("Time", "a number and d, w, m or y, such as 2y", 8)}, body: func(w int) []string {
		return sh.dimmed("Counted from the erasure. Then only the suppression is left: the address stays blocked, and nothing can be proven any more. What is over a shorter time goes with the clock's next round, for good.", w)
	}}
	f.submit = func() tea.Cmd {
		r := flows.Retention{EvidenceKept: f.value(0)}
		return f.wait(act(sh, "retention", func(ctx context.Context) (struct{}, error) {
			return struct{}{}, sh.Desk.SetRetention(ctx, sh.Actor, r)
		}, func(_ struct{}, err error) tea.Cmd {
			if !f.end(err) {
				return sh.failUnder(f, "retention", err)
			}
			return sh.say(done, "evidence is kept for "+r.EvidenceKept+" after an erasure")
		}))
	}
	return tea.Batch(sh.openForm(f), act(sh, "retention", func(ctx context.Context) (flows.Retention, error) {
		return sh.Desk.Retention(ctx, sh.Actor)
	}, func(r flows.Retention, err error) tea.Cmd {
		switch {
		case err != nil:
			f.fault = reason(err)
		case f.value(0) == "":
			f.fields[0].input.SetValue(r.EvidenceKept)
			f.fields[0].input.CursorEnd()
		}
		return nil
	}))
}
