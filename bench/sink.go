package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/errgroup"
)

// sink is Postfix's smtp-sink: it takes letters and throws them away.
type sink struct {
	addr string
	cmd  *exec.Cmd
	done chan error
}

// startSink starts one, with options of its own.
func startSink(options ...string) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{addr: l.Addr().String(), done: make(chan error, 1)}
	if err := l.Close(); err != nil {
		return nil, err
	}
	s.cmd = exec.Command("smtp-sink", append(options, "-u", "nobody", "inet:"+s.addr, "1024")...)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: scripts/setup installs Debian's postfix, which has it", err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	for range 500 {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			return s, conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("smtp-sink doesn't listen"), s.stop())
}

// await returns when it has ended by itself.
func (s *sink) await(ctx context.Context) error {
	select {
	case err := <-s.done:
		s.done <- nil
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sink) stop() error {
	_ = s.cmd.Process.Kill() // an error means that it has ended
	<-s.done
	return nil
}

// startFarSink starts one that is reached and answers in a round trip of that time.
func startFarSink(round time.Duration) (addr string, stop func() error, err error) {
	s, err := startSink()
	if err != nil {
		return "", nil, err
	}
	if round == 0 {
		return s.addr, s.stop, nil
	}
	d, err := delay(s.addr, round/2)
	if err != nil {
		return "", nil, errors.Join(err, s.stop())
	}
	return d.Addr().String(), func() error { return errors.Join(s.stop(), d.stop()) }, nil
}

// byGoSMTP is how long go-smtp's client takes for n letters that are in memory, over as many connections as the relay
// has at most.
func (b *bench) byGoSMTP(ctx context.Context, n int) (took time.Duration, err error) {
	if b.goSMTPTook > 0 {
		return b.goSMTPTook, nil
	}
	addr, end, err := startFarSink(roundTrip)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	const conns = 48
	began := time.Now()
	var g errgroup.Group
	for i := range conns {
		g.Go(func() error {
			c, err := smtp.Dial(addr)
			if err != nil {
				return err
			}
			for range (n + i) / conns {
				if err := c.SendMail("news@example.com", []string{"marie@example.dk"}, bytes.NewReader(letterText)); err != nil || ctx.Err() != nil {
					return errors.Join(err, ctx.Err(), c.Close())
				}
			}
			return c.Quit()
		})
	}
	err = g.Wait()
	b.goSMTPTook = time.Since(began)
	return b.goSMTPTook, err
}

// delayed is a way to addr on which everything takes so long in each direction, however much of it is under way.
type delayed struct {
	net.Listener
	open sync.WaitGroup
}

func delay(addr string, way time.Duration) (*delayed, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &delayed{Listener: l}
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

// stop ends the way, once nobody goes it any more.
func (d *delayed) stop() error {
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
