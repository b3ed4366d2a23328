package web_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
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
		host    string
		headers map[string]string
		want    int
	}{
		{"127.0.0.1:5", "127.0.0.1:8425", nil, 200},
		{"127.0.0.1:5", "localhost:8425", nil, 200},
		{"127.0.0.1:5", "LocalHost.", nil, 200},
		{"127.0.0.1:5", "127.1.2.3", nil, 200},
		{"[::1]:5", "[::1]:8425", nil, 200},
		{"[::1]:5", "[::1]", nil, 200},
		{"[::ffff:127.0.0.1]:5", "localhost", nil, 200},
		{"10.1.2.3:5", "mail.example.com", nil, 200},
		{"10.2.2.3:5", "localhost", nil, 404},
		{"203.0.113.9:5", "127.0.0.1", nil, 404},
		// A proxy that tells nothing of its client, and a name that was bound to this machine.
		{"127.0.0.1:5", "mail.example.com", nil, 404},
		{"127.0.0.1:5", "localhost.evil.example:8425", nil, 404},
		{"127.0.0.1:5", "127.0.0.1.evil.example", nil, 404},
		{"127.0.0.1:5", "", nil, 404},
		{"127.0.0.1:5", "localhost", map[string]string{"X-Forwarded-For": "203.0.113.9"}, 404},
		{"127.0.0.1:5", "localhost", map[string]string{"X-Forwarded-For": "127.0.0.1"}, 404},
		{"127.0.0.1:5", "localhost", map[string]string{"X-Forwarded-For": ""}, 404},
		{"127.0.0.1:5", "localhost", map[string]string{"X-Forwarded-Proto": "https"}, 404},
		{"127.0.0.1:5", "localhost", map[string]string{"X-Real-IP": "203.0.113.9"}, 404},
		{"127.0.0.1:5", "localhost", map[string]string{"Via": "1.1 proxy"}, 404},
		{"127.0.0.1:5", "localhost", map[string]string{"Forwarded": "for=203.0.113.9"}, 404},
		{"10.1.2.3:5", "localhost", map[string]string{"X-Real-IP": "203.0.113.9"}, 404},
		{"192.0.2.1:5", "mail.example.com", map[string]string{"X-Forwarded-For": "203.0.113.9"}, 404},
		{"192.0.2.1:5", "mail.example.com", map[string]string{"X-Forwarded-For": "10.1.9.9"}, 200},
		{"192.0.2.1:5", "mail.example.com", map[string]string{"X-Forwarded-For": "rubbish"}, 404},
		{"192.0.2.1:5", "mail.example.com", map[string]string{"X-Forwarded-For": "127.0.0.1"}, 404},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.RemoteAddr, r.Host = tt.from, tt.host
		for k, v := range tt.headers {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s of %s with %v: %d, want %d", tt.from, tt.host, tt.headers, w.Code, tt.want)
		}
	}
}

// TestMetricsThroughAProxyThatTellsNothing is nginx as it comes: it asks for the
// address that it was given, in HTTP/1.0, and says nothing of its client.
func TestMetricsThroughAProxyThatTellsNothing(t *testing.T) {
	numbers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("numbers")) })
	server := httptest.NewServer(web.Handler(web.Options{Desk: newDesk(), Metrics: numbers}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for request, want := range map[string]string{
		"GET /metrics HTTP/1.0\r\nHost: " + address + "\r\nConnection: close\r\n\r\n":                        " 404 ",
		"GET /metrics HTTP/1.1\r\nHost: mail.example.com\r\nConnection: close\r\n\r\n":                       " 404 ",
		"GET /metrics HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n":                        " 200 ",
		"GET http://mail.example.com/metrics HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n": " 404 ",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		conn.Close()
		if status, _, _ := strings.Cut(string(answer), "\r\n"); err != nil || !strings.Contains(status+" ", want) {
			t.Errorf("%q: %q, %v", request, status, err)
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
