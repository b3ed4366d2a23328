package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kartotek/flows"
)

// The fake desk's letters, captured mails and numbers.

func (d *fakeDesk) Outbox(_ context.Context, _ flows.Actor, state string, after int64, limit int) ([]flows.Letter, error) {
	if err := d.begin(""); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []flows.Letter
	for _, l := range d.outbox {
		if (state == "" || l.State == state) && (after == 0 || l.ID < after) && len(out) < limit {
			out = append(out, l)
		}
	}
	return out, nil
}

func (d *fakeDesk) Overview(context.Context, flows.Actor) (flows.Overview, error) {
	if err := d.begin(""); err != nil {
		return flows.Overview{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o := flows.Overview{At: today.Add(3 * time.Second)}
	for _, l := range d.outbox {
		switch l.State {
		case "held":
			o.LettersHeld++
		case "due", "sending", "deferred":
			o.LettersOpen++
		}
	}
	o.LettersOpen += d.queued
	o.ByPermission = map[flows.Permission]int64{flows.Confirmed: d.n * 4 / 5, flows.Pending: d.n / 50, flows.Unsubscribed: d.n / 8, flows.Deleted: d.n / 30}
	name := "News"
	if d.hostile {
		name = evil
	}
	o.Lists = []flows.List{{Name: "Offers of the week", Subscribed: d.n / 3}, {Name: name, Subscribed: d.n * 3 / 4}, {Name: "Udsalg & fester"}}
	for i := range int64(90) {
		n := flows.DayNumbers{
			Day: today.AddDate(0, 0, int(i-89)), ByPermission: map[flows.Permission]int64{}, Subscribed: map[string]int64{},
			Asked: d.n / 60 * (i % 7), Given: d.n / 80 * (i % 7), Erased: d.n / 300 * (i % 3 / 2), Resubscribed: d.n / 900 * (i % 5 / 4),
			Delivered: d.n / 8, Deferred: d.n / 100 * (i % 4 / 3), Refused: d.n / 400,
		}
		for p, now := range o.ByPermission {
			n.ByPermission[p] = now * (400 + i*i/89) / 489
		}
		n.ByPermission[flows.Pending] = o.ByPermission[flows.Pending] + i%5
		for j, l := range o.Lists {
			n.Subscribed[l.Name] = l.Subscribed * (100 + i*int64(1-2*j)) / (189 - 178*int64(j%2))
		}
		o.Days = append(o.Days, n)
	}
	for i := range int64(26) {
		o.Weeks = append(o.Weeks, flows.WeekNumbers{Week: flows.Week{Opens: d.n / 2 * (3 + i%9), Clicks: d.n / 20 * (i % 6)}})
	}
	o.Forgotten, o.AndMore = flows.Ends{Day: d.n / 150, Week: d.n / 20, Month: d.n / 20}, d.hostile
	o.Requests = flows.DueRequests{Open: d.n / 400, Week: d.n / 900, Late: d.n / 2000, Next: ptr(today.AddDate(0, 0, 6))}
	if o.Requests.Late > 0 {
		o.Requests.Next = ptr(today.AddDate(0, 0, -2))
	}
	o.Evidence = flows.Ends{Day: d.n / 1000, Week: d.n / 160, Month: d.n / 40}
	return o, nil
}

func (d *fakeDesk) OutboxStats(context.Context, flows.Actor) (flows.OutboxStats, error) {
	if err := d.begin(""); err != nil {
		return flows.OutboxStats{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o := flows.OutboxStats{At: today, Alarms: d.alarms, Days: make([]flows.MailDay, 7)}
	for i := range o.Days {
		o.Days[i] = flows.MailDay{Day: today.AddDate(0, 0, i-6), Delivered: d.n / 8 * int64(i) / 6 * int64(1+i%3) / int64(1+6%3), Deferred: d.n / 100, Refused: d.n / 400}
	}
	for _, l := range d.outbox {
		switch l.State {
		case "held":
			o.Held++
		case "due":
			o.Due++
		case "sending":
			o.Sending++
		case "deferred":
			o.Deferred++
		}
	}
	o.Due += d.queued
	return o, nil
}

func (d *fakeDesk) Destinations(context.Context, flows.Actor) ([]flows.Destination, error) {
	if err := d.begin(""); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	byHost := map[string]*flows.Destination{}
	var hosts []string
	for _, l := range d.outbox {
		if byHost[l.Host] == nil {
			byHost[l.Host] = &flows.Destination{Host: l.Host}
			hosts = append(hosts, l.Host)
		}
		to := byHost[l.Host]
		switch l.State {
		case "deferred":
			to.Deferred, to.Words, to.Next = to.Deferred+1, l.Reply, l.Due
		case "refused":
			to.Refused, to.Words = to.Refused+1, l.Reply
		case "delivered":
			to.Delivered += 417
		default:
			to.Waiting++
		}
	}
	var out []flows.Destination
	for _, h := range hosts {
		out = append(out, *byHost[h])
	}
	return out, nil
}

func (d *fakeDesk) Retention(context.Context, flows.Actor) (flows.Retention, error) {
	return flows.Retention{EvidenceKept: "2y"}, d.begin("")
}

func (d *fakeDesk) SetRetention(_ context.Context, _ flows.Actor, r flows.Retention) error {
	return d.begin("keep evidence " + r.EvidenceKept)
}

func (d *fakeDesk) ClearAlarms(context.Context, flows.Actor, time.Time) (int64, error) {
	if err := d.begin("clear alarms"); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alarms = nil
	return 1, nil
}

func (d *fakeDesk) Story(_ context.Context, _ flows.Actor, id int64) (flows.LetterStory, error) {
	if err := d.begin(""); err != nil {
		return flows.LetterStory{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.outbox {
		if l.ID != id {
			continue
		}
		s := flows.LetterStory{Letter: l}
		for n := range l.Attempts {
			talk := []string{"< 220 mx1.example.dk ESMTP", "> EHLO kartotek.example", "> MAIL FROM:<sender> SIZE=3100", "> RCPT TO:<recipient>", "< 250 2.1.0 Ok", "< 451 4.7.1 Greylisted"}
			if d.hostile {
				talk = []string{evil}
			}
			s.Tries = append(s.Tries, flows.Try{
				Number: n + 1, At: today.Add(time.Duration(n-l.Attempts) * time.Hour), State: map[bool]string{true: "deferred", false: l.State}[l.State == "due"],
				Host: l.Host, Reply: l.Reply, TLS: "TLS 1.3", Talk: talk,
			})
		}
		return s, nil
	}
	return flows.LetterStory{}, flows.ErrNotFound
}

// letterAct does an act on a letter, as far as a fake needs to.
func (d *fakeDesk) letterAct(what string, id int64, state string) (flows.Letter, error) {
	if err := d.begin(fmt.Sprintf("%s %d", what, id)); err != nil {
		return flows.Letter{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.outbox {
		if d.outbox[i].ID == id {
			d.outbox[i].State, d.outbox[i].Due = state, ptr(today)
			return d.outbox[i], nil
		}
	}
	return flows.Letter{}, flows.ErrNotFound
}

func (d *fakeDesk) Retry(_ context.Context, _ flows.Actor, id int64) (flows.Letter, error) {
	return d.letterAct("retry", id, "due")
}

func (d *fakeDesk) Hold(_ context.Context, _ flows.Actor, id int64) (flows.Letter, error) {
	return d.letterAct("hold", id, "held")
}

func (d *fakeDesk) Release(_ context.Context, _ flows.Actor, id int64) (flows.Letter, error) {
	return d.letterAct("release", id, "due")
}

func (d *fakeDesk) Drop(_ context.Context, _ flows.Actor, id int64, reason string) error {
	if err := d.begin(fmt.Sprintf("drop %d %q", id, reason)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outbox = slices.DeleteFunc(d.outbox, func(l flows.Letter) bool { return l.ID == id })
	return nil
}

func (d *fakeDesk) WhyLetter(_ flows.Actor, act string, l flows.Letter) string {
	switch {
	case act == flows.ActRetry && l.State != "deferred":
		return "it is not deferred"
	case act == flows.ActDrop && l.State == "delivered":
		return "it was handed over to the next server"
	case act == flows.ActHold && l.State != "due" && l.State != "deferred":
		return "it does not wait"
	}
	return ""
}

func (d *fakeDesk) Mailbox(context.Context, flows.Actor, int) ([]flows.Mail, error) {
	if err := d.begin(""); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mails, nil
}

func (d *fakeDesk) Mail(_ context.Context, _ flows.Actor, number int64) (flows.Mail, error) {
	if err := d.begin(""); err != nil {
		return flows.Mail{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.mails {
		if m.Number == number {
			m.From = "News <news@kartotek.example>"
			m.Text = "Hello,\n\nsomebody, hopefully you, asked to have News sent to this address.\n\nIf that was you, please confirm it here:\n\n" + m.Links[0] +
				"\n\nIf it was not, do nothing: after 7 days the request is forgotten, address and all.\n\nKind regards\nKartotek"
			if d.hostile {
				m.Text = evil + "\n" + strings.Repeat("w ", 5000)
			}
			return m, nil
		}
	}
	return flows.Mail{}, flows.ErrNotFound
}

// withMail fills the outbox and the mailbox.
func (d *fakeDesk) withMail() *fakeDesk {
	link := "http://127.0.0.1:8425/confirm/Zt4nS0p1Qm8vYw2xKc7uRb3eHd9fLg5aJ6iTo_kEMsA"
	for i := range int64(12) {
		d.mails = append(d.mails, flows.Mail{
			Number: 12 - i, At: today.Add(-time.Duration(i*i*7) * time.Minute), ToMasked: "mar**.******@example.dk",
			Subject: []string{"Please confirm: News", "Bekræft venligst: Nyhedsbrevet", "Bitte bestätigen: 宝宝 Neuigkeiten"}[i%3], Links: []string{link},
		})
	}
	for i := range int64(30) {
		l := flows.Letter{
			ID: 130 - i, SubscriberID: 1030 - i, Kind: "confirmation", ToMasked: "mar**.******@example.dk", Created: today.Add(-time.Duration(i) * time.Hour),
			State: []string{"due", "sending", "deferred", "refused", "held", "delivered"}[min(i, 5)],
		}
		switch l.State {
		case "due":
			l.Due = ptr(today)
		case "deferred":
			l.Due, l.Attempts, l.Host, l.Reply = ptr(today.Add(14*time.Minute)), 3, "mx1.example.dk", "451 4.7.1 Greylisted, please try again in 15 minutes"
		case "refused":
			l.Attempts, l.Host, l.Reply = 1, "mx2.example.com", "550 5.1.1 <i***@exam***.com>: no such user here"
		case "delivered":
			l.Attempts, l.Host, l.Reply, l.Delivered = 1, "mx.postkasse.example", "250 2.0.0 Ok: queued as 4bXk2", ptr(l.Created.Add(time.Second))
		}
		if d.hostile {
			l.Reply, l.ToMasked, l.Kind = evil, evil, evil
		}
		d.outbox = append(d.outbox, l)
	}
	if d.hostile {
		for i := range d.mails {
			d.mails[i].Subject, d.mails[i].ToMasked = evil, evil
		}
	}
	return d
}
