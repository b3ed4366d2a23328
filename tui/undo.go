package tui

import (
	"context"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"kartotek/flows"
)

// slip is the last unsubscribing, as long as it can be taken back.
type slip struct {
	ids   []int64 // SubscriberIDs
	until time.Time
	kept  int // how many can't be: their sign-ups waited for a click, and were called off
}

// slipMsg ends the time in which the last unsubscribing can be taken back.
type slipMsg struct{ until time.Time }

// add adds a contact that an act on several has reached, if it can be taken
// back. The first ones reached are out of time first: flows refuses them then.
func (s *slip) add(a several, id int64) {
	if a.undo == nil {
		return
	}
	if until := a.undo(id); !until.IsZero() {
		s.ids, s.until = append(s.ids, id), until
	} else {
		s.kept++
	}
}

// undoable offers to take back what was just done, and no longer what was done
// before.
func (sh *shell) undoable(s slip) tea.Cmd {
	sh.slip = slip{kept: s.kept}
	left := s.until.Sub(sh.now())
	if len(s.ids) == 0 || left <= 0 {
		return nil
	}
	sh.slip = s
	return sh.after(left, slipMsg{s.until})
}

// slipOf is the slip of unsubscribing one contact.
func slipOf(id int64, until time.Time) slip {
	if until.IsZero() {
		return slip{kept: 1}
	}
	return slip{ids: []int64{id}, until: until}
}

// slipWords tell before unsubscribing a contact how it can be taken back.
func slipWords(c flows.Card) string {
	if c.Permission == flows.Pending {
		return "The sign-up that waits for its click is called off for good."
	}
	return "U undoes a slip for 10 seconds; after that only the person's own click does."
}

// whyUndo is why nothing can be taken back now, or "".
func (sh *shell) whyUndo() string {
	switch {
	case len(sh.slip.ids) > 0 && sh.now().Before(sh.slip.until):
		return ""
	case len(sh.slip.ids) == 0 && sh.slip.kept > 0:
		return "a sign-up that waited for its click stays called off"
	}
	return "within 10 seconds of it only; an erasing never"
}

// undoHint names the key, as long as it does something.
func (sh *shell) undoHint() string {
	switch {
	case sh.whyUndo() != "":
		return ""
	case sh.slip.kept > 0:
		return " · U undoes " + number(int64(len(sh.slip.ids))) + " of them within 10 seconds"
	}
	return " · U undoes it within 10 seconds"
}

// undone is what became of taking back.
type undone struct {
	cards   []flows.Card
	refused []int64
	why     string // of the last one refused
}

// undo puts back on their lists whom the last unsubscribing took off.
func (sh *shell) undo() tea.Cmd {
	ids := sh.slip.ids
	sh.slip = slip{}
	return act(sh, "undo", func(ctx context.Context) (undone, error) {
		var out undone
		for _, id := range ids {
			c, err := sh.Desk.UndoUnsubscribe(ctx, sh.Actor, id)
			switch {
			case err == nil:
				out.cards = append(out.cards, c)
			case fault(err):
				return out, err
			default:
				out.refused, out.why = append(out.refused, id), reason(err)
			}
		}
		return out, nil
	}, func(out undone, err error) tea.Cmd {
		var cmds []tea.Cmd
		for _, c := range out.cards {
			cmds = append(cmds, sh.patch(c))
		}
		return tea.Batch(append(cmds, sh.ping(), sh.sayUndone(out, err))...)
	})
}

func (sh *shell) sayUndone(out undone, err error) tea.Cmd {
	said := plural(int64(len(out.cards)), "contact is", "contacts are") + " back as before"
	if len(out.cards) == 1 {
		said = "SubscriberID " + strconv.FormatInt(out.cards[0].SubscriberID, 10) + " is back as before"
	}
	switch {
	case err != nil:
		return sh.say(failed, "undoing ended early: "+said+"; "+reason(err))
	case len(out.cards) == 0 && len(out.refused) > 0:
		return sh.say(warning, out.why)
	case len(out.refused) > 0:
		return sh.say(warning, said+"; "+number(int64(len(out.refused)))+" not: "+out.why)
	}
	return sh.say(done, said)
}
