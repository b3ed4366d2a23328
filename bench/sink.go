package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/errgroup"

	"kartotek/mta/mtatest"
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
	d, err := mtatest.Delay(s.addr, round/2)
	if err != nil {
		return "", nil, errors.Join(err, s.stop())
	}
	return d.Addr().String(), func() error { return errors.Join(s.stop(), d.Stop()) }, nil
}

// byGoSMTP is how many of n letters that are in memory go-smtp's client sends in a second, over as many connections as
// the relay has at most.
func byGoSMTP(ctx context.Context, n int) (perSecond float64, err error) {
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
	return float64(n) / time.Since(began).Seconds(), err
}
