package tui

import (
	"context"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
	"kartotek/flows/proof"
)

// proveAct is the act on a card that was opened or found.
func (sh *shell) proveAct(card func() (flows.Card, bool), given func() *flows.Given) action {
	return action{Key: "p", Label: "prove", Why: func() string {
		c, ok := card()
		if !ok {
			return "no card is under the cursor"
		}
		return sh.whyNoProof(c, given())
	}, Do: func() tea.Cmd {
		c, _ := card()
		return sh.prove(c, given())
	}}
}

// whyNoProof is the reason why a card's proof can't be had; "" when it can: it
// shows the whole address, so it is for who has searched that.
func (sh *shell) whyNoProof(c flows.Card, given *flows.Given) string {
	if why := sh.Desk.Why(sh.Actor, "prove", c); why != "" {
		return why
	}
	if given == nil {
		return "a proof shows the whole address: search the full address first"
	}
	return ""
}

// prove shows the proof of a card.
func (sh *shell) prove(c flows.Card, given *flows.Given) tea.Cmd {
	return sh.proveTo(strconv.FormatInt(c.SubscriberID, 10), given, func(err error) tea.Cmd {
		if err == nil {
			return nil
		}
		return sh.say(failed, "prove: "+reason(err))
	})
}

// askProve asks for the address to prove: who may not search can still answer
// with a proof.
func (sh *shell) askProve() tea.Cmd {
	f := &form{title: "Prove", direct: true, labels: []string{"back", "prove"}, fields: []field{typed("Address", "the full address", 320)}, body: func(w int) []string {
		return sh.dimmed("The proof tells what this person agreed to, when and from where. The audit says that you made it.", w)
	}}
	f.submit = func() tea.Cmd {
		address := f.value(0)
		if address == "" {
			f.fault = "type the full address"
			return nil
		}
		return f.wait(sh.proveTo(address, nil, func(err error) tea.Cmd {
			if !f.end(err) && err != nil {
				return sh.failUnder(f, "prove", err)
			}
			return nil
		}))
	}
	return sh.openForm(f)
}

// proveTo makes a proof and shows it; ended is told how that went.
func (sh *shell) proveTo(target string, given *flows.Given, ended func(error) tea.Cmd) tea.Cmd {
	return act(sh, "prove", func(ctx context.Context) (*proof.Bundle, error) {
		return sh.Desk.Prove(ctx, sh.Actor, target, given)
	}, func(b *proof.Bundle, err error) tea.Cmd {
		if err != nil {
			return ended(err)
		}
		return tea.Batch(ended(nil), sh.showProof(b))
	})
}

// showProof shows a proof, which can be written to a file from here.
func (sh *shell) showProof(b *proof.Bundle) tea.Cmd {
	story := b.Story()
	p := &pager{sh: sh, title: "Proof", plain: true, lines: func(w int) []string {
		var lines []string
		for _, l := range story.Text(w, clean) {
			lines = append(lines, fold(l, w)...)
		}
		return lines
	}}
	p.keys = func() []action {
		why := func() string {
			if sh.Remote {
				return "over SSH a file comes by the command: ssh HOST prove ADDRESS --json > proof.json"
			}
			return ""
		}
		return []action{
			{Key: "w", Label: "write it as a page", Why: why, Do: func() tea.Cmd { return sh.keepProof(b, "html") }},
			{Key: "s", Label: "as proof.json", Why: why, Do: func() tea.Cmd { return sh.keepProof(b, "json") }},
		}
	}
	return sh.open(p)
}

func (sh *shell) keepProof(b *proof.Bundle, format string) tea.Cmd {
	return act(sh, "keep proof", func(ctx context.Context) (string, error) {
		return sh.Desk.KeepProof(ctx, b, format)
	}, func(path string, err error) tea.Cmd {
		if err != nil {
			return sh.fail(err)
		}
		return tea.Batch(sh.say(done, "written to "+path), sh.tell("Written", "The proof, which only you may read (mode 0600). Whoever gets it checks it with kartotek verify and the company's public key (kartotek audit key).", path))
	})
}
