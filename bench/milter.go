package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kartotek/mta"
)

// signingDomain is that of the letters' sender.
const signingDomain = "example.com"

// milter is OpenDKIM as Postfix's milter, which signs what Postfix takes.
type milter struct {
	addr string
	cmd  *exec.Cmd
	done chan error
}

// startMilter starts one that signs by a key, in a directory. It knows RSA alone, so it signs once where we sign twice.
func startMilter(dir string, key mta.SigningKey) (*milter, error) {
	pem, err := key.PEM()
	if err != nil {
		return nil, err
	}
	keyPath, path := filepath.Join(dir, "dkim.pem"), filepath.Join(dir, "opendkim.conf")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &milter{addr: l.Addr().String(), done: make(chan error, 1)}
	settings := fmt.Sprintf("Mode s\nDomain %s\nSelector %s\nKeyFile %s\nSocket inet:%s@127.0.0.1\nCanonicalization relaxed/relaxed\n"+
		"RequireSafeKeys no\nSyslog no\nBackground no\nUMask 007\nUserID root\n", signingDomain, key.Selector(), keyPath, portOf(m.addr))
	if err := errors.Join(l.Close(), os.WriteFile(keyPath, pem, 0o600), os.WriteFile(path, []byte(settings), 0o600)); err != nil {
		return nil, err
	}
	m.cmd = exec.Command("opendkim", "-f", "-x", path)
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: it is Debian's opendkim", err)
	}
	go func() { m.done <- m.cmd.Wait() }()
	for range 500 {
		if conn, err := net.Dial("tcp", m.addr); err == nil {
			return m, conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("OpenDKIM doesn't listen"), m.stop())
}

func (m *milter) stop() error {
	_ = m.cmd.Process.Kill() // an error means that it has ended
	<-m.done
	return nil
}
