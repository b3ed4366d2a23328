package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// TestRequestsAreCountedWithoutWhatTheySay: what is told of a request is among few words, whatever the client wrote.
func TestRequestsAreCountedWithoutWhatTheySay(t *testing.T) {
	var told []string
	h := web.Handler(web.Options{Desk: newDesk(), Observe: func(method, page string, status int, took time.Duration) {
		told = append(told, fmt.Sprint(method, " ", page, " ", status, " ", took >= 0))
	}})
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/confirm/a-secret?marie@example.dk", nil),
		httptest.NewRequest("MARIE", "/marie@example.dk", nil),
		httptest.NewRequest(http.MethodGet, "//confirm/a-secret", nil),
	} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := []string{"GET /confirm/{token} 404 true", "other none 404 true", "GET none 404 true"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}
