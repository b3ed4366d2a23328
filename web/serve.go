package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// Bounds of a connection, against clients that send or read slowly to hold it.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = time.Minute
	maxHeaderBytes = 16 << 10
	maxConnections = 1024
	// maxOfClient of these are one client network's, so that nobody holds them all.
	maxOfClient = 64
	// stopTimeout is how long requests under way may take once serving ends.
	stopTimeout = 10 * time.Second
)

// Serve answers requests on l with h until ctx ends. Then it takes no more,
// gives those under way 10 seconds, and returns nil; if they need longer it cuts
// them off and says so. It closes l. Connections of one client network are
// bounded, other than those of the proxies and of this machine, where a proxy
// may be that nobody told of.
func Serve(ctx context.Context, l net.Listener, h http.Handler, proxies []netip.Prefix) error {
	clients := &connections{proxies: proxies, open: map[netip.Prefix]int{}}
	server := &http.Server{
		ConnState:         clients.observe,
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// A request under way ends by itself, not with ctx.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		// The server's own messages name the client's IP; guard logs faults.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	group, ended := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := server.Serve(netutil.LimitListener(l, maxConnections))
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve web pages: %w", err)
	})
	group.Go(func() error {
		<-ended.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			return errors.Join(fmt.Errorf("end web requests under way: %w", err), server.Close())
		}
		return nil
	})
	return group.Wait()
}

// connections counts those of each client network, and closes what is too many.
type connections struct {
	proxies []netip.Prefix

	mu   sync.Mutex
	open map[netip.Prefix]int
}

// observe is told of each connection when it is new and when it is closed.
func (c *connections) observe(conn net.Conn, state http.ConnState) {
	addr := parseHop(conn.RemoteAddr().String())
	if state != http.StateNew && state != http.StateClosed || addr.IsLoopback() || within(addr, c.proxies) {
		return
	}
	from := network(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew {
		if c.open[from]++; c.open[from] > maxOfClient {
			_ = conn.Close() // the server tells of it as of any other that is closed
		}
		return
	}
	if c.open[from]--; c.open[from] == 0 {
		delete(c.open, from)
	}
}
