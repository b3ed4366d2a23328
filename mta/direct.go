package mta

import (
	"context"
	"errors"
	"fmt"
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
	// maxConns is how many connections one server gets from us at a time.
	maxConns = 5
	// addrTime is how long one address may take to answer, so that a dead one leaves time for the next.
	addrTime = 15 * time.Second
	// manyPools is when servers that are no longer in use are forgotten.
	manyPools = 1000
)

// Direct is the route without a middleman: each letter goes to the servers of its recipient's domain.
type Direct struct {
	resolver Resolver
	mx       *exchangers
	policy   *tlsPolicy
	helo     string
	// The ports of SMTP and of the servers of policies.
	port, httpsPort string

	door door // what all doors have in common
	deaf func(netip.Addr) bool

	mu    sync.Mutex
	pools map[poolKey]*hostPool
}

// poolKey tells connections apart: one that was opened without a proof of its server must not serve a letter
// that needs one.
type poolKey struct {
	host  string
	level tlsLevel
}

// hostPool is the connections to one server, and the right to have one.
type hostPool struct {
	pool
	users int // deliveries under way, guarded by Direct.mu
	slots chan struct{}
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

// NewDirect makes the route. The error says that this machine's name can't be used to introduce us.
func NewDirect(opts ...DirectOption) (*Direct, error) {
	d := &Direct{
		resolver: net.DefaultResolver, policy: &tlsPolicy{}, port: "25", httpsPort: "443", deaf: neverMail,
		door: door{patience: usualPatience}, pools: map[poolKey]*hostPool{},
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
	}, d.door.roots))
	return d, nil
}

// Name is "direct".
func (d *Direct) Name() string { return "direct" }

// Deliver tries the servers of the recipient's domain in order until one takes the letter or refuses it for good.
// One that can't be reached, or says 4xx, leaves the letter to the next, unless it may have taken it already.
func (d *Direct) Deliver(ctx context.Context, l Letter, mark func(Verdict)) {
	par, bad := pack(l)
	if bad != nil {
		mark(bad.complete(nil, "", l.To))
		return
	}
	_, domain, _ := strings.Cut(par.to, "@")
	hosts, no := d.mx.find(ctx, domain)
	if no != nil {
		mark(no.complete(nil, "", l.To))
		return
	}
	demand := d.policy.demand(ctx, domain)
	if demand.allows != nil {
		hosts = slices.DeleteFunc(hosts, func(h string) bool { return !demand.allows(h) })
	}
	if len(hosts) == 0 {
		v := Verdict{State: Deferred, Enhanced: "4.7.0", Reply: "the domain's MTA-STS policy allows none of its servers"}
		mark(v.complete(nil, "", l.To))
		return
	}
	d.descend(ctx, hosts[:min(len(hosts), maxHosts)], demand.level, par, mark)
}

// descend goes down the list of servers.
func (d *Direct) descend(ctx context.Context, hosts []string, level tlsLevel, par parcel, mark func(Verdict)) {
	var last Verdict
	nowhere := 0
	for i, host := range hosts {
		out, leave := d.hand(ctx, poolKey{host, level}, par)
		v := out.verdict
		if errors.Is(out.err, errDeaf) || isNotFound(out.err) {
			nowhere++
		}
		if i == 0 || v.Code != 0 || last.Code == 0 {
			last = v // words of a server say more than the silence of another
		}
		var f *fault
		if v.State != Deferred || errors.As(out.err, &f) && f.phase == phaseDot || ctx.Err() != nil {
			mark(v)
			out.release()
			leave()
			return
		}
		out.release()
		leave()
	}
	if nowhere == len(hosts) {
		last.State, last.Enhanced = Refused, "5.4.4"
	}
	mark(last)
}

// hand offers the parcel to one server, once it has a connection to spare for us; leave gives the right to it back.
func (d *Direct) hand(ctx context.Context, key poolKey, par parcel) (out outcome, leave func()) {
	p := d.enter(key)
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		err := &fault{phaseDial, ctx.Err()}
		return outcome{verdict: failed(err, par.to).complete(nil, p.host, par.to), err: err}, func() { d.leave(p) }
	}
	return p.deliver(ctx, par), func() {
		<-p.slots
		d.leave(p)
	}
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
		p = &hostPool{pool: pool{door: &own, host: key.host}, slots: make(chan struct{}, maxConns)}
		d.pools[key] = p
	}
	p.users++
	return p
}

func (d *Direct) leave(p *hostPool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.users--
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
	var wg sync.WaitGroup
	for _, p := range d.pools {
		wg.Go(p.close)
	}
	wg.Wait()
	return nil
}
