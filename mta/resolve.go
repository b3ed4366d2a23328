package mta

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Resolver is what the room needs of the name service; [net.Resolver] has it.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

const (
	// lookupTime bounds one question to the name service.
	lookupTime = 20 * time.Second
	// mxKept is how long an answer is believed; its own TTL is not known here.
	mxKept = 5 * time.Minute
	// maxDomains and maxMX bound what is kept, of all domains and of one.
	maxDomains = 10_000
	maxMX      = 20
)

// exchangers finds the servers that take mail for a domain (RFC 5321 section 5.1).
type exchangers struct {
	resolver Resolver
	self     string // our own host name: mail must not come back to us
	now      func() time.Time

	mu   sync.Mutex
	kept map[string]mxAnswer
}

type mxAnswer struct {
	until time.Time
	mx    []*net.MX // by preference
	no    *Verdict  // why there are none
}

func newExchangers(r Resolver, self string) *exchangers {
	return &exchangers{resolver: r, self: self, now: time.Now, kept: map[string]mxAnswer{}}
}

// find returns the hosts that take mail for the domain (in A-labels), the best first and equally good ones at
// random. Without any the verdict says why: refused if that is certain, deferred if the name service failed.
func (e *exchangers) find(ctx context.Context, domain string) ([]string, *Verdict) {
	e.mu.Lock()
	answer, ok := e.kept[domain]
	e.mu.Unlock()
	if !ok || e.now().After(answer.until) {
		answer = e.ask(ctx, domain)
		if answer.no == nil || answer.no.State == Refused {
			e.keep(domain, answer)
		}
	}
	if answer.no != nil {
		no := *answer.no
		return nil, &no
	}
	return shuffled(answer.mx), nil
}

// ask puts the question to the name service.
func (e *exchangers) ask(ctx context.Context, domain string) mxAnswer {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := e.resolver.LookupMX(ctx, domain+".") // the dot: never in a search domain
	mx := usable(found)
	switch {
	case len(found) == 1 && isRoot(found[0].Host):
		return mxAnswer{no: refuse("5.1.10", "the domain takes no mail, as its null MX says")}
	case len(mx) > 0:
		return e.withoutUs(mx) // what an error says of further, malformed records is of no matter
	case err == nil && len(found) > 0:
		return mxAnswer{no: refuse("5.4.4", "the domain names no usable mail server")}
	case err != nil && !isNotFound(err):
		return mxAnswer{no: nameTrouble()}
	}
	// Without an MX record the domain itself is the server, if it has an address.
	if _, err := e.resolver.LookupIPAddr(ctx, domain+"."); err != nil {
		if isNotFound(err) {
			return mxAnswer{no: refuse("5.1.2", "the domain does not exist, or has no mail server and no address")}
		}
		return mxAnswer{no: nameTrouble()}
	}
	return e.withoutUs([]*net.MX{{Host: domain}})
}

// withoutUs drops ourselves and every host that is no better: what gets there would come back.
func (e *exchangers) withoutUs(mx []*net.MX) mxAnswer {
	for i, m := range mx {
		if m.Host != e.self {
			continue
		}
		first := slices.IndexFunc(mx[:i+1], func(o *net.MX) bool { return o.Pref == m.Pref })
		mx = mx[:first]
		break
	}
	if len(mx) == 0 {
		return mxAnswer{no: refuse("5.4.6", "the domain names this server as its own, which takes no mail for it")}
	}
	return mxAnswer{mx: mx}
}

// keep remembers an answer for a while. When too many are kept the old ones go, and if there are none, any.
func (e *exchangers) keep(domain string, answer mxAnswer) {
	now := e.now()
	answer.until = now.Add(mxKept)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) >= maxDomains {
		for d, a := range e.kept {
			if now.After(a.until) {
				delete(e.kept, d)
			}
		}
	}
	for d := range e.kept {
		if len(e.kept) < maxDomains {
			break
		}
		delete(e.kept, d)
	}
	e.kept[domain] = answer
}

// usable returns the records whose hosts are host names, sorted by preference, the first [maxMX] of them.
func usable(found []*net.MX) []*net.MX {
	var mx []*net.MX
	for _, m := range found {
		if host, err := domainASCII(m.Host); err == nil && !isRoot(m.Host) {
			mx = append(mx, &net.MX{Host: host, Pref: m.Pref})
		}
	}
	slices.SortStableFunc(mx, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	return mx[:min(len(mx), maxMX)]
}

// shuffled returns the hosts in order of preference, those of the same one in random order, each host once.
func shuffled(mx []*net.MX) []string {
	mx = slices.Clone(mx)
	rand.Shuffle(len(mx), func(i, j int) { mx[i], mx[j] = mx[j], mx[i] })
	slices.SortStableFunc(mx, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	var hosts []string
	for _, m := range mx {
		if !slices.Contains(hosts, m.Host) {
			hosts = append(hosts, m.Host)
		}
	}
	return hosts
}

func isRoot(host string) bool { return host == "." || host == "" }

// isNotFound tells an answer that there is nothing from having got no answer.
func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

func nameTrouble() *Verdict {
	return &Verdict{State: Deferred, Enhanced: "4.4.3", Reply: "the name service gave no answer about the domain"}
}
