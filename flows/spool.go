package flows

import (
	"context"
	"errors"
	"maps"
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

// Spool joins the mail sender to the outbox.
type Spool struct {
	s    *Service
	more atomic.Bool // the last claim found something, so there may be more

	mu      sync.Mutex
	claimed map[int64]inHand
	leases  map[int64]string // of claims that were heard of, with their owners, until they are over
	marks   marks
}

// inHand is a letter that was claimed, without its text.
type inHand struct {
	store.Letter
	store.Envelope
	list string
}

// Spool is the outbox as the mail sender sees it.
func (s *Service) Spool() *Spool {
	sp := &Spool{s: s, claimed: map[int64]inHand{}, leases: map[int64]string{}}
	atOnce := marksAtOnce
	if s.store.OnServer() {
		atOnce = marksAtOnceOnServer
	}
	sp.marks.atOnce = atOnce
	return sp
}

// What a sender says of which letter, by names of this room: marks.go writes it.
type (
	tried   = mta.Letter
	verdict = mta.Verdict
)

const (
	verdictDelivered = mta.Delivered
	verdictDeferred  = mta.Deferred
	verdictPostponed = mta.Postponed
)

// errLost tells a sender that a letter is no longer its own.
var errLost = mta.ErrLost

// Claim leases up to n due letters to owner, and up to spare more that are
// urgent, and counts the attempts, before anything is dialled. Letters that
// can't be opened are the error; the others are returned nevertheless.
func (sp *Spool) Claim(ctx context.Context, owner string, n, spare int, lease time.Duration) ([]mta.Letter, error) {
	s := sp.s
	if n+spare == 0 {
		return nil, nil
	}
	if n == 0 || !sp.more.Load() {
		any, err := s.store.AnyDue(ctx, store.At(s.now()), n, spare)
		if err != nil || !any {
			return nil, err // nothing to do takes no lock
		}
	}
	var found []store.Claimed
	c := store.Claim{Owner: owner, N: n, Spare: spare}
	c.InHand, c.Over = sp.held(owner)
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		c.Now, c.Until = store.At(s.now()), store.At(s.now().Add(lease)) // not when it began to wait
		found, err = tx.ClaimLetters(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	sp.more.Store(len(found) > 0)
	sp.hear(found, c.Over)
	out := make([]mta.Letter, 0, len(found))
	hand := make([]inHand, 0, len(found))
	var damaged []store.Letter
	for i := range found {
		l := &found[i]
		from, bad := "", s.store.Keys().OpenClaimed(l)
		if bad == nil {
			from, bad = s.senderOf(l.ID, l.From)
		}
		if bad != nil {
			err = errors.Join(err, bad)
			damaged = append(damaged, l.Letter)
			continue
		}
		out = append(out, mta.Letter{
			ID: l.ID, Lease: l.Lease(), From: from, To: l.To, Data: l.Data, Attempts: l.Attempts, Created: l.CreatedAt.Time(), Urgent: l.Was() == store.LetterUrgent,
		})
		l.Data = nil
		hand = append(hand, inHand{l.Letter, l.Envelope, l.ListName})
	}
	sp.mu.Lock()
	for _, l := range hand {
		sp.claimed[l.ID] = l
	}
	sp.mu.Unlock()
	if damaged != nil {
		err = errors.Join(err, sp.putBack(ctx, damaged, s.now().Add(lease)))
	}
	return out, err
}

// held are the leases of owner with letters that have no verdict yet, and those
// whose letters all have one.
func (sp *Spool) held(owner string) (inHand, over []int64) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	open := map[int64]bool{}
	for _, l := range sp.claimed {
		if l.Owner == owner {
			open[l.Lease()] = true
		}
	}
	for lease, of := range sp.leases {
		if of == owner && !open[lease] {
			over = append(over, lease)
		}
	}
	return slices.Collect(maps.Keys(open)), over
}

// hear notes the lease of letters that were found, for which those that were
// over went.
func (sp *Spool) hear(found []store.Claimed, over []int64) {
	if len(found) == 0 {
		return
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for _, lease := range over {
		delete(sp.leases, lease)
	}
	sp.leases[found[0].Lease()] = found[0].Owner
}

// putBack lets letters wait that can't be opened: the next look may go better,
// and somebody has to see to them.
func (sp *Spool) putBack(ctx context.Context, letters []store.Letter, until time.Time) error {
	ids := make([]int64, len(letters))
	for i, l := range letters {
		ids[i] = l.ID
	}
	err := sp.s.store.InTx(ctx, func(tx *store.Tx) error {
		leased, err := tx.Leased(ctx, ids)
		if err != nil {
			return err
		}
		for _, l := range letters {
			now, ok := leased[l.ID]
			if !ok || now.Lease() != l.Lease() {
				continue // staff were faster, or it was put back and the answer lost
			}
			if err := tx.PostponeLetter(ctx, now, store.At(until)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		sp.unhear(letters[0].Lease())
	}
	return err
}

// unhear leaves the end of a lease to the next claim: something is left in it of
// which no verdict comes.
func (sp *Spool) unhear(lease int64) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	delete(sp.leases, lease)
}

// Forget lets a letter go of which no verdict comes.
func (sp *Spool) Forget(l mta.Letter) {
	sp.unhear(l.Lease)
	sp.landed(l.ID, l.Lease)
}

// landed takes a letter out of hand, unless it is there by a later claim.
func (sp *Spool) landed(id, lease int64) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.claimed[id].Lease() == lease {
		delete(sp.claimed, id)
	}
}

// Renew lets the leases of owner begin anew, of which letters are in hand.
func (sp *Spool) Renew(ctx context.Context, owner string, lease time.Duration) error {
	inHand, _ := sp.held(owner)
	if inHand == nil {
		return nil
	}
	return sp.s.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.RenewLeases(ctx, inHand, store.At(sp.s.now().Add(lease)))
	})
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
