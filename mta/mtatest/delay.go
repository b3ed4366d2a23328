package mtatest

import (
	"net"
	"sync"
	"time"
)

// Delayed is a way to a server on which everything takes a while in each direction, however much of it is under way.
type Delayed struct {
	net.Listener
	open sync.WaitGroup
}

// Delay makes such a way to addr.
func Delay(addr string, way time.Duration) (*Delayed, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &Delayed{Listener: l}
	d.open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			d.open.Go(func() { late(out, in, way) })
			d.open.Go(func() { late(in, out, way) })
		}
	})
	return d, nil
}

// Stop ends the way, once nobody goes it any more.
func (d *Delayed) Stop() error {
	err := d.Close()
	d.open.Wait()
	return err
}

// late copies from src to dst, each piece way after it came.
func late(dst, src net.Conn, way time.Duration) {
	type piece struct {
		data []byte
		due  time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buf := make([]byte, 16<<10)
			n, err := src.Read(buf)
			if n > 0 {
				pieces <- piece{buf[:n], time.Now().Add(way)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := dst.Write(p.data); err != nil {
			break
		}
	}
	_ = dst.Close()
	for range pieces { // lets the reader end
	}
}
