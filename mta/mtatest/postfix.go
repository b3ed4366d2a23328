// Package mtatest runs a real Postfix for tests and measurements: with its own configuration, queue, ports and
// mailboxes in a directory of its own, beside any other Postfix on the machine. It needs Debian's postfix, and root,
// without which Postfix does not start.
package mtatest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kartotek/ports"
)

// ErrMissing tells why Postfix can't run here.
var ErrMissing = errors.New("no Postfix can run here")

const (
	daemons = "/usr/lib/postfix/sbin"
	// startTime is how long Postfix may take to listen or to end: minutes where
	// many share a processor.
	startTime = 5 * time.Minute
	nobody    = 65534
)

// Postfix is a running one. It takes mail for Domains into one Maildir.
type Postfix struct {
	Addr string // host:port of its SMTP port

	dir  string
	free func() // lets its port go
}

// Options say how Postfix is set up.
type Options struct {
	Hostname string            // its own name
	Host     string            // the address that it listens on; 127.0.0.1 when empty
	Port     string            // its port; any free one when empty
	Domains  []string          // that it takes mail for
	Settings map[string]string // further lines of main.cf
	Services []string          // further lines of master.cf, or others in place of those with the same name
	Login    string            // how it checks passwords: the smtpd.conf of Cyrus SASL
}

// services are the lines of master.cf, none of them in a chroot: a directory of a test has no room for one.
var services = []string{
	"pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
	"tlsmgr unix - - n 1000? 1 tlsmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
	"defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
	"flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp",
	"relay unix - - n - - smtp", "showq unix n - n - - showq", "error unix - - n - - error",
	"retry unix - - n - - error", "discard unix - - n - - discard", "local unix - n n - - local",
	"virtual unix - n n - - virtual", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
	"postlog unix-dgram n - n - 1 postlogd",
}

// Check returns [ErrMissing] with the reason where Postfix can't run.
func Check() error {
	if _, err := os.Stat(filepath.Join(daemons, "master")); err != nil {
		return fmt.Errorf("%w: Debian's postfix is not installed (scripts/setup does that)", ErrMissing)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", ErrMissing)
	}
	return nil
}

// Start runs a Postfix and returns when it listens. [Postfix.Stop] ends it and removes everything of it.
func Start(ctx context.Context, o Options) (*Postfix, error) {
	if err := Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postfix-")
	if err != nil {
		return nil, err
	}
	p := &Postfix{dir: dir, free: func() {}}
	if err := p.setUp(ctx, o); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	if out, err := p.command(ctx, "postfix", "start").CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Postfix: %w: %s%s", err, out, p.Log()), p.remove())
	}
	if err := p.await(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Postfix: %w: %s", err, p.Log()), p.Stop())
	}
	return p, nil
}

// command is one of Postfix's programs about this Postfix.
func (p *Postfix) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, append([]string{"-c", p.path("etc")}, args...)...)
	c.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	return c
}

func (p *Postfix) path(name ...string) string {
	return filepath.Join(append([]string{p.dir}, name...)...)
}

// setUp writes the configuration and makes the directories, which Postfix's own users must reach.
func (p *Postfix) setUp(ctx context.Context, o Options) error {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Port == "" {
		port, free, err := ports.Hold(o.Host)
		if err != nil {
			return err
		}
		o.Port, p.free = port, free
	}
	p.Addr = net.JoinHostPort(o.Host, o.Port)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"etc", "queue", "data", "mail"} {
		if err := os.Mkdir(p.path(name), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chown(p.path("mail"), nobody, nobody); err != nil {
		return err
	}
	chown := exec.CommandContext(ctx, "chown", "postfix:", p.path("data"))
	if out, err := chown.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if err := os.WriteFile(p.path("etc", "main.cf"), p.mainCF(o), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(p.path("etc", "master.cf"), p.masterCF(o), 0o644); err != nil {
		return err
	}
	if o.Login == "" {
		return nil
	}
	if err := os.Mkdir(p.path("etc", "sasl"), 0o755); err != nil { // where Debian's Postfix looks
		return err
	}
	return os.WriteFile(p.path("etc", "sasl", "smtpd.conf"), []byte(o.Login), 0o644)
}

func (p *Postfix) mainCF(o Options) []byte {
	lines := map[string]string{
		"compatibility_level": "3.6", "myhostname": o.Hostname, "mydestination": "", "mynetworks": "127.0.0.0/8 [::1]/128",
		"queue_directory": p.path("queue"), "data_directory": p.path("data"), "command_directory": "/usr/sbin",
		"daemon_directory": daemons, "mail_owner": "postfix", "setgid_group": "postdrop", "inet_protocols": "all",
		"inet_interfaces": o.Host, "maillog_file": p.path("log"), "maillog_file_prefixes": p.dir, "alias_maps": "",
		"local_recipient_maps": "", "virtual_mailbox_domains": strings.Join(o.Domains, " "), "virtual_mailbox_base": p.path("mail"),
		"virtual_mailbox_maps": "static:box/", "virtual_uid_maps": "static:" + strconv.Itoa(nobody),
		"virtual_gid_maps": "static:" + strconv.Itoa(nobody), "disable_dns_lookups": "yes", "smtputf8_enable": "yes",
		"shlib_directory": "/usr/lib/postfix", "meta_directory": "/etc/postfix", "minimal_backoff_time": "1s", "queue_run_delay": "1s",
	}
	maps.Copy(lines, o.Settings)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "%s = %s\n", name, lines[name])
	}
	return []byte(b.String())
}

func (p *Postfix) masterCF(o Options) []byte {
	_, port, _ := net.SplitHostPort(p.Addr)
	byName := map[string]string{}
	for _, line := range append(append(services, port+" inet n - n - - smtpd"), o.Services...) {
		name, _, _ := strings.Cut(line, " ")
		byName[name] = line
	}
	return []byte(strings.Join(slices.Sorted(maps.Values(byName)), "\n") + "\n")
}

// await returns when Postfix greets.
func (p *Postfix) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if p.greets(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Postfix) greets(ctx context.Context) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	word := make([]byte, 3)
	if end, _ := ctx.Deadline(); conn.SetDeadline(end) != nil {
		return false
	}
	_, err = io.ReadFull(conn, word)
	return err == nil && string(word) == "220"
}

// Stop ends Postfix, waits for it and removes its directory.
func (p *Postfix) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	out, err := p.command(ctx, "postfix", "stop").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("stopping Postfix: %w: %s", err, out)
	}
	return errors.Join(err, p.remove())
}

// remove removes what an ended Postfix leaves behind.
func (p *Postfix) remove() error {
	p.free()
	return os.RemoveAll(p.dir)
}

// Release prepares a Postfix that was started with defer_transports set for delivering what it has kept for that.
func (p *Postfix) Release(ctx context.Context) error {
	for _, c := range []*exec.Cmd{p.command(ctx, "postconf", "-e", "defer_transports="), p.command(ctx, "postfix", "reload")} {
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("letting Postfix go on: %w: %s", err, out)
		}
	}
	return nil
}

// Flush makes Postfix deliver what is in its queue.
func (p *Postfix) Flush(ctx context.Context) error {
	if out, err := p.command(ctx, "postqueue", "-f").CombinedOutput(); err != nil {
		return fmt.Errorf("letting Postfix deliver its queue: %w: %s", err, out)
	}
	return nil
}

// Log is what Postfix has logged so far.
func (p *Postfix) Log() string {
	b, err := os.ReadFile(p.path("log"))
	if err != nil {
		return ""
	}
	return string(b)
}

// Queued is a message in Postfix's queue, as postqueue tells of it.
type Queued struct {
	Queue      string `json:"queue_name"`
	Sender     string `json:"sender"`
	Recipients []struct {
		Address string `json:"address"`
		Reason  string `json:"delay_reason"`
	} `json:"recipients"`
}

// Queue asks Postfix for its queue.
func (p *Postfix) Queue(ctx context.Context) ([]Queued, error) {
	out, err := p.command(ctx, "postqueue", "-j").Output()
	if err != nil {
		return nil, fmt.Errorf("asking for the queue: %w", err)
	}
	var all []Queued
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var q Queued
		err := dec.Decode(&q)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the queue: %w", err)
		}
		all = append(all, q)
	}
}

// Await returns the messages in the mailbox, once there are n or more, in no particular order. The line ends are those
// of files: LF.
func (p *Postfix) Await(ctx context.Context, n int) ([][]byte, error) {
	for {
		files, err := os.ReadDir(p.path("mail", "box", "new"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(files) >= n {
			var all [][]byte
			for _, f := range files {
				b, err := os.ReadFile(p.path("mail", "box", "new", f.Name()))
				if err != nil {
					return nil, err
				}
				all = append(all, b)
			}
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d messages arrived: %w", len(files), n, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
