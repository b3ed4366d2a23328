package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"kartotek/flows"
)

// A team at work: so many sessions at once browse a store of so many contacts,
// each with a key press a second or so.
const (
	teamSessions = 200
	teamStaff    = 20
	teamContacts = 100_000
	teamKeys     = 40
	teamPace     = time.Second
	teamIdle     = 10 * time.Second
)

// walk is what each session does, again and again: down the contacts, to the
// end of them and back, and through the other screens.
var walk = append(slices.Repeat([]string{down}, 12), "\x1b[6~", "\x1b[F", "\x1b[A", "\x1b[H", "2", "3", "4", "5", "1")

// team measures the console over SSH on a copy of a store: clients of the SSH
// library with terminals of both sizes, against one kartotek serve.
func (b *bench) team(ctx context.Context) (err error) {
	small := *b
	small.n = min(b.n, teamContacts)
	large, err := small.large(ctx)
	if err != nil {
		return err
	}
	p := embedded(filepath.Join(b.tmp, "team"))
	if err := copyStore(large, p); err != nil {
		return err
	}
	signers, err := hire(ctx, p)
	if err != nil {
		return err
	}
	console, err := b.build(ctx, "kartotek")
	if err != nil {
		return err
	}
	args, err := b.consoleOn(p)
	if err != nil {
		return err
	}
	s, err := serving(ctx, console, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b.tell("%d sessions over SSH on a store of %d contacts", teamSessions, small.n)
	return b.watchTeam(ctx, s, signers, fmt.Sprintf("%d sessions over SSH at once, %d contacts", teamSessions, small.n))
}

// watchTeam opens the sessions, lets them rest, then work, and closes them.
func (b *bench) watchTeam(ctx context.Context, s *server, signers []ssh.Signer, what string) error {
	before, err := s.now()
	if err != nil {
		return err
	}
	visits, err := open(ctx, s.ssh, signers)
	defer func() {
		for _, v := range visits {
			v.leave()
		}
	}()
	if err != nil {
		return err
	}
	rest, err := s.during(func() error { return pause(ctx, teamIdle) })
	if err != nil {
		return err
	}
	took, work, err := s.browsed(ctx, visits)
	if err != nil {
		return err
	}
	busy, err := s.now()
	if err != nil {
		return err
	}
	for _, v := range visits {
		v.leave()
	}
	after, err := s.settled(ctx, before.goroutines)
	if err != nil {
		return err
	}
	b.add(row{what: what + ": from a press to its frame, median", ours: short(took.median())})
	b.add(row{what: "  the 99th percentile", ours: short(took.at(0.99))})
	b.add(row{what: "  processor per key press, SSH and polls included", ours: short(work / time.Duration(len(took)))})
	b.add(row{what: "  processor while nobody presses a key", ours: fmt.Sprintf("%.0f %% of one", 100*rest.Seconds()/teamIdle.Seconds())})
	b.add(row{what: "  resident memory with them, without", ours: megabytes(busy.rss), baseline: megabytes(before.rss)})
	b.add(row{what: "  memory per session", ours: fmt.Sprintf("%d kB", (busy.rss-before.rss)/teamSessions)})
	b.add(row{
		what: "  goroutines after they have ended, before", ours: strconv.Itoa(after.goroutines), baseline: strconv.Itoa(before.goroutines),
		target: "<= 1.0x", verdict: verdict(after.goroutines <= before.goroutines),
	})
	b.add(row{what: "  goroutines per session", ours: fmt.Sprintf("%.1f", float64(busy.goroutines-before.goroutines)/teamSessions)})
	return nil
}

// hire puts people into staff, and returns their keys.
func hire(ctx context.Context, p place) ([]ssh.Signer, error) {
	s, desk, err := openStore(ctx, p)
	if err != nil {
		return nil, err
	}
	var signers []ssh.Signer
	for i := range teamStaff {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		if _, err := desk.AddStaff(ctx, staff, fmt.Sprintf("staff%d", i+1), flows.Owner, string(ssh.MarshalAuthorizedKey(signer.PublicKey()))); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		signers = append(signers, signer)
	}
	return signers, s.Close()
}

// server is a kartotek serve with the console over SSH.
type server struct {
	cmd  *exec.Cmd
	web  string
	ssh  string
	read sync.WaitGroup
}

func serving(ctx context.Context, console string, args []string) (*server, error) {
	s := &server{cmd: exec.CommandContext(ctx, console, append([]string{"serve", "--ssh", "127.0.0.1:0"}, args...)...)}
	told, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(told)
	for s.ssh == "" && lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "web pages on "); ok {
			s.web, _, _ = strings.Cut(rest, ",")
		}
		if _, rest, ok := strings.Cut(lines.Text(), "console over SSH on "); ok {
			s.ssh, _, _ = strings.Cut(rest, ",")
		}
	}
	s.read.Go(func() { io.Copy(io.Discard, told) }) // ends with the process
	if s.ssh == "" || s.web == "" {
		return nil, errors.Join(errors.New("kartotek serve did not start"), lines.Err(), s.stop())
	}
	return s, nil
}

func (s *server) stop() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	s.read.Wait()
	return errors.Join(err, s.cmd.Wait())
}

// usage is what a server holds at a moment.
type usage struct {
	rss        int64 // kilobytes
	goroutines int
}

func (s *server) now() (u usage, err error) {
	if u.rss, err = memory(s.cmd.Process.Pid, "VmRSS"); err != nil {
		return u, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(s.web + "/metrics")
	if err != nil {
		return u, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return u, err
	}
	_, rest, ok := bytes.Cut(text, []byte("\ngo_goroutines "))
	line, _, _ := strings.Cut(string(rest), "\n")
	if !ok {
		return u, errors.New("the server does not tell its goroutines")
	}
	u.goroutines, err = strconv.Atoi(line)
	return u, err
}

// settled waits until no more goroutines are left than there were, or for half
// a minute.
func (s *server) settled(ctx context.Context, were int) (u usage, err error) {
	for range 60 {
		if u, err = s.now(); err != nil || u.goroutines <= were {
			return u, err
		}
		if err := pause(ctx, teamIdle/20); err != nil {
			return u, err
		}
	}
	return u, nil
}

// during is how much of the processors the server took while fn ran.
func (s *server) during(fn func() error) (time.Duration, error) {
	start, err := processor(s.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := fn(); err != nil {
		return 0, err
	}
	end, err := processor(s.cmd.Process.Pid)
	return end - start, err
}

// browsed lets all sessions walk at once.
func (s *server) browsed(ctx context.Context, visits []*visit) (took times, work time.Duration, err error) {
	var mu sync.Mutex
	work, err = s.during(func() error {
		g, ctx := errgroup.WithContext(ctx)
		for _, v := range visits {
			g.Go(func() error {
				mine, err := v.walk(ctx)
				mu.Lock()
				defer mu.Unlock()
				took = append(took, mine...)
				return err
			})
		}
		return g.Wait()
	})
	slices.Sort(took)
	return took, work, err
}
