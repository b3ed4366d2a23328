package store

import (
	"errors"
	"syscall"
	"time"
)

// userTimeout is Linux's TCP_USER_TIMEOUT (RFC 5482).
const userTimeout = 18

// giveUpAfter ends a connection whose packets nobody takes for so long.
func giveUpAfter(limit time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(limit.Milliseconds()))
		})
		return errors.Join(err, set)
	}
}
