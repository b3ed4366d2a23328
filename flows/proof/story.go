package proof

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kartotek/store/ledger"
)

// clockForm is how a proof writes times for people.
const clockForm = "2006-01-02 15:04:05 UTC"

func clock(at string) string {
	t, err := time.Parse(ledger.TimeForm, at)
	if err != nil {
		return "at no known time"
	}
	return t.Format(clockForm)
}

// titles say what happened, in plain words.
var titles = map[string]string{
	"sign_up": "signed up", "confirm": "confirmed by a click", "erase": "erased", "confirmation_mail": "the confirmation mail was handed over",
	"unsubscribe": "unsubscribed", "resubscribe": "asked to come back", "import": "imported", "freeze": "frozen", "unfreeze": "unfrozen", "correct": "a field was corrected",
	"undo_unsubscribe": "the unsubscribing was taken back at once", "mail_returned": "a mail came back",
}

func title(r Record) string {
	words, ok := titles[r.Act]
	if !ok {
		words = strings.ReplaceAll(r.Act, "_", " ")
	}
	switch {
	case r.Act == "confirm" && r.By != "contact":
		words = "confirmed elsewhere"
	case r.Act == "sign_up" && r.By != "contact":
		words = "signed up elsewhere"
	}
	if r.List != "" {
		words += ", list " + r.List
	}
	return words
}

// Story is a proof as a person reads it.
type Story struct {
	Address, Controller, MadeAt string
	Parts                       []Part
	Log, SignedAt               string
	Size                        int64
}

// Part is what happened with one card, the first act first.
type Part struct {
	Title string
	Acts  []Line
	Now   string
}

// Line is one act.
type Line struct {
	At, Title string
	Facts     []Fact
	Notice    string
}

// Fact is a name and its value.
type Fact struct{ Name, Value string }

// Story tells a proof. It is told as it stands, checked or not.
func (b *Bundle) Story() Story {
	s := Story{Address: b.Address, Controller: b.Controller, MadeAt: clock(b.MadeAt)}
	if key, err := ledger.Verifier(b.PublicKey); err == nil {
		s.Log = key.Name()
		if c, err := ledger.OpenCheckpoint(b.Checkpoint, key); err == nil {
			s.SignedAt, s.Size = c.At.Format(clockForm), c.Size
		}
	}
	notices := map[string]string{}
	for _, n := range b.Notices {
		notices[n.SHA256] = n.Text
	}
	for _, c := range b.Cards {
		part := Part{Title: fmt.Sprintf("Card %d", c.SubscriberID), Now: c.now()}
		var acts []Record
		for _, a := range b.Acts {
			if a.Record.SubscriberID == c.SubscriberID {
				acts = append(acts, a.Record)
			}
		}
		slices.SortStableFunc(acts, func(a, b Record) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Number, b.Number)) })
		shown := map[string]bool{}
		for _, r := range acts {
			l := Line{At: clock(r.At), Title: title(r), Facts: facts(r)}
			if id := r.NoticeSHA256; id != "" && shown[id] {
				l.Facts = append(l.Facts, Fact{"notice", "the same as above"})
			} else if id != "" {
				l.Notice, shown[id] = notices[id], true
			}
			part.Acts = append(part.Acts, l)
		}
		s.Parts = append(s.Parts, part)
	}
	return s
}

// now says how things stand with a card.
func (c Card) now() string {
	switch {
	case c.EvidenceRemoved:
		return "Erased " + clock(c.DeletedAt) + ". The evidence had its time and was removed; the address stays blocked."
	case c.Permission == "deleted":
		return "Now: erased " + clock(c.DeletedAt) + ". The address is blocked, unless the person comes back by a click of their own."
	case c.Permission == "unsubscribed":
		return "Now: unsubscribed from every list since " + clock(c.WithdrawnAt) + "."
	case c.Permission == "pending":
		return "Now: waits for the person's click; no other mail is sent."
	case c.Frozen:
		return "Now: " + c.Permission + ", and frozen: no mail is sent."
	}
	return "Now: " + c.Permission + "."
}

func facts(r Record) []Fact {
	var out []Fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, Fact{name, value})
		}
	}
	add("from", r.IP)
	add("with", r.UserAgent)
	switch r.By {
	case "contact":
		add("by", "the person")
	default:
		add("by", r.By)
	}
	add("note", r.Note)
	if r.MessageID != "" {
		add("mail", "Message-ID <"+r.MessageID+">")
	}
	if r.HandedOverAt != "" {
		add("handed over", clock(r.HandedOverAt))
		add("taken by", r.Server)
		add("its reply", r.ServerReply)
		add("mail's SHA-256", r.MailSHA256)
	}
	if r.Act == "erase" {
		add("kept", fmt.Sprintf("the evidence of %d acts besides this one", len(r.Kept)))
	}
	return out
}

// Text writes a story with lines of at most width characters, free of what a
// terminal acts on; clean takes that out of a text.
func (s Story) Text(width int, clean func(string) string) []string {
	out := []string{"Proof of consent for " + clean(s.Address), "made by " + clean(s.Controller) + ", " + s.MadeAt}
	for _, p := range s.Parts {
		out = append(out, "", p.Title)
		for _, l := range p.Acts {
			out = append(out, "  "+l.At+"  "+clean(l.Title))
			for _, f := range l.Facts {
				out = append(out, hang(fmt.Sprintf("      %-14s  ", f.Name), clean(f.Value), width)...)
			}
			for i, line := range strings.Split(strings.TrimSpace(l.Notice), "\n") {
				name := ""
				if i == 0 {
					name = "notice"
				}
				if l.Notice != "" {
					out = append(out, hang(fmt.Sprintf("      %-14s  ", name), clean(line), width)...)
				}
			}
		}
		out = append(out, hang("  ", p.Now, width)...)
	}
	if s.SignedAt == "" {
		return out
	}
	return append(out, "", "The log "+s.Log+" held "+fmt.Sprint(s.Size)+" entries when it was signed, "+s.SignedAt+".")
}

// hang breaks a text into lines that begin in the same column.
func hang(first, text string, width int) []string {
	room := max(20, width-len(first))
	var out []string
	line := ""
	flush := func() {
		head := first
		if len(out) > 0 {
			head = strings.Repeat(" ", len(first))
		}
		out, line = append(out, strings.TrimRight(head+line, " ")), ""
	}
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > room {
			flush()
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	flush()
	return out
}
