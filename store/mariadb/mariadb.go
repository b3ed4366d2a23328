// Package mariadb starts private MariaDB servers on loopback, each with a
// directory of its own, for tests and measurements. It knows nothing of the
// store, and the program doesn't import it.
package mariadb

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
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
	dir    string
	cmd    *exec.Cmd
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
	under := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		under = "/dev/shm"
	}
	dir, err := os.MkdirTemp(under, "kartotek-mariadb-")
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, dir: dir, data: filepath.Join(dir, "data"), CA: filepath.Join(dir, "ca.pem")}
	s.tmp = filepath.Join(dir, "tmp")
	if o.Data != "" {
		s.data, s.tmp = o.Data, o.Data+".tmp"
	}
	if err := os.MkdirAll(s.tmp, 0o700); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.install(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := errors.Join(s.watch(), s.Up()); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) install() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	s.Address = "root@127.0.0.1:" + s.port
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

// Up starts the server's process and waits until it answers. What was kept
// before a Kill is there again.
func (s *Server) Up() error {
	path, err := program("mariadbd")
	if err != nil {
		return err
	}
	args := []string{
		"--no-defaults", "--datadir=" + s.data, "--tmpdir=" + s.tmp, "--socket=" + filepath.Join(s.dir, "s"), "--pid-file=" + filepath.Join(s.dir, "pid"),
		"--port=" + s.port, "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
		"--innodb-flush-log-at-trx-commit=1", "--log-error=" + filepath.Join(s.dir, "log"),
		"--ssl-ca=" + s.CA, "--ssl-cert=" + filepath.Join(s.dir, "server.pem"), "--ssl-key=" + filepath.Join(s.dir, "server.key"),
	}
	s.cmd = exec.Command(path, slices.Concat(args, asRoot(), s.o.Settings)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl+c is for the test
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "running"), []byte(strconv.Itoa(s.cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	return s.answers(60 * time.Second)
}

// answers waits for the server, for so long at most.
func (s *Server) answers(most time.Duration) error {
	db, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		return err
	}
	defer db.Close()
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		if err = db.Ping(); err == nil {
			return nil
		}
		if time.Now().After(end) || s.cmd.Process.Signal(syscall.Signal(0)) != nil {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server does not answer: %w: %s", err, log)
		}
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
	_ = s.cmd.Wait()
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
	case s.cmd == nil || s.cmd.Process == nil:
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
