package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"kartotek/web"
)

// TestMetricsAreForThisMachine: nobody else sees the numbers, unless told, and
// a proxy on this machine that nobody has told of opens them to no one.
func TestMetricsAreForThisMachine(t *testing.T) {
	numbers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("numbers")) })
	h := web.Handler(web.Options{
		Desk: newDesk(), Metrics: numbers, MetricsFor: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
	})
	tests := []struct {
		from    string
		headers map[string]string
		want    int
	}{
		{"127.0.0.1:5", nil, 200},
		{"[::1]:5", nil, 200},
		{"[::ffff:127.0.0.1]:5", nil, 200},
		{"10.1.2.3:5", nil, 200},
		{"10.2.2.3:5", nil, 404},
		{"203.0.113.9:5", nil, 404},
		{"127.0.0.1:5", map[string]string{"X-Forwarded-For": "203.0.113.9"}, 404},
		{"127.0.0.1:5", map[string]string{"X-Forwarded-For": "127.0.0.1"}, 404},
		{"127.0.0.1:5", map[string]string{"Forwarded": "for=203.0.113.9"}, 404},
		{"192.0.2.1:5", map[string]string{"X-Forwarded-For": "203.0.113.9"}, 404},
		{"192.0.2.1:5", map[string]string{"X-Forwarded-For": "10.1.9.9"}, 200},
		{"192.0.2.1:5", map[string]string{"X-Forwarded-For": "rubbish"}, 404},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr = tt.from
		for k, v := range tt.headers {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s with %v: %d, want %d", tt.from, tt.headers, w.Code, tt.want)
		}
	}
}
