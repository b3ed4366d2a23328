package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"
)

// visit is a session of a client.
type visit struct {
	conn   *ssh.Client
	keys   io.Writer
	frames chan int
	once   sync.Once
}

// open opens all sessions, a few at a time, and waits until they are painted.
func open(ctx context.Context, addr string, signers []ssh.Signer) (visits []*visit, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	var mu sync.Mutex
	for i := range teamSessions {
		g.Go(func() error {
			v, err := come(ctx, addr, signers[i%len(signers)], i)
			if err != nil {
				return fmt.Errorf("opening session %d: %w", i+1, err)
			}
			mu.Lock()
			defer mu.Unlock()
			visits = append(visits, v)
			return nil
		})
	}
	return visits, g.Wait()
}

// come opens one session, on a terminal of the one or the other size.
func come(ctx context.Context, addr string, signer ssh.Signer, i int) (*visit, error) {
	conn, err := ssh.Dial("tcp", addr, &ssh.ClientConfig{
		User: "bench", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, Timeout: 30 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // our own child, on the loopback
	})
	if err != nil {
		return nil, err
	}
	v := &visit{conn: conn, frames: make(chan int, 1024)}
	if err := v.start(ctx, i); err != nil {
		v.leave()
		return nil, err
	}
	return v, nil
}

func (v *visit) start(ctx context.Context, i int) error {
	ses, err := v.conn.NewSession()
	if err != nil {
		return err
	}
	rows, cols := 24, 80
	if i%2 == 1 {
		rows, cols = 40, 140
	}
	if err := ses.RequestPty("xterm-256color", rows, cols, nil); err != nil {
		return err
	}
	in, err := ses.StdinPipe()
	if err != nil {
		return err
	}
	out, err := ses.StdoutPipe()
	if err != nil {
		return err
	}
	if err := ses.Shell(); err != nil {
		return err
	}
	v.keys = in
	seen := make(chan struct{})
	go v.read(out, seen)
	select {
	case <-seen:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return errors.New("nothing was painted")
	}
}

// read tells of the frames from the first painted one on.
func (v *visit) read(out io.Reader, seen chan struct{}) {
	defer close(v.frames)
	var text []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := out.Read(buf)
		if seen == nil && n > 0 {
			v.frames <- n
		} else if text = append(text, buf[:n]...); seen != nil && bytes.Contains(text, []byte(painted)) {
			close(seen)
			seen, text = nil, nil
		}
		if err != nil {
			return
		}
	}
}

// walk presses the keys, each when the frame of the one before has come and
// the pace has passed.
func (v *visit) walk(ctx context.Context) (took times, err error) {
	for i := range teamKeys {
		v.rest(teamPace/2 + rand.N(teamPace))
		start := time.Now()
		if _, err := io.WriteString(v.keys, walk[i%len(walk)]); err != nil {
			return took, err
		}
		select {
		case _, ok := <-v.frames:
			if !ok {
				return took, errors.New("the server ended a session")
			}
			took = append(took, time.Since(start))
		case <-ctx.Done():
			return took, ctx.Err()
		case <-time.After(30 * time.Second):
			return took, fmt.Errorf("key press %d of a session was not answered", i+1)
		}
	}
	return took, nil
}

// rest lets a time pass, with what comes by itself.
func (v *visit) rest(during time.Duration) {
	over := time.After(during)
	for {
		select {
		case _, ok := <-v.frames:
			if !ok {
				return
			}
		case <-over:
			return
		}
	}
}

func (v *visit) leave() {
	v.once.Do(func() { _ = v.conn.Close() }) // the server sees the end either way
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
