package mta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxHosts is how many of a domain's servers one attempt goes to, maxAddrs how many addresses of one.
	maxHosts, maxAddrs = 5, 6
	// addrTime is how long one address may take to answer, so that a dead one leaves time for the next.
	addrTime = 15 * time.Second
	// manyPools is when servers that are no longer in use are forgotten.
	manyPools = 1000
	// firstConns is how many connections a destination gets from us before we know how it takes them.
	firstConns = 2
)

// Limits of destinations that aren't named. Large providers take this much from a sender that they don't know.
var (
	usualOfDomain = Limits{Connections: 20, PerConnection: maxPerConn}
	usualOfServer = Limits{Connections: 10, PerConnection: maxPerConn}
)

// Direct is the route without a middleman: each letter goes to the servers of its recipient's domain.
type Direct struct {
	resolver Resolver
	mx       *exchangers
	policy   *tlsPolicy
	policies Policies // nil for none
	helo     string
	// The ports of SMTP and of the servers of policies.
	port, httpsPort string

	door door // what all doors have in common
	deaf func(netip.Addr) bool

	domains, hosts gates

	mu    sync.Mutex
	pools map[poolKey]*hostPool
}

// poolKey tells connections apart: one that was opened without a proof of its server must not serve a letter
// that needs one.
type poolKey struct {
	host  string
	level tlsLevel
}

// hostPool is the connections of one kind to one server.
type hostPool struct {
	server
	users int // deliveries under way, guarded by Direct.mu
}

// DirectOption is a setting of [NewDirect].
type DirectOption func(*Direct)

// WithResolver asks r instead of the system's name service.
func WithResolver(r Resolver) DirectOption { return func(d *Direct) { d.resolver = r } }

// WithHelo introduces us as name, which should be the one that our IP address resolves to. The default is this
// machine's full name.
func WithHelo(name string) DirectOption { return func(d *Direct) { d.helo = name } }

// WithRequiredTLS demands encryption and a certificate of the server's name for mail to these domains; "*" stands
// for all. The default is what the domain asks for by MTA-STS, and else to encrypt where the server offers it.
func WithRequiredTLS(domains ...string) DirectOption {
	return func(d *Direct) { d.policy.require(domains) }
}

// WithLimits bounds what destinations get from us by their names, those of domains and those of servers: each name
// stands for what lies below it too. Others get 20 connections a domain and 10 a server, 100 letters over each.
func WithLimits(named map[string]Limits) DirectOption {
	return func(d *Direct) { d.domains.named, d.hosts.named = named, named }
}

// WithPolicies keeps the MTA-STS policies of domains in p. The default is to keep them in memory alone.
func WithPolicies(p Policies) DirectOption { return func(d *Direct) { d.policies = p } }

// NewDirect makes the route. The error says that this machine's name can't be used to introduce us.
func NewDirect(opts ...DirectOption) (*Direct, error) {
	d := &Direct{
		resolver: net.DefaultResolver, policy: &tlsPolicy{}, port: "25", httpsPort: "443", deaf: neverMail,
		door: door{patience: usualPatience}, pools: map[poolKey]*hostPool{},
		domains: gates{usual: usualOfDomain, first: firstConns, byName: map[string]*gate{}},
		hosts:   gates{usual: usualOfServer, first: firstConns, byName: map[string]*gate{}},
	}
	d.door.patience.dial = time.Minute // for several addresses
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		d.helo = name
	}
	for _, opt := range opts {
		opt(d)
	}
	if d.helo != "" {
		name, err := domainASCII(d.helo)
		if err != nil {
			return nil, errors.New("the name to introduce ourselves by is not a host name")
		}
		d.helo, d.door.helo = name, name
	}
	d.mx = newExchangers(d.resolver, d.helo)
	d.policy.sts = newSTS(d.resolver, stsClient(func(ctx context.Context, host string) (net.Conn, error) {
		return d.dial(ctx, host, d.httpsPort)
	}, d.door.roots), d.policies)
	return d, nil
}

// Name is "direct".
func (d *Direct) Name() string { return "direct" }

// Deliver tries the servers of the recipient's domain in order until one takes the letter or refuses it for good.
// One that can't be reached, or says 4xx, leaves the letter to the next, unless it may have taken it already.
func (d *Direct) Deliver(ctx context.Context, l Letter, mark func(Verdict)) {
	par, bad := pack(l)
	if bad != nil {
		mark(*bad.complete(nil, "", l.To))
		return
	}
	_, domain, _ := strings.Cut(par.to, "@")
	hosts, no := d.mx.find(ctx, domain)
	if no != nil {
		v := *no // it is kept for others
		mark(*v.complete(nil, "", l.To))
		return
	}
	demand := d.policy.demand(ctx, domain)
	if demand.allows != nil {
		hosts = slices.DeleteFunc(hosts, func(h string) bool { return !demand.allows(h) })
	}
	if len(hosts) == 0 {
		v := &Verdict{State: Deferred, Enhanced: "4.7.0", Reply: "the domain's MTA-STS policy allows none of its servers"}
		mark(*v.complete(nil, "", l.To))
		return
	}
	d.carry(ctx, hosts[:min(len(hosts), maxHosts)], demand.level, par, mark)
}

// carry waits until the domain takes another letter, and offers it to its servers.
func (d *Direct) carry(ctx context.Context, hosts []string, level tlsLevel, par *parcel, mark func(Verdict)) {
	_, domain, _ := strings.Cut(par.to, "@")
	g := d.domains.use(domain)
	defer d.domains.done(g)
	t, err := g.enter(ctx, par.urgent)
	switch {
	case err != nil:
		mark(*brokenOff(err, "", par.to).verdict)
		return
	case !t.back.IsZero():
		mark(*postponed(t.back, par.to).verdict)
		return
	}
	par.perConn = g.limits.PerConnection
	var servers []*server
	for _, host := range hosts {
		p := d.enter(poolKey{host, level})
		defer d.leave(p)
		servers = append(servers, &p.server)
	}
	began := time.Now()
	g.leave(descend(ctx, servers, par, mark), time.Since(began))
}

func (d *Direct) enter(key poolKey) *hostPool {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pools[key]
	if p == nil {
		if len(d.pools) >= manyPools {
			d.forget()
		}
		own := d.door
		own.name, own.level = key.host, key.level
		own.dial = func(ctx context.Context) (net.Conn, error) { return d.dial(ctx, key.host, d.port) }
		p = &hostPool{server: server{pool: pool{door: &own, host: key.host}}}
		d.pools[key] = p
	}
	if p.users++; p.users == 1 {
		p.gate = d.hosts.use(key.host)
		p.perConn = p.gate.limits.PerConnection
	}
	return p
}

func (d *Direct) leave(p *hostPool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.users--; p.users == 0 {
		d.hosts.done(p.gate)
	}
}

// forget drops the pools that nobody uses and that hold no connection.
func (d *Direct) forget() {
	for key, p := range d.pools {
		if p.users == 0 && p.spare() {
			delete(d.pools, key)
		}
	}
}

// dial tries the addresses of a host, of IPv6 and IPv4 in turn, until one answers.
func (d *Direct) dial(ctx context.Context, host, port string) (net.Conn, error) {
	found, err := d.resolver.LookupIPAddr(ctx, host+".")
	if isNotFound(err) {
		return nil, errNowhere
	}
	if err != nil {
		return nil, fmt.Errorf("look up the server: %w", err)
	}
	err = errDeaf
	for _, addr := range alternate(found, d.deaf) {
		var dialer net.Dialer
		within, cancel := context.WithTimeout(ctx, addrTime)
		conn, dialErr := dialer.DialContext(within, "tcp", net.JoinHostPort(addr.String(), port))
		cancel()
		if dialErr == nil {
			return conn, nil
		}
		err = dialErr
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// alternate orders addresses so that no family has to fail as a whole before the other is tried, leaves out the deaf
// ones and bounds their number.
func alternate(found []net.IPAddr, deaf func(netip.Addr) bool) []netip.Addr {
	var six, four, out []netip.Addr
	for _, f := range found {
		addr, ok := netip.AddrFromSlice(f.IP)
		addr = addr.Unmap()
		switch {
		case !ok || deaf(addr):
		case addr.Is6():
			six = append(six, addr)
		default:
			four = append(four, addr)
		}
	}
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) {
			out = append(out, four[i])
		}
	}
	return out[:min(len(out), maxAddrs)]
}

// neverMail tells the addresses that no mail server of a stranger can have. Whoever signs up with a domain of their
// own chooses where it points: not to what listens on this machine or its link.
func neverMail(a netip.Addr) bool {
	return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast()
}

// Close takes leave of all servers, within about a second.
func (d *Direct) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	closeAll(slices.Collect(maps.Values(d.pools)))
	return nil
}
