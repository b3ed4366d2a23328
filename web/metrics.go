package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// metrics answers with the numbers of the sending engine, to this machine and
// the networks that were told only; for anybody else there is no such page. A
// request that a proxy passed on counts as its client's: a proxy on this machine
// that nobody told of must not open the numbers to everybody, nor a browser on
// it to a foreign page whose name was bound to this machine's address.
func (s *site) metrics(numbers http.Handler, allowed []netip.Prefix) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client := clientAddr(r, s.trusted)
		told := client.IsValid() && within(client, allowed)
		if !told && !(client.IsLoopback() && asLocal(r)) || passedOn(r) && !within(parseHop(r.RemoteAddr), s.trusted) {
			s.notFound(w, r)
			return
		}
		numbers.ServeHTTP(w, r)
	}
}

// asLocal tells whether r asks for this machine under a name that means it
// wherever it is asked. What nginx passes on with the settings that it comes
// with does too, in HTTP/1.0, which nobody who wants the numbers speaks.
func asLocal(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr := parseHop(host)
	return addr.IsLoopback()
}

// passedOn tells whether r carries a header that proxies add.
func passedOn(r *http.Request) bool {
	for name := range r.Header {
		switch name {
		case "Forwarded", "Via", "X-Real-Ip":
			return true
		}
		if strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}
