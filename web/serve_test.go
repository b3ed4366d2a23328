package web_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"kartotek/web"
)

// serve runs h on a loopback port. The function that it returns ends it and
// gives Serve's error.
func serve(t *testing.T, h http.Handler) (address string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(ctx, l, h, nil) }()
	return l.Addr().String(), func() error { cancel(); return <-ended }
}

// from is a listener whose connections come from the addresses in turn.
type from struct {
	net.Listener
	addresses []string
	taken     int
}

func (f *from) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addresses[f.taken%len(f.addresses)]))
	f.taken++
	return &conned{conn, addr}, nil
}

type conned struct {
	net.Conn
	addr net.Addr
}

func (c *conned) RemoteAddr() net.Addr { return c.addr }

// TestServeBoundsAClient: one that holds many connections doesn't keep others
// from the pages, and gets new ones when it lets some go; a proxy isn't one.
func TestServeBoundsAClient(t *testing.T) {
	const most = 64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	source := &from{Listener: l, addresses: []string{"[2001:db8::1]:9", "[2001:db8::2]:9", "198.51.100.7:9", "127.0.0.1:9"}}
	go func() {
		ended <- web.Serve(ctx, source, http.NotFoundHandler(), []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})
	}()
	answers := func() (net.Conn, bool) {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		return conn, err == nil && strings.HasPrefix(line, "HTTP/1.1 404")
	}
	got := map[string]int{}
	var one net.Conn
	for i := range 4 * (most + 10) {
		conn, ok := answers()
		defer func() { _ = conn.Close() }()
		if ok {
			got[source.addresses[i%4]]++
		}
		if i == 0 {
			one = conn
		}
	}
	if n := got["[2001:db8::1]:9"] + got["[2001:db8::2]:9"]; n != most || got["198.51.100.7:9"] != most+10 || got["127.0.0.1:9"] != most+10 {
		t.Errorf("answered: %v", got)
	}
	_ = one.Close()
	for i := 0; ; i++ { // until the server has noticed
		conn, ok := answers()
		defer func() { _ = conn.Close() }()
		if ok && i%4 < 2 {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeEndsWhatIsUnderWay(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	address, stop := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-release
		if err := r.Context().Err(); err != nil {
			t.Errorf("cut off: %v", err)
		}
		_, _ = io.WriteString(w, "done")
	}))
	answer := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + address + "/")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(body)
	}()
	<-started
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until it takes no more
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("answer %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServeTellsWhenItCannot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := web.Serve(t.Context(), l, http.NotFoundHandler(), nil); err == nil {
		t.Error("no error from a closed listener")
	}
}

// TestBytesOnTheWire is what httptest's recorder can't show.
func TestBytesOnTheWire(t *testing.T) {
	d := newDoor(t)
	address, stop := serve(t, d)
	for _, test := range []struct{ name, request, want string }{
		{"large header", "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", "431"},
		{"no such protocol", "HELLO\r\n\r\n", "400"},
		{"large body", "POST /confirm/open HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100_000), "413"},
		{"head", "HEAD /confirm/open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200"},
		{"click", "POST /confirm/open HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\nact=confirm", "200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			// The server may answer and hang up before it has read it all.
			_, _ = io.WriteString(conn, test.request)
			status, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(status, "HTTP/1.1 "+test.want) {
				t.Errorf("answer %q, want %s", status, test.want)
			}
		})
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(d.desk.confirms) != 1 {
		t.Errorf("%d confirmations", len(d.desk.confirms))
	}
}
