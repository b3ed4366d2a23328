package ports

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestHeldPortsAreOneOwners: what is held refuses connections, goes to nobody
// who takes any port, and can be listened on again and again by who knows it.
func TestHeldPortsAreOneOwners(t *testing.T) {
	port, release, err := Hold("127.0.0.1", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, ip := range []string{"127.0.0.1", "127.0.0.2"} {
		addr := net.JoinHostPort(ip, port)
		for range 2 {
			if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("where nobody listens: %v", err)
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
			l.Close()
		}
	}
}

func TestHoldRefusesWhatIsNoAddress(t *testing.T) {
	if _, _, err := Hold("localhost"); err == nil {
		t.Error("a name was taken")
	}
}
