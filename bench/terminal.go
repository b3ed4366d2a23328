package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/creack/pty"
)

// terminal is one with a program on it.
type terminal struct {
	cmd    *exec.Cmd
	tty    *os.File
	frames chan []byte // what was read, until the program has ended
}

// begin starts a program on a terminal of a size.
func begin(cmd *exec.Cmd, size pty.Winsize) (*terminal, error) {
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor")
	tty, err := pty.StartWithSize(cmd, &size)
	if err != nil {
		return nil, err
	}
	t := &terminal{cmd: cmd, tty: tty, frames: make(chan []byte, 1024)}
	go func() {
		defer close(t.frames)
		buf := make([]byte, 64<<10)
		for {
			n, err := tty.Read(buf)
			if err != nil {
				return
			}
			t.frames <- bytes.Clone(buf[:n])
		}
	}()
	return t, nil
}

// raw makes the terminal hand on each key by itself, and echo none.
func (t *terminal) raw() error {
	_, err := term.MakeRaw(t.tty.Fd())
	return err
}

// painted waits for the first rows.
func (t *terminal) painted() error {
	over := time.After(time.Minute)
	var seen []byte
	for !bytes.Contains(seen, []byte(painted)) {
		select {
		case frame, ok := <-t.frames:
			if !ok {
				return errors.New("nothing was painted: the program has ended")
			}
			seen = append(seen, frame...)
		case <-over:
			return errors.New("nothing was painted")
		}
	}
	return nil
}

// press presses a key, and waits for the first of its frame: for how long, and
// how many bytes that were.
func (t *terminal) press(key string) (took time.Duration, n int64, err error) {
	start := time.Now()
	if _, err := io.WriteString(t.tty, key); err != nil {
		return 0, 0, err
	}
	select {
	case frame, ok := <-t.frames:
		if !ok {
			return 0, 0, errors.New("the program has ended")
		}
		return time.Since(start), int64(len(frame)), nil
	case <-time.After(10 * time.Second):
		return 0, 0, errors.New("a key press was not answered")
	}
}

// answered presses a key that may change nothing on the screen, and tells when
// the last frame came before nothing came for a while.
func (t *terminal) answered(key string) (took time.Duration, err error) {
	quiet := 30 * time.Millisecond
	if key == "\x1b" { // it might be the beginning of another key
		quiet = 150 * time.Millisecond
	}
	start := time.Now()
	if _, err := io.WriteString(t.tty, key); err != nil {
		return 0, err
	}
	for {
		select {
		case _, ok := <-t.frames:
			if !ok {
				return 0, errors.New("the program has ended")
			}
			took = time.Since(start)
		case <-time.After(quiet):
			return took, nil
		}
	}
}

// settle counts what is written in a time.
func (t *terminal) settle(during time.Duration) (n int64) {
	over := time.After(during)
	for {
		select {
		case frame, ok := <-t.frames:
			if !ok {
				return n
			}
			n += int64(len(frame))
		case <-over:
			return n
		}
	}
}

// quit ends a program by its key.
func (t *terminal) quit() error {
	if _, err := io.WriteString(t.tty, "q"); err != nil {
		return errors.Join(err, t.kill())
	}
	return t.gone()
}

func (t *terminal) kill() error {
	err := t.cmd.Process.Kill()
	var exit *exec.ExitError
	if ended := t.gone(); !errors.As(ended, &exit) {
		err = errors.Join(err, ended)
	}
	return err
}

// gone waits until the program and its terminal have ended.
func (t *terminal) gone() error {
	for range t.frames {
	}
	return errors.Join(t.cmd.Wait(), t.tty.Close())
}

// memory is a line of what the system tells of a process's memory: VmRSS is
// what is resident now, VmHWM the most that ever was, in kilobytes.
func memory(pid int, line string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), line+":")
	rest, _, _ = strings.Cut(rest, "kB")
	return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
}

// processor is how much of the processors a process has taken.
func processor(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("the system does not tell what a process has taken")
	}
	var ticks int
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second: proc(5)
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
