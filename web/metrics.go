package web

import (
	"net/http"
	"net/netip"
)

// metrics answers with the numbers of the sending engine, to this machine and
// the networks that were told only; for anybody else there is no such page.
// A request that a proxy passed on counts as its client's: an unknown proxy on
// this machine must not open the numbers to everybody.
func (s *site) metrics(numbers http.Handler, allowed []netip.Prefix) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		peer := parseHop(r.RemoteAddr)
		client := clientAddr(r, s.trusted)
		passedOn := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" || r.Header.Get("Via") != ""
		open := client.IsValid() && (client.IsLoopback() || within(client, allowed))
		if !open || passedOn && !within(peer, s.trusted) {
			s.notFound(w, r)
			return
		}
		numbers.ServeHTTP(w, r)
	}
}
