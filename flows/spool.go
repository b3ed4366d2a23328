package flows

import (
	"context"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"golang.org/x/net/idna"

	"kartotek/mta"
	"kartotek/store"
)

// maxMarks is how many verdicts one transaction writes.
const maxMarks = 64

// Spool joins the mail sender to the outbox. Verdicts that come at once are
// written in one transaction: each waits for it to be kept.
type Spool struct {
	s    *Service
	turn chan struct{} // held by who writes
	more atomic.Bool   // the last claim left some, perhaps

	mu      sync.Mutex
	waiting []*mark
	claimed map[int64]inHand
}

// inHand is a letter that was claimed, without its text.
type inHand struct {
	store.Envelope
	was store.LetterState
}

// mark is a verdict on its way into the store.
type mark struct {
	owner string
	id    int64
	v     mta.Verdict
	err   error
	done  chan struct{}
}

// Spool is the outbox as the mail sender sees it.
func (s *Service) Spool() *Spool {
	return &Spool{s: s, turn: make(chan struct{}, 1), claimed: map[int64]inHand{}}
}

// Claim leases up to n due letters to owner, and up to spare more that are
// urgent, and counts the attempts, before anything is dialled.
func (sp *Spool) Claim(ctx context.Context, owner string, n, spare int, lease time.Duration) ([]mta.Letter, error) {
	s := sp.s
	now := store.At(s.now())
	if !sp.more.Load() {
		any, err := s.store.AnyDue(ctx, now)
		if err != nil || !any {
			return nil, err // nothing to do takes no lock
		}
	}
	var found []store.Claimed
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		found, err = tx.ClaimLetters(ctx, now, n, spare, owner, store.At(s.now().Add(lease)))
		return err
	})
	if err != nil {
		return nil, err
	}
	sp.more.Store(len(found) >= n && n > 0)
	out := make([]mta.Letter, 0, len(found))
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for _, l := range found {
		from, err := s.senderOf(l.ID, l.From)
		if err != nil {
			return nil, err
		}
		out = append(out, mta.Letter{
			ID: l.ID, From: from, To: l.To, Data: l.Data, Attempts: l.Attempts, Created: l.CreatedAt.Time(), Urgent: l.State == store.LetterUrgent,
		})
		l.Data = nil
		sp.claimed[l.ID] = inHand{l.Envelope, l.State}
	}
	return out, nil
}

// Renew lets the leases of owner begin anew.
func (sp *Spool) Renew(ctx context.Context, owner string, lease time.Duration) error {
	return sp.s.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.RenewLeases(ctx, owner, store.At(sp.s.now().Add(lease)))
	})
}

// Mark writes the verdict of a delivery, fenced by the owner of the lease. A
// letter that was handed over becomes evidence on the card.
func (sp *Spool) Mark(ctx context.Context, owner string, id int64, v mta.Verdict) error {
	m := &mark{owner: owner, id: id, v: v, done: make(chan struct{})}
	sp.mu.Lock()
	sp.waiting = append(sp.waiting, m)
	sp.mu.Unlock()
	for {
		select {
		case <-m.done:
			return m.err
		case sp.turn <- struct{}{}:
			sp.write(ctx)
			<-sp.turn
		}
	}
}

// write takes what waits and writes it; what fails together is tried one by
// one, so that no letter suffers for another.
func (sp *Spool) write(ctx context.Context) {
	sp.mu.Lock()
	n := min(len(sp.waiting), maxMarks)
	batch := sp.waiting[:n:n]
	sp.waiting = sp.waiting[n:]
	sp.mu.Unlock()
	if n == 0 {
		return // another has written ours
	}
	err := sp.writeAll(ctx, batch)
	for _, m := range batch {
		switch {
		case err == nil:
		case errors.Is(err, store.ErrAway), errors.Is(err, store.ErrBusy), ctx.Err() != nil:
			m.err = err // it would go no better one by one
		default:
			if err := sp.writeAll(ctx, []*mark{m}); err != nil {
				m.err = err // else it has its own: a lease may be lost
			}
		}
	}
	sp.mu.Lock()
	for _, m := range batch {
		if m.err == nil || errors.Is(m.err, mta.ErrLost) {
			delete(sp.claimed, m.id)
		}
	}
	sp.mu.Unlock()
	for _, m := range batch {
		close(m.done)
	}
}

// writeAll writes some marks in one transaction.
func (sp *Spool) writeAll(ctx context.Context, batch []*mark) error {
	return sp.s.store.InTx(ctx, func(tx *store.Tx) error {
		ids := make([]int64, len(batch))
		for i, m := range batch {
			ids[i] = m.id
		}
		leased, err := tx.Leased(ctx, ids)
		if err != nil {
			return err
		}
		w := written{ended: map[ending][]store.Letter{}}
		for _, m := range batch {
			l, ok := leased[m.id]
			if m.err = nil; !ok || l.Owner != m.owner {
				m.err = mta.ErrLost
				continue
			}
			if err := sp.writeOne(ctx, tx, l, m.v, &w); err != nil {
				return err
			}
		}
		if err := handedOver(ctx, tx, w.handed); err != nil {
			return err
		}
		for end, letters := range w.ended {
			if err := tx.EndLetters(ctx, letters, end.state, store.At(sp.s.now())); err != nil {
				return err
			}
		}
		return tx.AddAttempts(ctx, w.attempts)
	})
}

// written is what a transaction of marks writes at its end, all at once.
type written struct {
	attempts []store.Attempt
	handed   []handing
	ended    map[ending][]store.Letter
}

// ending is what letters that end together have in common.
type ending struct {
	owner string
	state store.LetterState
}

func (sp *Spool) writeOne(ctx context.Context, tx *store.Tx, l store.Letter, v mta.Verdict, w *written) error {
	if v.State == mta.Postponed {
		return tx.PostponeLetter(ctx, l, sp.was(l.ID), store.At(v.Retry))
	}
	e, err := sp.envelope(ctx, tx, l.ID)
	if err != nil {
		return err
	}
	hide := withoutDomain(e.To)
	a := store.Attempt{
		LetterID: l.ID, N: l.Attempts, At: store.At(v.At), Code: v.Code, Enhanced: v.Enhanced, Reply: hide(v.Reply), Host: hostWithout(e.To, v.Host), TLS: v.TLS, Talk: boundTalk(v.Transcript, hide),
	}
	switch v.State {
	case mta.Deferred:
		a.State = store.LetterDeferred
		err = tx.DeferLetter(ctx, l, store.At(v.Retry))
	case mta.Delivered:
		a.State = store.LetterDelivered
		handed := store.Handed{At: a.At, Server: v.Host, Reply: a.Reply, Digest: hex.EncodeToString(v.Digest[:])}
		w.handed = append(w.handed, handing{l, e, handed})
	default:
		a.State = store.LetterRefused
		err = sp.s.comesBack(ctx, tx, l, a.Enhanced, a.Reply, true)
	}
	if a.State != store.LetterDeferred {
		end := ending{l.Owner, a.State}
		w.ended[end] = append(w.ended[end], l)
	}
	w.attempts = append(w.attempts, a)
	return err
}

// envelope is that of a letter in hand, kept since it was claimed.
func (sp *Spool) envelope(ctx context.Context, tx *store.Tx, id int64) (store.Envelope, error) {
	sp.mu.Lock()
	l, ok := sp.claimed[id]
	sp.mu.Unlock()
	if ok {
		return l.Envelope, nil
	}
	return tx.Envelope(ctx, id)
}

// was is what a letter in hand waits as when nobody was asked to take it: an
// urgent one stays urgent.
func (sp *Spool) was(id int64) store.LetterState {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if l := sp.claimed[id]; l.was == store.LetterUrgent || l.was == store.LetterDue {
		return l.was
	}
	return store.LetterDeferred
}

// maxTalk bounds what is kept of one conversation, in bytes.
const maxTalk = 4096

// boundTalk makes a conversation fit to be kept: its beginning and its end,
// which tell the most.
func boundTalk(lines []string, hide func(string) string) []string {
	out := make([]string, len(lines))
	size := 0
	for i, line := range lines {
		out[i] = hide(line)
		size += len(out[i])
	}
	for size > maxTalk && len(out) > 2 {
		i := len(out) / 2
		size -= len(out[i])
		out = append(out[:i], out[i+1:]...)
	}
	return out
}

// withoutRecipient takes the recipient, local part and domain, out of the words
// of a report, which doesn't tell itself whom it is about.
func withoutRecipient(to, words string) string { return withoutDomain(to)(mta.CleanReply(words, to)) }

// withoutDomain takes the recipient's domain, in both its forms, out of a
// server's words: beside the masked address it would tell the rest of it.
func withoutDomain(to string) func(words string) string {
	forms := domainForms(to)
	var pattern *regexp.Regexp // made when it is needed: most servers don't say it
	return func(words string) string {
		lower := strings.ToLower(words)
		if !slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(lower, form) }) {
			return words
		}
		if pattern == nil {
			quoted := make([]string, len(forms))
			for i, form := range forms {
				quoted[i] = regexp.QuoteMeta(form)
			}
			pattern = regexp.MustCompile("(?i)" + strings.Join(quoted, "|"))
		}
		return pattern.ReplaceAllLiteralString(words, domainHidden)
	}
}

// domainHidden stands where a recipient's domain stood.
const domainHidden = "<domain>"

// domainForms are the domain of an address in small letters: as the DNS has it
// and, where that differs, in Unicode. None of an address without one.
func domainForms(to string) []string {
	domain := strings.ToLower(to[strings.LastIndexByte(to, '@')+1:])
	if domain == "" {
		return nil
	}
	forms, other := []string{domain}, ""
	switch {
	case strings.Contains(domain, "xn--"):
		other, _ = idna.ToUnicode(domain) // of a wrong label the rest
	case strings.ContainsFunc(domain, func(r rune) bool { return r > unicode.MaxASCII }):
		other, _ = idna.ToASCII(domain)
	}
	if other != "" && other != domain {
		forms = append(forms, strings.ToLower(other))
	}
	return forms
}

// hostWithout is the name of a server that a letter went to, as staff see it
// beside the masked address. A server of the recipient's own domain, which one
// without an MX record is itself, would tell what the mask hides.
func hostWithout(to, host string) string {
	lower := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, form := range domainForms(to) {
		if front, own := strings.CutSuffix(lower, form); own && (front == "" || front[len(front)-1] == '.') {
			return front + domainHidden
		}
	}
	return host
}

// Inbox takes in what comes back by mail.
type Inbox struct{ s *Service }

// Inbox is where the bounce port brings what comes back.
func (s *Service) Inbox() Inbox { return Inbox{s} }

// Kind tells what an address of ours is for, by its local part.
func (in Inbox) Kind(ctx context.Context, local string) (mta.Inbound, error) {
	if _, ok, err := in.s.letterOfSender(local); ok || err != nil {
		return mta.InboundBounce, err
	}
	secret, ok := secretOfLeave(local)
	if !ok {
		return mta.InboundNone, nil
	}
	_, err := in.s.store.Token(ctx, secret, store.ForUnsubscribe)
	if errors.Is(err, ErrNotFound) {
		return mta.InboundNone, nil
	}
	return mta.InboundLeave, err
}

// Report takes what a mail to a letter's own sender said.
func (in Inbox) Report(ctx context.Context, local string, r mta.Report) error {
	b := Bounce{Local: local, Status: r.Status, Words: r.Words, Final: r.Kind == mta.ReportFailed, Complaint: r.Kind == mta.ReportComplaint}
	if r.Kind == mta.ReportNone {
		return nil
	}
	return in.s.TakeBounce(ctx, b)
}

// Leave takes the writer of a mail off the list that the address is about.
func (in Inbox) Leave(ctx context.Context, local string) error {
	secret, ok := secretOfLeave(local)
	if !ok {
		return nil
	}
	_, err := in.s.UnsubscribeByToken(ctx, secret, false, Client{})
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return nil // frozen: it gets no mail
	}
	return err
}
