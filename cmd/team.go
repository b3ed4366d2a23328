package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"syscall"

	"kartotek/tui"
	"kartotek/tui/sshd"
)

// hostKeyName is the SSH host key's file, beside the key file.
const hostKeyName = "ssh_host_ed25519"

// listenSSH opens the console for the team if that is asked for, and with
// patient set no other process has the port.
func (a *app) listenSSH(ctx context.Context, e *engine, log *slog.Logger, patient bool) error {
	if a.set.SSH == "" {
		return nil
	}
	s, err := sshd.Listen(ctx, a.set.SSH, sshd.Options{
		Desk: e.desk, HostKey: filepath.Join(filepath.Dir(a.set.Keys), hostKeyName), Log: log, Command: a.remote(e.desk),
		Console: tui.Options{Desk: e.desk, Store: a.store.Name(), Route: a.common.route, Mail: e.mailWords(), WebURL: a.common.publicURL, Remote: true},
	})
	switch {
	case patient && errors.Is(err, syscall.EADDRINUSE):
		return nil
	case err != nil:
		return fmt.Errorf("the console can't be served over SSH on %s: %w", a.set.SSH, err)
	}
	e.ssh = s
	return nil
}

// sshWords say where the team's console is.
func (e *engine) sshWords() string {
	return fmt.Sprintf("console over SSH on %s, host key %s", e.ssh.Addr(), e.ssh.Fingerprint())
}
