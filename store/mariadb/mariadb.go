// Package mariadb starts private MariaDB servers on loopback, each with a
// directory of its own, for tests and measurements. It knows nothing of the
// store, and the program doesn't import it.
package mariadb

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sys/unix"

	"kartotek/ports"
)

// Options say what a server is for. The zero value is one for tests: it waits
// for no disk, and leaves nothing behind.
type Options struct {
	Data     string   // directory whose data are kept after the server's end, and used again
	Settings []string // of the server, such as --innodb-buffer-pool-size=1G
}

// Server is a private MariaDB on loopback, with a directory of its own.
type Server struct {
	Address string // USER:PASS@HOST:PORT
	CA      string // the certificate that its own is signed by

	o      Options
	data   string
	tmp    string // its own: a server that starts clears the one it shares
	port   string
	free   func() // lets the port go
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has
	reaper io.Closer
}

// Installed returns nil where servers can be started.
func Installed() error {
	if _, err := program("mariadbd"); err != nil {
		return fmt.Errorf("%w: install mariadb-server-core (scripts/setup does)", err)
	}
	return nil
}

// program finds a program of the server's package, which may lie where only
// root looks.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", name))
}

// Start starts a server. It ends with the process, however that ends.
func Start(o Options) (*Server, error) {
	port, free, err := ports.Hold("127.0.0.1")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(inMemory(), "kartotek-mariadb-")
	if err != nil {
		free()
		return nil, err
	}
	s := &Server{Address: "root@127.0.0.1:" + port, o: o, port: port, free: free, dir: dir, data: filepath.Join(dir, "data"), CA: filepath.Join(dir, "ca.pem")}
	s.tmp = filepath.Join(dir, "tmp")
	if o.Data != "" {
		s.data, s.tmp = o.Data, o.Data+".tmp"
	}
	for _, step := range []func() error{func() error { return os.MkdirAll(s.tmp, 0o700) }, s.install, s.watch, s.Up} {
		if err := step(); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return s, nil
}

// roomy is how much memory a directory of files in it must have left, in
// bytes: in a container it may be too small for a server.
const roomy = 2 << 30

// inMemory is a directory of files in memory; "" where there is none of use.
func inMemory() string {
	const dir = "/dev/shm"
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) != nil || disk.Bavail*uint64(disk.Bsize) < roomy {
		return ""
	}
	return dir
}

func (s *Server) install() error {
	if err := certificates(s.dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.data, "mysql")); err == nil {
		return nil
	}
	install, err := program("mariadb-install-db")
	if err != nil {
		return err
	}
	args := []string{"--no-defaults", "--datadir=" + s.data, "--tmpdir=" + s.tmp, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"}
	if out, err := exec.Command(install, append(args, asRoot()...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	return nil
}

// asRoot allows the server to run as root, where the tests do.
func asRoot() []string {
	if u, err := user.Current(); err == nil && u.Uid == "0" {
		return []string{"--user=root"}
	}
	return nil
}

// startTime is how long a server may take until it answers: minutes where many
// share a processor.
const startTime = 5 * time.Minute

// Up starts the server's process and waits until it answers. What was kept
// before a Kill is there again.
func (s *Server) Up() error {
	path, err := program("mariadbd")
	if err != nil {
		return err
	}
	args := []string{
		"--no-defaults", "--datadir=" + s.data, "--tmpdir=" + s.tmp, "--socket=", "--pid-file=" + filepath.Join(s.dir, "pid"),
		"--port=" + s.port, "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
		"--innodb-flush-log-at-trx-commit=1", "--log-error=" + filepath.Join(s.dir, "log.err"),
		"--ssl-ca=" + s.CA, "--ssl-cert=" + filepath.Join(s.dir, "server.pem"), "--ssl-key=" + filepath.Join(s.dir, "server.key"),
	}
	s.cmd = exec.Command(path, slices.Concat(args, asRoot(), s.o.Settings)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl+c is for the test
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // what it says lies in its log
		close(ended)
	}(s.cmd)
	if err := os.WriteFile(filepath.Join(s.dir, "running"), []byte(strconv.Itoa(s.cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	return s.answers(startTime)
}

// answers waits for the server, for so long at most.
func (s *Server) answers(most time.Duration) error {
	db, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-s.ended:
		case <-ctx.Done():
		}
		log, _ := os.ReadFile(filepath.Join(s.dir, "log.err"))
		return fmt.Errorf("the server does not answer: %w: %s", err, log)
	}
}

// watch leaves a shell behind that ends the server, and removes what it kept,
// when this process has ended in any way: its standard input ends then.
func (s *Server) watch() error {
	shell := exec.Command("sh", "-c", `cat >/dev/null; kill -9 "$(cat "$1/running")" 2>/dev/null; rm -rf "$1"`, "sh", s.dir)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := shell.StdinPipe()
	if err != nil {
		return err
	}
	if err := shell.Start(); err != nil {
		return err
	}
	s.reaper = in
	return nil
}

// Kill ends the server's process at once, as a crash does.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// end ends the process; where it has ended already, there is nothing to do.
func (s *Server) end(how syscall.Signal) {
	_ = s.cmd.Process.Signal(how)
	<-s.ended
}

// clockTick is the unit of the times that Linux tells of a process.
const clockTick = 10 * time.Millisecond

// CPU is how long the server's process has used processors so far, user and
// system, as Linux tells it: within 20 ms.
func (s *Server) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // a name may hold anything
	var user, system int64
	if _, err := fmt.Sscan(strings.Join(fields[11:13], " "), &user, &system); err != nil {
		return 0, err
	}
	return time.Duration(user+system) * clockTick, nil
}

// Stop ends the server for good; what it is to keep, it keeps.
func (s *Server) Stop() {
	switch {
	case s.ended == nil: // it never began
	case s.o.Data != "":
		s.end(syscall.SIGTERM)
	default:
		s.Kill()
	}
	os.Remove(filepath.Join(s.dir, "running")) // its number may be another's soon
	if s.reaper != nil {
		s.reaper.Close()
	}
	os.RemoveAll(s.dir)
	s.free()
}

// DSN is the driver's address of a database on the server.
func (s *Server) DSN(database string) string { return DSN(s.Address, database) }

// DSN is the driver's address of a database on the server USER:PASS@HOST:PORT;
// where that names several hosts, on the first.
func DSN(address, database string) string {
	address, _, _ = strings.Cut(address, ",")
	i := strings.LastIndexByte(address, '@')
	c := mysql.NewConfig()
	c.User, c.Passwd, _ = strings.Cut(address[:i], ":")
	c.Net, c.Addr, c.DBName = "tcp", address[i+1:], database
	return c.FormatDSN()
}
