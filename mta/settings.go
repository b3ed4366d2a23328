package mta

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

var (
	// ErrLimits tells that limits can't be understood.
	ErrLimits = errors.New(`limits are written as "example.dk connections=5 per-connection=50 per-minute=300", with at least one of the three`)
	// ErrResolver tells that a resolver's address can't be used.
	ErrResolver = errors.New("a resolver is an IP address, or one with a port, such as 192.0.2.53:53")
	// ErrDomain tells that a domain's name can't be used.
	ErrDomain = errors.New("that is no domain name")
)

// maxLimit bounds each of the limits.
const maxLimit = 1_000_000

// ParseLimits reads the limits of one destination: its name, in A-labels afterwards, and what it gets from us. Where
// they aren't named it gets 10 connections, 100 letters over each. The error is [ErrLimits].
func ParseLimits(text string) (name string, l Limits, err error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return "", Limits{}, ErrLimits
	}
	if name, err = domainASCII(words[0]); err != nil {
		return "", Limits{}, ErrLimits
	}
	l = usualOfServer
	into := map[string]*int{"connections": &l.Connections, "per-connection": &l.PerConnection, "per-minute": &l.PerMinute}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		if into[key] == nil || err != nil || n < 1 || n > maxLimit {
			return "", Limits{}, ErrLimits
		}
		*into[key] = n
		into[key] = nil // each once
	}
	return name, l, nil
}

// ResolverAt asks the name server at an address, port 53 unless it names another, instead of the system's. The error is
// [ErrResolver].
func ResolverAt(addr string) (Resolver, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		ip, err := netip.ParseAddr(addr)
		if err != nil {
			return nil, ErrResolver
		}
		to = netip.AddrPortFrom(ip, 53)
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, to.String())
	}}, nil
}

// CheckDomain tells whether a name can be a destination's or our own. The error is [ErrDomain].
func CheckDomain(name string) error {
	if _, err := domainASCII(name); err != nil {
		return fmt.Errorf("%w", ErrDomain)
	}
	return nil
}
