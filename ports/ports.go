// Package ports holds ports of this machine for what tests and measurements
// start: a port that is looked for and let go may be another's before it is
// used. No program imports it.
package ports

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// tries is how often Hold looks for a port that is free on all addresses.
const tries = 100

// Hold finds a TCP port that is free on every one of some addresses of this
// machine, and keeps the system from giving it to anybody until it is released.
// Who asks for exactly this port may listen on it meanwhile, once or one after
// the other; until then connections are refused.
func Hold(ips ...string) (port string, release func(), err error) {
	for range tries {
		var held []int
		release = func() {
			for _, fd := range held {
				_ = syscall.Close(fd) // it holds nothing but the port
			}
		}
		number := 0 // any at first
		for _, ip := range ips {
			var fd int
			if fd, number, err = hold(ip, number); err != nil {
				break
			}
			held = append(held, fd)
		}
		if err == nil {
			return strconv.Itoa(number), release, nil
		}
		release()
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return "", nil, fmt.Errorf("holding a port: %w", err)
}

// hold binds a socket that does not listen. The system gives such a port to
// nobody who lets it choose, and to those who name it and allow the reuse of
// addresses, as servers do.
func hold(ip string, number int) (fd, port int, err error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return 0, 0, err
	}
	family, at := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: number, Addr: addr.As16()})
	if addr.Is4() {
		family, at = syscall.AF_INET, &syscall.SockaddrInet4{Port: number, Addr: addr.As4()}
	}
	syscall.ForkLock.RLock()
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, 0, os.NewSyscallError("socket", err)
	}
	bound, err := bind(fd, at)
	if err != nil {
		_ = syscall.Close(fd)
		return 0, 0, err
	}
	return fd, bound, nil
}

// bind returns the port that a socket got.
func bind(fd int, at syscall.Sockaddr) (int, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, at); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	got, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	switch got := got.(type) {
	case *syscall.SockaddrInet4:
		return got.Port, nil
	case *syscall.SockaddrInet6:
		return got.Port, nil
	}
	return 0, errors.New("a socket of another family")
}
