package mta

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Publication is what a domain that mail leaves in the name of must publish, and from where it leaves.
type Publication struct {
	From   string       // the domain of the letters' sender
	Bounce string       // the domain of the addresses that mail comes back to; empty for From
	Keys   []SigningKey // that letters of From are signed with
	Helo   string       // how we introduce ourselves; empty where a smart host delivers
}

// Finding is what one look at the name service showed.
type Finding struct {
	Check string `json:"check"` // SPF, DKIM, DMARC, PTR, MX
	Name  string `json:"name"`  // that was looked at
	State string `json:"state"` // ok, missing, wrong, or unknown when nobody answered
	Words string `json:"words"`
	// Publish is the line of a zone file that mends it; empty where only a person can tell.
	Publish string `json:"publish,omitempty"`
}

// The states of a finding.
const (
	FoundOK      = "ok"
	FoundMissing = "missing"
	FoundWrong   = "wrong"
	FoundUnknown = "unknown"
)

// PTRResolver also finds names by address; [net.Resolver] has it.
type PTRResolver interface {
	Resolver
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// checkTime bounds all look-ups of one check.
const checkTime = 20 * time.Second

// checker looks at what is published.
type checker struct {
	r   PTRResolver
	pub Publication
}

// CheckPublished looks whether receivers find what they go by when they decide about our mail: SPF (RFC 7208) of the
// envelope's domain, DKIM, DMARC (RFC 7489), the name of our own address (RFC 1912 section 2.1), and where mail that
// comes back goes.
func CheckPublished(ctx context.Context, r PTRResolver, pub Publication) []Finding {
	if pub.Bounce == "" {
		pub.Bounce = pub.From
	}
	c := checker{r, pub}
	checks := []func(context.Context) []Finding{c.spf, c.dkim, c.dmarc, c.ptr, c.mx}
	var out []Finding
	for _, check := range checks {
		within, cancel := context.WithTimeout(ctx, checkTime)
		out = append(out, check(within)...)
		cancel()
	}
	return out
}

// txt reads the TXT records of a name that begin with a word.
func (c checker) txt(ctx context.Context, name, begin string) ([]string, error) {
	all, err := c.r.LookupTXT(ctx, name+".")
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	var out []string
	for _, t := range all {
		if word, _, _ := strings.Cut(strings.ToLower(t), " "); strings.HasPrefix(strings.TrimSuffix(word, ";"), begin) {
			out = append(out, t)
		}
	}
	return out, nil
}

const noAnswer = "the name service gave no answer: try again, or ask another one"

func (c checker) spf(ctx context.Context) []Finding {
	f := Finding{Check: "SPF", Name: c.pub.Bounce}
	suggested := "v=spf1 include:THE-RELAY'S-DOMAIN -all"
	if c.pub.Helo != "" {
		suggested = "v=spf1 a:" + c.pub.Helo + " -all"
	}
	found, err := c.txt(ctx, c.pub.Bounce, "v=spf1")
	switch {
	case err != nil:
		f.State, f.Words = FoundUnknown, noAnswer
	case len(found) == 0:
		f.State, f.Words, f.Publish = FoundMissing, "no SPF record says who may send in the name of the envelope's domain", ZoneLine(c.pub.Bounce, suggested)
	case len(found) > 1:
		f.State, f.Words = FoundWrong, "there are several SPF records, which counts as an error: make one of them"
	default:
		f.State, f.Words = c.weigh(ctx, found[0])
		if f.State == FoundWrong {
			f.Publish = ZoneLine(c.pub.Bounce, suggested)
		}
	}
	return []Finding{f}
}

// weigh tells whether an SPF record allows our own addresses, where mail leaves from here.
func (c checker) weigh(ctx context.Context, record string) (state, words string) {
	if c.pub.Helo == "" {
		return FoundOK, "there is one: " + oneLine(record) + "; whether it names the relay, the relay's owner knows"
	}
	ours, err := c.r.LookupIPAddr(ctx, c.pub.Helo+".")
	if err != nil || len(ours) == 0 {
		return FoundUnknown, "the name that we introduce ourselves by leads to no address, so nobody can tell whether the record allows it"
	}
	for _, ip := range ours {
		addr, ok := netip.AddrFromSlice(ip.IP)
		if !ok {
			continue
		}
		asked := 0
		switch allows, err := c.allows(ctx, c.pub.Bounce, record, addr.Unmap(), &asked); {
		case err != nil:
			return FoundUnknown, "the record can't be weighed here: " + oneLine(record)
		case !allows:
			return FoundWrong, "the record does not allow our address " + addr.Unmap().String() + ": " + oneLine(record)
		}
	}
	return FoundOK, "our addresses are allowed: " + oneLine(record)
}

var errTooDeep = errors.New("the record asks for too much")

// allows goes through a record's terms, as far as they are about addresses (RFC 7208 section 5), with ten look-ups at
// most.
func (c checker) allows(ctx context.Context, domain, record string, addr netip.Addr, asked *int) (bool, error) {
	redirect := ""
	for _, term := range strings.Fields(strings.ToLower(record))[1:] {
		if to, ok := strings.CutPrefix(term, "redirect="); ok {
			redirect = to
			continue
		}
		passes := term[0] != '-' && term[0] != '~' && term[0] != '?'
		match, err := c.matches(ctx, domain, strings.TrimLeft(term, "+-~?"), addr, asked)
		if err != nil || match {
			return match && passes, err
		}
	}
	if redirect == "" {
		return false, nil
	}
	return c.included(ctx, redirect, addr, asked)
}

func (c checker) matches(ctx context.Context, domain, term string, addr netip.Addr, asked *int) (bool, error) {
	name, rest, _ := strings.Cut(term, ":")
	if name == "ip4" || name == "ip6" {
		if !strings.Contains(rest, "/") {
			only, err := netip.ParseAddr(rest)
			return err == nil && only == addr, nil
		}
		net, err := netip.ParsePrefix(rest)
		return err == nil && net.Contains(addr), nil
	}
	name, _, _ = strings.Cut(name, "/")
	host, _, _ := strings.Cut(rest, "/")
	if host == "" {
		host = domain
	}
	switch name {
	case "all":
		return true, nil
	case "include":
		return c.included(ctx, host, addr, asked)
	case "a":
		return c.leadsTo(ctx, []string{host}, addr, asked)
	case "mx":
		mx, err := c.r.LookupMX(ctx, host+".")
		if err != nil && !isNotFound(err) {
			return false, err
		}
		var hosts []string
		for _, m := range usable(mx) {
			hosts = append(hosts, m.Host)
		}
		return c.leadsTo(ctx, hosts, addr, asked)
	}
	if strings.Contains(term, "=") {
		return false, nil // a modifier
	}
	return false, fmt.Errorf("a term that is not weighed here: %s", name)
}

func (c checker) included(ctx context.Context, domain string, addr netip.Addr, asked *int) (bool, error) {
	if *asked++; *asked > 10 {
		return false, errTooDeep
	}
	found, err := c.txt(ctx, domain, "v=spf1")
	if err != nil || len(found) != 1 {
		return false, err
	}
	return c.allows(ctx, domain, found[0], addr, asked)
}

func (c checker) leadsTo(ctx context.Context, hosts []string, addr netip.Addr, asked *int) (bool, error) {
	for _, host := range hosts {
		if *asked++; *asked > 10 {
			return false, errTooDeep
		}
		found, err := c.r.LookupIPAddr(ctx, host+".")
		if err != nil && !isNotFound(err) {
			return false, err
		}
		if slices.ContainsFunc(found, func(ip net.IPAddr) bool {
			got, ok := netip.AddrFromSlice(ip.IP)
			return ok && got.Unmap() == addr
		}) {
			return true, nil
		}
	}
	return false, nil
}

func (c checker) dkim(ctx context.Context) []Finding {
	if len(c.pub.Keys) == 0 {
		return []Finding{{Check: "DKIM", Name: c.pub.From, State: FoundMissing, Words: "letters leave unsigned: make keys with kartotek mail dkim"}}
	}
	var out []Finding
	for _, k := range c.pub.Keys {
		name, value, err := k.Record()
		if err != nil {
			out = append(out, Finding{Check: "DKIM", Name: k.selector, State: FoundUnknown, Words: err.Error()})
			continue
		}
		f := Finding{Check: "DKIM", Name: name, State: FoundOK, Words: "the key is published as it is here"}
		found, err := c.r.LookupTXT(ctx, name+".")
		switch {
		case err != nil && !isNotFound(err):
			f.State, f.Words = FoundUnknown, noAnswer
		case len(found) == 0:
			f.State, f.Words, f.Publish = FoundMissing, "the key is not published: nobody can check its signatures", ZoneLine(name, value)
		case !slices.ContainsFunc(found, func(t string) bool { return tag(t, "p") == tag(value, "p") }):
			f.State, f.Words, f.Publish = FoundWrong, "another key is published: no signature holds", ZoneLine(name, value)
		}
		out = append(out, f)
	}
	return out
}

// tag is the value of a tag of a DKIM or DMARC record, without white space.
func tag(record, name string) string {
	for part := range strings.SplitSeq(record, ";") {
		key, value, _ := strings.Cut(part, "=")
		if strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

// dmarc looks at the domain, and at those above it: the record of the organization's holds for what lies below.
func (c checker) dmarc(ctx context.Context) []Finding {
	f := Finding{
		Check: "DMARC", Name: "_dmarc." + c.pub.From, State: FoundMissing, Words: "no DMARC record says what to do with mail that only claims to be ours",
		Publish: ZoneLine("_dmarc."+c.pub.From, "v=DMARC1; p=quarantine; rua=mailto:postmaster@"+c.pub.From),
	}
	for domain := c.pub.From; strings.Contains(domain, "."); _, domain, _ = strings.Cut(domain, ".") {
		found, err := c.txt(ctx, "_dmarc."+domain, "v=dmarc1")
		if err != nil {
			f.State, f.Words, f.Publish = FoundUnknown, noAnswer, ""
			break
		}
		if len(found) == 0 {
			continue
		}
		f.State, f.Words, f.Publish = FoundOK, "there is one: "+oneLine(found[0]), ""
		if len(found) > 1 || tag(found[0], "p") == "" {
			f.State, f.Words = FoundWrong, "the DMARC record is not one, or one of several: "+oneLine(found[0])
		}
		break
	}
	return []Finding{f}
}

// ptr looks whether our address has our name, and the name our address.
func (c checker) ptr(ctx context.Context) []Finding {
	if c.pub.Helo == "" {
		return nil
	}
	f := Finding{Check: "PTR", Name: c.pub.Helo}
	ours, err := c.r.LookupIPAddr(ctx, c.pub.Helo+".")
	switch {
	case err != nil && !isNotFound(err):
		f.State, f.Words = FoundUnknown, noAnswer
		return []Finding{f}
	case len(ours) == 0:
		f.State, f.Words = FoundMissing, "the name that we introduce ourselves by leads to no address: publish it, or set mail-helo"
		return []Finding{f}
	}
	var out []Finding
	for _, ip := range ours {
		f := Finding{Check: "PTR", Name: ip.IP.String(), State: FoundOK, Words: "the address has our name"}
		names, err := c.r.LookupAddr(ctx, ip.IP.String())
		switch {
		case err != nil && !isNotFound(err):
			f.State, f.Words = FoundUnknown, noAnswer
		case len(names) == 0:
			f.State, f.Words = FoundMissing, "the address has no name: whoever gave it to you can set it to "+c.pub.Helo
		case !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), c.pub.Helo) }):
			f.State, f.Words = FoundWrong, "the address has another name than we introduce ourselves by: have it set to "+c.pub.Helo
		}
		out = append(out, f)
	}
	return out
}

// mx looks whether mail can come back, and be answered.
func (c checker) mx(ctx context.Context) []Finding {
	var out []Finding
	for _, domain := range slices.Compact([]string{c.pub.From, c.pub.Bounce}) {
		f := Finding{Check: "MX", Name: domain, State: FoundOK, Words: "mail to the domain has a server"}
		hosts, no := newExchangers(c.r, "").find(ctx, domain)
		switch {
		case no != nil && no.State == Deferred:
			f.State, f.Words = FoundUnknown, noAnswer
		case no != nil || len(hosts) == 0:
			f.State, f.Words = FoundMissing, "mail to the domain has nowhere to go: neither answers nor reports come back"
			if c.pub.Helo != "" && domain == c.pub.Bounce {
				f.Publish = domain + ". IN MX 10 " + c.pub.Helo + "."
			}
		case domain == c.pub.Bounce && domain != c.pub.From && c.elsewhere(ctx, hosts):
			f.Words = "mail to the domain goes to " + hosts[0] + ", which is another machine than " + c.pub.Helo + ": it has to hand it on to the bounce port"
		}
		out = append(out, f)
	}
	return out
}

// elsewhere tells whether none of some hosts has an address of ours, as far as that can be told.
func (c checker) elsewhere(ctx context.Context, hosts []string) bool {
	if c.pub.Helo == "" {
		return false
	}
	ours, err := c.r.LookupIPAddr(ctx, c.pub.Helo+".")
	if err != nil || len(ours) == 0 {
		return false
	}
	for _, host := range hosts {
		theirs, err := c.r.LookupIPAddr(ctx, host+".")
		if err != nil || slices.ContainsFunc(theirs, func(a net.IPAddr) bool {
			return slices.ContainsFunc(ours, func(b net.IPAddr) bool { return a.IP.Equal(b.IP) })
		}) {
			return false
		}
	}
	return true
}
