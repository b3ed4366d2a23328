package web

import (
	"net/http"
	"net/netip"
	"strings"

	"kartotek/flows"
)

// maxAgent bounds the user agent that goes into the evidence, in bytes.
const maxAgent = 400

// client describes the far end of r for the evidence.
func (s *site) client(r *http.Request) flows.Client {
	c := flows.Client{UserAgent: cleanLine(r.UserAgent())}
	if len(c.UserAgent) > maxAgent {
		c.UserAgent = strings.ToValidUTF8(c.UserAgent[:maxAgent], "")
	}
	if addr := clientAddr(r, s.trusted); addr.IsValid() {
		c.IP = addr.String()
	}
	return c
}

// clientAddr is the address that r came from: the connection's, or behind a
// trusted proxy the right-most hop of X-Forwarded-For that isn't one. Whatever
// stands left of it the client may have written itself. The address is invalid
// when the proxy's word can't be read: a wrong IP would be false evidence.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := parseHop(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(addr, trusted); i-- {
		if hop := strings.TrimSpace(hops[i]); hop != "" {
			addr = parseHop(hop)
		}
	}
	return addr
}

// parseHop reads an IP address, with or without a port.
func parseHop(s string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func within(addr netip.Addr, networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
