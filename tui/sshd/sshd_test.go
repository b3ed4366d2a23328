package sshd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	gossh "golang.org/x/crypto/ssh"

	"kartotek/flows"
	"kartotek/store"
	"kartotek/tui"
)

// patience is how long is waited for what has to come: minutes, since what
// takes no time here may take one of them where many share a processor.
const patience = 5 * time.Minute

// team is a server with staff on a store of its own.
type team struct {
	t       *testing.T
	dir     string
	desk    *flows.Service
	store   *store.Store
	server  *Server
	keys    map[string]gossh.Signer
	logged  *bytes.Buffer
	owner   flows.Actor
	command func(context.Context, flows.Actor, []string, Streams) int
}

// newTeam serves anna, an owner, and bo, who does support; eve is nobody.
func newTeam(t *testing.T, limits Limits) *team {
	t.Helper()
	for _, tool := range []string{"ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("needs an SSH client: run scripts/setup")
		}
	}
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(dir, "k.db"), Keys: filepath.Join(dir, "keys.json"), Files: dir})
	must(t, err)
	tm := &team{t: t, dir: dir, store: st, desk: flows.New(st, flows.Config{PublicURL: "http://127.0.0.1:1", Company: "Example"}), keys: map[string]gossh.Signer{}, logged: &bytes.Buffer{}}
	tm.owner = flows.Actor{Name: "test", Role: flows.Owner, From: "test"}
	for _, name := range []string{"anna", "bo", "eve"} {
		must(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", filepath.Join(dir, name)).Run())
		private, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		tm.keys[name], err = gossh.ParsePrivateKey(private)
		must(t, err)
	}
	tm.add("anna", flows.Owner)
	tm.add("bo", flows.Support)
	if limits.Watch == 0 {
		limits.Watch = 20 * time.Millisecond
	}
	if limits.SignIn == 0 {
		limits.SignIn = patience
	}
	tm.command = func(_ context.Context, who flows.Actor, args []string, s Streams) int {
		fmt.Fprintf(s.Out, "%s: %q\n", who.Name, args)
		return 3
	}
	tm.server, err = Listen(t.Context(), "127.0.0.1:0", Options{
		Desk: tm.desk, HostKey: filepath.Join(dir, "host"), Log: slog.New(slog.NewTextHandler(tm.logged, nil)), Limits: limits,
		Console: tui.Options{Desk: tm.desk, Store: "SQLite k.db", Route: "capture", Remote: true},
		Command: func(ctx context.Context, who flows.Actor, args []string, s Streams) int {
			return tm.command(ctx, who, args, s)
		},
	})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- tm.server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left := running(); left != "" {
			t.Errorf("the server ended and left running:\n%s", left)
		}
		must(t, st.Close())
		if tm.logged.Len() > 0 {
			t.Errorf("the server logged: %s", tm.logged)
		}
	})
	return tm
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running are the goroutines of sessions that are still there.
func running() string {
	var left []string
	for end := time.Now().Add(patience); ; { // those that were told to end get the time to
		left = left[:0]
		for g := range strings.SplitSeq(stacks(), "\n\n") {
			if strings.Contains(g, "tui/sshd.(*") || strings.Contains(g, "bubbletea") || strings.Contains(g, "charmbracelet/ssh") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return ""
		}
		if time.Now().After(end) {
			return strings.Join(left, "\n\n")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func stacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

func (tm *team) add(name string, role flows.Role) {
	tm.t.Helper()
	pub, err := os.ReadFile(filepath.Join(tm.dir, name+".pub"))
	must(tm.t, err)
	_, err = tm.desk.AddStaff(tm.t.Context(), tm.owner, name, role, string(pub))
	must(tm.t, err)
}

// ssh is the system's SSH client, with one key and this server's host key.
func (tm *team) ssh(key string, args ...string) *exec.Cmd {
	tm.t.Helper()
	host, port, err := net.SplitHostPort(tm.server.Addr())
	must(tm.t, err)
	pub, err := os.ReadFile(filepath.Join(tm.dir, "host.pub"))
	must(tm.t, err)
	known := filepath.Join(tm.dir, "known")
	must(tm.t, os.WriteFile(known, []byte("["+host+"]:"+port+" "+string(pub)), 0o600))
	options := []string{"-F", "none", "-p", port, "-i", filepath.Join(tm.dir, key), "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "LogLevel=INFO"}
	cmd := exec.CommandContext(tm.t.Context(), "ssh", append(append(options, args[:flagsOf(args)]...), append([]string{"whoever@" + host}, args[flagsOf(args):]...)...)...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "TERM=xterm-256color")
	return cmd
}

// flagsOf counts the arguments that belong before the host: all up to "--".
func flagsOf(args []string) int {
	for i, a := range args {
		if a == "--" {
			return i + 1
		}
	}
	return 0
}

// run runs the client to its end.
func run(t *testing.T, cmd *exec.Cmd) (out, fault string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// terminal is an emulated terminal with the client on it.
type terminal struct {
	t     *testing.T
	mu    sync.Mutex
	emu   *vt.Emulator
	raw   bytes.Buffer
	wrote chan struct{}
	pty   *os.File
	cmd   *exec.Cmd
	done  chan struct{}
}

// open starts the client on a terminal of a size.
func (tm *team) open(cmd *exec.Cmd, cols, rows uint16) *terminal {
	tm.t.Helper()
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: cols, Rows: rows})
	must(tm.t, err)
	term := &terminal{t: tm.t, emu: vt.NewEmulator(min(int(cols), 200), min(int(rows), 60)), wrote: make(chan struct{}, 1), pty: f, cmd: cmd, done: make(chan struct{})}
	go io.Copy(f, term.emu) // the terminal's answers are input
	go func() {
		defer close(term.done)
		buf := make([]byte, 32<<10)
		for {
			n, err := f.Read(buf)
			term.mu.Lock()
			term.raw.Write(buf[:n])
			term.emu.Write(buf[:n])
			term.mu.Unlock()
			select {
			case term.wrote <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	tm.t.Cleanup(func() {
		cmd.Process.Kill()
		f.Close()
		<-term.done
		if p, ok := term.emu.InputPipe().(io.Closer); ok {
			p.Close()
		}
	})
	return term
}

// until waits until the terminal shows a text.
func (term *terminal) until(text string) {
	term.t.Helper()
	limit := time.After(patience)
	for {
		term.mu.Lock()
		shown, raw := term.emu.String(), term.raw.String()
		term.mu.Unlock()
		if strings.Contains(shown, text) || strings.Contains(raw, text) {
			return
		}
		select {
		case <-term.wrote:
		case <-limit:
			term.t.Fatalf("the terminal never showed %q:\n%s", text, shown)
		}
	}
}

// end waits for the client to end.
func (term *terminal) end() int {
	term.t.Helper()
	term.cmd.Wait()
	return term.cmd.ProcessState.ExitCode()
}

// audit is what the audit says, oldest first, one act a line.
func (tm *team) audit() string {
	tm.t.Helper()
	rows, err := tm.desk.Audit(tm.t.Context(), tm.owner, flows.AuditFilter{}, 0, 200)
	must(tm.t, err)
	out := ""
	for _, r := range rows {
		out = r.Actor + " " + r.From + " " + r.Act + " " + r.Why + "\n" + out
	}
	return out
}

// dial signs in by the Go client, for what OpenSSH's would not send.
func (tm *team) dial(key string) *gossh.Client {
	tm.t.Helper()
	c, err := gossh.Dial("tcp", tm.server.Addr(), &gossh.ClientConfig{User: "x", Auth: []gossh.AuthMethod{gossh.PublicKeys(tm.keys[key])}, HostKeyCallback: gossh.InsecureIgnoreHostKey()})
	must(tm.t, err)
	tm.t.Cleanup(func() { c.Close() })
	return c
}

func TestConsoleOverSSH(t *testing.T) {
	tm := newTeam(t, Limits{})
	term := tm.open(tm.ssh("bo", "-tt", "--"), 140, 30)
	term.until("signed in as bo, support")
	must(t, pty.Setsize(term.pty, &pty.Winsize{Cols: 100, Rows: 24}))
	term.pty.WriteString("?")
	term.until("Keys")
	term.pty.WriteString("qq")
	if code := term.end(); code != 0 {
		t.Errorf("the console ended with %d", code)
	}
	said := tm.audit()
	if !strings.Contains(said, "bo ssh 127.0.0.1 sign in key SHA256:") || !strings.Contains(said, "bo ssh 127.0.0.1 sign out") {
		t.Errorf("the audit says:\n%s", said)
	}
}

func TestCommandOverSSH(t *testing.T) {
	tm := newTeam(t, Limits{})
	out, _, code := run(t, tm.ssh("anna", "find", "'a b'", ";", "id", "`id`", "$(id)", "--json"))
	if out != "anna: [\"find\" \"a b\" \";\" \"id\" \"`id`\" \"$(id)\" \"--json\"]\n" || code != 3 {
		t.Errorf("%d, %s", code, out)
	}
	_, fault, code := run(t, tm.ssh("anna"))
	if !strings.Contains(fault, "needs a terminal") || code != 2 {
		t.Errorf("without a terminal: %d, %s", code, fault)
	}
}

// TestStrangers: who has no key of staff gets nothing, and is written down.
func TestStrangers(t *testing.T) {
	tm := newTeam(t, Limits{})
	for _, args := range [][]string{
		{"lists"},
		{"-o", "PubkeyAuthentication=no", "--", "lists"},
		{"-o", "PreferredAuthentications=password,keyboard-interactive,none", "-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "--", "lists"},
	} {
		if out, fault, code := run(t, tm.ssh("eve", args...)); code != 255 || out != "" || !strings.Contains(fault, "Permission denied (publickey)") {
			t.Errorf("%q: %d, %s %s", args, code, out, fault)
		}
	}
	_, err := tm.desk.EnableStaff(t.Context(), tm.owner, "bo", false)
	must(t, err)
	if _, _, code := run(t, tm.ssh("bo", "lists")); code != 255 {
		t.Errorf("bo was disabled, and got %d", code)
	}
	limit := time.Now().Add(patience)
	for said := ""; !strings.Contains(said, "unknown ssh refused sign-in: bo is disabled") || !strings.Contains(said, "unknown ssh refused sign-in: no key of staff"); said = tm.audit() {
		if time.Now().After(limit) {
			t.Fatalf("the audit says:\n%s", said)
		}
		runtime.Gosched()
	}
}

// TestOutAtOnce: who is disabled, loses a key or gets another role is out of
// the session that is open.
func TestOutAtOnce(t *testing.T) {
	tm := newTeam(t, Limits{})
	for name, act := range map[string]func() error{
		"disabled": func() error { _, err := tm.desk.EnableStaff(t.Context(), tm.owner, "bo", false); return err },
		"role":     func() error { _, err := tm.desk.SetRole(t.Context(), tm.owner, "bo", flows.Auditor); return err },
		"key": func() error {
			_, err := tm.desk.RemoveStaffKey(t.Context(), tm.owner, "bo", gossh.FingerprintSHA256(tm.keys["bo"].PublicKey()))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			term := tm.open(tm.ssh("bo", "-tt", "--"), 100, 24)
			term.until("bo, support")
			must(t, act())
			term.until("your sign-in has ended")
			if code := term.end(); code != 1 {
				t.Errorf("the session ended with %d", code)
			}
		})
		_, err := tm.desk.EnableStaff(t.Context(), tm.owner, "bo", true)
		must(t, err)
		_, err = tm.desk.SetRole(t.Context(), tm.owner, "bo", flows.Support)
		must(t, err)
		if pub, err := os.ReadFile(filepath.Join(tm.dir, "bo.pub")); err == nil {
			_, err = tm.desk.AddStaffKey(t.Context(), tm.owner, "bo", string(pub))
			var there *flows.Refusal
			if err != nil && !errors.As(err, &there) {
				t.Fatal(err)
			}
		}
	}
}

// TestNothingElse: no forwarding, subsystem, agent, X11 or environment.
func TestNothingElse(t *testing.T) {
	tm := newTeam(t, Limits{})
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-W", tm.server.Addr(), "--"}, "stdio forwarding failed"},
		{[]string{"-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:" + tm.server.Addr(), "--"}, "remote port forwarding failed"},
		{[]string{"-s", "--", "sftp"}, "subsystem request failed"},
	} {
		if out, fault, code := run(t, tm.ssh("anna", c.args...)); code != 255 || out != "" || !strings.Contains(fault, c.says) {
			t.Errorf("%q: %d, %s %s", c.args, code, out, fault)
		}
	}
	client := tm.dial("anna")
	ses, err := client.NewSession()
	must(t, err)
	for _, name := range []string{"KARTOTEK_AS", "LD_PRELOAD", "COLORTERM"} {
		if ses.Setenv(name, "x") == nil {
			t.Errorf("the environment variable %s was taken", name)
		}
	}
	for _, request := range []string{"auth-agent-req@openssh.com", "x11-req", "subsystem", "break", "nonsense"} {
		if ok, err := ses.SendRequest(request, true, nil); err != nil || ok {
			t.Errorf("%s was answered with %t, %v", request, ok, err)
		}
	}
	for _, kind := range []string{"direct-tcpip", "direct-streamlocal@openssh.com", "tun@openssh.com", "x11"} {
		if _, _, err := client.OpenChannel(kind, nil); err == nil {
			t.Errorf("a channel of the kind %s was opened", kind)
		}
	}
	for _, request := range []string{"tcpip-forward", "streamlocal-forward@openssh.com", "keepalive@openssh.com"} {
		if ok, _, err := client.SendRequest(request, true, nil); err != nil || ok {
			t.Errorf("%s was answered with %t, %v", request, ok, err)
		}
	}
	if out, err := ses.Output("lists"); string(out) != "anna: [\"lists\"]\n" {
		t.Errorf("after all that, a command says %q, %v", out, err)
	}
}

// TestGiants: windows of any size, floods of changes and of keys end nothing
// but what is theirs, and take no more memory than a large screen.
func TestGiants(t *testing.T) {
	tm := newTeam(t, Limits{})
	client := tm.dial("anna")
	ses, err := client.NewSession()
	must(t, err)
	out, err := ses.StdoutPipe()
	must(t, err)
	keys, err := ses.StdinPipe()
	must(t, err)
	must(t, ses.RequestPty("xterm", 1<<31-1, 1<<31-1, nil))
	must(t, ses.Shell())
	seen := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, out)
		seen <- n
	}()
	for i := range 5000 {
		must(t, ses.WindowChange(i*1_000_000, 1<<31-1-i))
	}
	must(t, ses.WindowChange(0, 0))
	must(t, ses.WindowChange(24, 80))
	keys.Write([]byte("q"))
	if err := ses.Wait(); err != nil {
		t.Errorf("the console ended with %v", err)
	}
	if n := <-seen; n > 20<<20 {
		t.Errorf("the console drew %d bytes", n)
	}

	flood, err := client.NewSession()
	must(t, err)
	endless, err := flood.StdinPipe()
	must(t, err)
	must(t, flood.RequestPty("xterm", 24, 80, nil))
	must(t, flood.Shell())
	endless.Write([]byte("\x1b[200~")) // a paste that never ends
	block := bytes.Repeat([]byte("x"), 32<<10)
	for err == nil {
		_, err = endless.Write(block)
	}
	if flood.Wait() == nil {
		t.Error("an endless paste ended well")
	}
}

// TestLimits: sessions and strangers are counted, and those that are too many
// get nothing, until others are gone.
func TestLimits(t *testing.T) {
	tm := newTeam(t, Limits{PerStaff: 2, PerAddress: 3, Idle: time.Hour})
	hang := make(chan struct{})
	tm.command = func(ctx context.Context, _ flows.Actor, _ []string, s Streams) int {
		fmt.Fprintln(s.Out, "here")
		select {
		case <-ctx.Done():
		case <-hang:
		}
		return 0
	}
	client := tm.dial("anna")
	var open []*gossh.Session
	for range 2 {
		ses, err := client.NewSession()
		must(t, err)
		must(t, ses.Start("wait"))
		open = append(open, ses)
	}
	if _, err := client.NewSession(); err == nil || !strings.Contains(err.Error(), "too many sessions") {
		t.Errorf("a third session: %v", err)
	}
	if _, err := tm.dial("bo").NewSession(); err != nil {
		t.Errorf("another one of staff: %v", err)
	}
	close(hang)
	for _, ses := range open {
		must(t, ses.Wait())
	}
	for { // the place is given back when all of the session has ended
		ses, err := client.NewSession()
		if err == nil {
			must(t, ses.Close())
			break
		}
		runtime.Gosched()
	}
	var strangers []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", tm.server.Addr())
		must(t, err)
		_, err = c.Read(make([]byte, 4))
		must(t, err) // the server's greeting
		strangers = append(strangers, c)
	}
	c, err := net.Dial("tcp", tm.server.Addr())
	must(t, err)
	if n, err := c.Read(make([]byte, 4)); err == nil {
		t.Errorf("a fourth stranger was greeted with %d bytes", n)
	}
	for _, c := range append(strangers, c) {
		c.Close()
	}
}

// TestIdle: a session whose user does nothing ends, whatever the screen does.
func TestIdle(t *testing.T) {
	tm := newTeam(t, Limits{Idle: 300 * time.Millisecond})
	term := tm.open(tm.ssh("bo", "-tt", "--"), 100, 24)
	term.until("nobody has pressed a key for a long time")
	if code := term.end(); code != 1 {
		t.Errorf("the session ended with %d", code)
	}
}

// TestSignInTime: who doesn't sign in is gone after a while.
func TestSignInTime(t *testing.T) {
	tm := newTeam(t, Limits{SignIn: 50 * time.Millisecond})
	c, err := net.Dial("tcp", tm.server.Addr())
	must(t, err)
	defer c.Close()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Log(err) // a reset is an end as well
	}
}

// TestClientGone: a client that dies takes its console with it.
func TestClientGone(t *testing.T) {
	tm := newTeam(t, Limits{})
	term := tm.open(tm.ssh("anna", "-tt", "--"), 100, 24)
	term.until("anna, owner")
	must(t, term.cmd.Process.Kill())
	term.end()
	for { // until the test's time is over
		if !strings.Contains(stacks(), "tui.RunOn") {
			return
		}
		runtime.Gosched()
	}
}
