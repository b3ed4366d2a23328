package web

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits on sign-ups of one client, against list bombing: five at once, then
// one a minute. Limits per address are the flow's.
const (
	signUpBurst = 5
	signUpEvery = time.Minute
	// maxClients bounds the memory that the limits take (a few MB).
	maxClients = 10_000
)

// limits holds a rate limit per client network: one IPv4 address or one IPv6
// /64, since that is what a single subscriber line gets.
//
// When it is full, the client that was heard of longest ago is dropped and
// would start afresh. Whoever commands more than maxClients networks gets past
// it that way, but not past the limits per address.
type limits struct {
	mu      sync.Mutex
	max     int
	now     func() time.Time
	clients map[netip.Prefix]*list.Element
	recent  *list.List // of *clientLimit, the latest heard of first
}

type clientLimit struct {
	network netip.Prefix
	limiter *rate.Limiter
}

func newLimits(maximum int, now func() time.Time) *limits {
	return &limits{max: maximum, now: now, clients: make(map[netip.Prefix]*list.Element), recent: list.New()}
}

// wait takes one turn of addr's. Above zero it tells how long until there is
// one, and takes none. Clients of unknown address share a limit.
func (l *limits) wait(addr netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	turn := l.limiter(network(addr)).ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	if delay > 0 {
		turn.CancelAt(now)
	}
	return delay
}

// limiter finds or makes the limit of n. The caller holds mu.
func (l *limits) limiter(n netip.Prefix) *rate.Limiter {
	if known, ok := l.clients[n]; ok {
		l.recent.MoveToFront(known)
		return known.Value.(*clientLimit).limiter
	}
	if l.recent.Len() >= l.max {
		oldest := l.recent.Remove(l.recent.Back()).(*clientLimit)
		delete(l.clients, oldest.network)
	}
	c := &clientLimit{network: n, limiter: rate.NewLimiter(rate.Every(signUpEvery), signUpBurst)}
	l.clients[n] = l.recent.PushFront(c)
	return c.limiter
}

// network is the part of addr that stands for one client.
func network(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	n, err := addr.Prefix(bits)
	if err != nil { // addr isn't valid: the shared limit
		return netip.Prefix{}
	}
	return n
}
