package flows

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"kartotek/mta"
	"kartotek/store"
)

// sentLetter signs marie up for the news, hands the letter over and returns it,
// as it left.
func (d *desk) sentLetter(v mta.Verdict) mta.Letter {
	d.t.Helper()
	d.cfg.BounceDomain = "bounces.test"
	d.signUp(marie, "news")
	sp := d.Spool()
	got, err := sp.Claim(d.t.Context(), "me", 1, 0, time.Minute)
	if d.must(err); len(got) != 1 {
		d.t.Fatal("nothing to send")
	}
	v.At = d.time
	d.must(sp.Mark(d.t.Context(), got[0], v))
	return got[0]
}

func local(address string) string { return address[:strings.LastIndexByte(address, '@')] }

// events are the kinds and notes of a card's time line, newest first.
func (d *desk) events(address string) (out []string) {
	d.t.Helper()
	details, err := d.Open(d.t.Context(), anna, d.newest(address).SubscriberID, nil)
	d.must(err)
	for _, e := range details.Timeline {
		out = append([]string{e.Kind + ": " + e.Note}, out...)
	}
	return out
}

func TestSendersAreBoundToTheirLetters(t *testing.T) {
	d := newDesk(t)
	l := d.sentLetter(mta.Verdict{State: mta.Delivered})
	if !strings.HasSuffix(l.From, "@bounces.test") || strings.Contains(l.From, "marie") || len(local(l.From)) > 64 {
		t.Fatalf("the sender is %s", l.From)
	}
	in := d.Inbox()
	token := local(l.From)
	for address, want := range map[string]mta.Inbound{
		token: mta.InboundBounce, strings.ToUpper(token): mta.InboundBounce, "b-" + strings.Repeat("a", len(token)-2): mta.InboundNone,
		token + "a": mta.InboundNone, token[:len(token)-1]: mta.InboundNone, "b-": mta.InboundNone, "marie": mta.InboundNone, "u-" + token[2:]: mta.InboundNone,
	} {
		if got, err := in.Kind(t.Context(), address); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", address, got, err, want)
		}
	}
	// The number of another letter under this one's hash.
	raw, err := tokens32.DecodeString(token[2:])
	d.must(err)
	raw[7]++
	if got, _ := in.Kind(t.Context(), "b-"+tokens32.EncodeToString(raw)); got != mta.InboundNone {
		t.Error("a letter can be guessed")
	}
}

func TestBounces(t *testing.T) {
	tests := []struct {
		status     string
		kind       mta.ReportKind
		returned   bool
		suppressed bool
		alarms     int
	}{
		{"5.1.1", mta.ReportFailed, true, true, 0},
		{"5.2.1", mta.ReportFailed, true, true, 0},
		{"5.1.10", mta.ReportFailed, true, true, 0},
		{"5.2.2", mta.ReportFailed, true, false, 0},
		{"5.0.0", mta.ReportFailed, true, false, 0},
		{"5.7.1", mta.ReportFailed, true, false, 1},
		{"5.1.8", mta.ReportFailed, true, false, 1},
		{"4.4.1", mta.ReportDelayed, false, false, 0},
		{"", mta.ReportNone, false, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.status, func(t *testing.T) {
			d := newDesk(t)
			l := d.sentLetter(mta.Verdict{State: mta.Delivered})
			r := mta.Report{Kind: tt.kind, Status: tt.status, Words: "Marie.Jensen: no, says mx.Example.dk"}
			for range 2 { // a report that comes twice does its work once
				d.must(d.Inbox().Report(t.Context(), local(l.From), r))
			}
			row, err := d.Letter(t.Context(), anna, l.ID)
			d.must(err)
			if (row.State == "refused") != tt.returned || tt.returned && (row.Enhanced != tt.status || row.Reply != "<recipient>: no, says mx.<domain>") {
				t.Errorf("the letter is %+v", row)
			}
			if got := d.events(marie)[0] == "mail came back: "+tt.status+" <recipient>: no, says mx.<domain>"; got != tt.returned {
				t.Errorf("the card tells %q", d.events(marie))
			}
			alarms, err := d.store.Alarms(t.Context())
			if d.must(err); len(alarms) != tt.alarms {
				t.Errorf("alarms %+v", alarms)
			}
			d.pass(time.Hour)
			before := d.countLetters()
			d.signUp(marie, "news")
			if silent := d.countLetters() == before; silent != tt.suppressed {
				t.Errorf("the address gets mail: %v", !silent)
			}
			d.checkOutbox()
			d.check()
		})
	}
}

// A letter may come back before it is written down that it was handed over: the
// report is asked for again, and lost neither then nor now.
func TestBackBeforeItWasMarked(t *testing.T) {
	d := newDesk(t)
	d.cfg.BounceDomain = "bounces.test"
	d.signUp(marie, "news")
	sp := d.Spool()
	got, err := sp.Claim(t.Context(), "me", 1, 0, time.Minute)
	if d.must(err); len(got) != 1 {
		t.Fatal("nothing to send")
	}
	report := func() error {
		return d.Inbox().Report(t.Context(), local(got[0].From), mta.Report{Kind: mta.ReportFailed, Status: "5.1.1", Words: "nobody"})
	}
	if err := report(); !errors.Is(err, errUnderWay) {
		t.Errorf("a letter that is being sent came back: %v", err)
	}
	d.must(sp.Mark(t.Context(), got[0], mta.Verdict{State: mta.Delivered, At: d.time}))
	d.must(report())
	row, err := d.Letter(t.Context(), anna, got[0].ID)
	if d.must(err); row.State != "refused" {
		t.Errorf("the letter is %+v", row)
	}
	d.checkOutbox()
	d.check()
}

// A refusal in the conversation itself says the same as a report.
func TestRefusedAtOnce(t *testing.T) {
	d := newDesk(t)
	d.sentLetter(mta.Verdict{State: mta.Refused, Code: 550, Enhanced: "5.1.1", Reply: "no such user"})
	if got := d.events(marie)[0]; got != "mail came back: 5.1.1 no such user" {
		t.Errorf("the card tells %q", got)
	}
	d.pass(time.Hour)
	before := d.countLetters()
	d.signUp(marie, "news")
	if d.countLetters() != before {
		t.Error("the address still gets mail")
	}
	lifted, err := d.AllowMail(t.Context(), anna, marie, "the mailbox was mended")
	if d.must(err); !lifted {
		t.Error("nothing was lifted")
	}
	d.signUp(marie, "news")
	if d.countLetters() != before+1 {
		t.Error("the address gets no mail after that")
	}
	var refusal *Refusal
	if _, err := d.AllowMail(t.Context(), Actor{Name: "x", Role: Support}, marie, "x"); !errors.As(err, &refusal) {
		t.Errorf("support may lift it: %v", err)
	}
	if _, err := d.AllowMail(t.Context(), anna, marie, "wrote "+marie); !errors.As(err, &refusal) {
		t.Errorf("the reason names the person: %v", err)
	}
	if _, err := d.AllowMail(t.Context(), anna, "nobody@example.dk", "nobody@example.dk wrote"); !errors.As(err, &refusal) {
		t.Errorf("the reason names somebody without a card: %v", err)
	}
}

// A letter that was given up tells on the card why nobody confirmed.
func TestGivenUpShowsOnTheCard(t *testing.T) {
	d := newDesk(t)
	d.sentLetter(mta.Verdict{State: mta.Refused, Enhanced: "5.4.7", Reply: "given up after 4 days; the last answer: greylisted"})
	if got := d.events(marie)[0]; got != "mail came back: 5.4.7 given up after 4 days; the last answer: greylisted" {
		t.Errorf("the card tells %q", got)
	}
	card := d.newest(marie)
	if card.Permission != Pending || card.WaitingUntil == nil {
		t.Errorf("the sign-up no longer waits: %+v", card)
	}
	if card.Undelivered == nil || card.Undelivered.Words() != "5.4.7 given up after 4 days; the last answer: greylisted" || card.NoMailUntil != nil {
		t.Errorf("the card doesn't say that it waits in vain: %+v", card)
	}
}

// A card that waits says why in vain, until another letter goes out: also when
// the letter had been handed over, and by the address that takes no mail.
func TestWaitsInVain(t *testing.T) {
	d := newDesk(t)
	l := d.sentLetter(mta.Verdict{State: mta.Delivered, Code: 250})
	if card := d.newest(marie); card.WaitingUntil == nil || card.Undelivered != nil || card.NoMailUntil != nil {
		t.Errorf("the letter was handed over, and the card is %+v", card)
	}
	before, err := d.Counts(t.Context(), anna)
	d.must(err)
	d.must(d.Inbox().Report(t.Context(), local(l.From), mta.Report{Kind: mta.ReportFailed, Status: "5.1.1", Words: "no such user"}))
	after, err := d.Counts(t.Context(), anna)
	if d.must(err); after.Undelivered != before.Undelivered+1 {
		t.Errorf("the console can't see that something came back: %d, then %d", before.Undelivered, after.Undelivered)
	}
	card := d.newest(marie)
	if card.WaitingUntil == nil || card.Undelivered == nil || card.Undelivered.Words() != "5.1.1 no such user" {
		t.Errorf("the letter came back, and the card is %+v", card)
	}
	if want := d.time.Add(liftAfter).Truncate(time.Second); card.NoMailUntil == nil || !card.NoMailUntil.Equal(want) {
		t.Errorf("no mail until %v, want %v", card.NoMailUntil, want)
	}
	_, err = d.AllowMail(t.Context(), anna, marie, "the mailbox was mended")
	d.must(err)
	d.pass(time.Hour)
	d.signUp(marie, "news")
	if card := d.newest(marie); card.WaitingUntil == nil || card.Undelivered != nil || card.NoMailUntil != nil {
		t.Errorf("another letter is on its way, and the card is %+v", card)
	}
}

func TestSuppressionEnds(t *testing.T) {
	for name, end := range map[string]func(d *desk){
		"by time": func(d *desk) { d.pass(liftAfter + time.Hour) },
		"by erasing": func(d *desk) {
			_, err := d.Erase(d.t.Context(), anna, marie, "asked")
			d.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.sentLetter(mta.Verdict{State: mta.Refused, Enhanced: "5.1.1"})
			d.pass(time.Hour)
			end(d)
			before := d.countLetters()
			d.signUp(marie, "news")
			if d.countLetters() == before {
				t.Error("the address gets no mail")
			}
		})
	}
	d := newDesk(t)
	d.sentLetter(mta.Verdict{State: mta.Refused, Enhanced: "5.1.1"})
	_, err := d.Erase(t.Context(), anna, marie, "asked")
	d.must(err)
	address, err := store.ParseAddress(marie)
	d.must(err)
	if _, err := d.store.Returned(t.Context(), d.store.Keys().AddressKey(address)); !errors.Is(err, ErrNotFound) {
		t.Errorf("what came back is remembered after an erasure: %v", err)
	}
}

func leaveByComplaint(d *desk, l mta.Letter) {
	d.t.Helper()
	d.must(d.Inbox().Report(d.t.Context(), local(l.From), mta.Report{Kind: mta.ReportComplaint}))
}

func leaveByMail(d *desk, l mta.Letter) {
	d.t.Helper()
	_, rest, ok := strings.Cut(strings.ReplaceAll(string(l.Data), "\r\n ", " "), "<mailto:")
	address, _, _ := strings.Cut(rest, "?")
	if !ok || !strings.HasSuffix(address, "@bounces.test") {
		d.t.Fatalf("the letter has no address to leave by: %q", address)
	}
	if kind, err := d.Inbox().Kind(d.t.Context(), local(address)); err != nil || kind != mta.InboundLeave {
		d.t.Fatalf("%v, %v", kind, err)
	}
	d.must(d.Inbox().Leave(d.t.Context(), strings.ToUpper(local(address))))
}

// A complaint unsubscribes from its letter's list, in every state of a card, and
// a mail to the letter's own address does the same.
func TestLeavingByMail(t *testing.T) {
	for how, do := range map[string]func(d *desk, l mta.Letter){"complaint": leaveByComplaint, "mail": leaveByMail} {
		t.Run(how, func(t *testing.T) {
			d := newDesk(t)
			l := d.sentLetter(mta.Verdict{State: mta.Delivered})
			do(d, l)
			do(d, l) // harmless
			if card := d.newest(marie); card.Permission != Unsubscribed || card.WaitingUntil != nil {
				t.Errorf("the sign-up still waits: %+v", card)
			}
			d.check()
		})
		t.Run(how+" after confirming", func(t *testing.T) {
			d := newDesk(t)
			l := d.sentLetter(mta.Verdict{State: mta.Delivered})
			_, secret, _ := strings.Cut(string(l.Data), "/confirm/")
			_, err := d.Confirm(t.Context(), secret[:base64.RawURLEncoding.EncodedLen(32)], click)
			d.must(err)
			do(d, l)
			if card := d.newest(marie); card.Permission != Unsubscribed {
				t.Errorf("the card is %+v", card)
			}
		})
		t.Run(how+" after an erasure", func(t *testing.T) {
			d := newDesk(t)
			l := d.sentLetter(mta.Verdict{State: mta.Delivered})
			_, err := d.Erase(t.Context(), anna, marie, "asked")
			d.must(err)
			before := d.newest(marie)
			if how == "complaint" {
				do(d, l)
			}
			if after := d.newest(marie); after.Permission != Deleted || after.SubscriberID != before.SubscriberID {
				t.Errorf("the tombstone is %+v", after)
			}
		})
	}
}
