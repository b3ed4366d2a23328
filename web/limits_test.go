package web

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestLimitsRefillAndStayBounded(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	l := newLimits(3, func() time.Time { return now })
	address := func(i uint32) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i)))
	}
	for range signUpBurst {
		if l.wait(address(1)) != 0 {
			t.Fatal("the burst is too small")
		}
	}
	if got := l.wait(address(1)); got != time.Minute {
		t.Errorf("wait %v, want a minute", got)
	}
	if got := l.wait(address(1)); got != time.Minute {
		t.Errorf("a refused turn was taken all the same: wait %v", got)
	}
	now = now.Add(time.Minute)
	if got := l.wait(address(1)); got != 0 {
		t.Errorf("wait %v after a minute", got)
	}
	if got := l.wait(address(1)); got != time.Minute {
		t.Errorf("wait %v, want another minute", got)
	}
	for i := range uint32(100) {
		l.wait(address(10 + i))
		l.wait(address(1)) // heard of all the time: not the one to be dropped
	}
	if len(l.clients) != 3 || l.recent.Len() != 3 {
		t.Errorf("%d and %d clients kept, want 3", len(l.clients), l.recent.Len())
	}
	if l.wait(address(1)) == 0 {
		t.Error("a busy client was forgotten")
	}
	for range signUpBurst {
		l.wait(netip.Addr{})
	}
	if l.wait(netip.Addr{}) == 0 {
		t.Error("clients of unknown address aren't limited")
	}
}
