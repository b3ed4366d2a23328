package cmd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kartotek/ports"
	"kartotek/store/storetest"
)

// TestCommandsOnMySQL goes once around on a database server, by commands as a
// user types them: the password shows in no error and not in ps.
func TestCommandsOnMySQL(t *testing.T) {
	const secret = "s3cr:t/p@ss"
	server := storetest.StartFor(t)
	url := storetest.On(t, server.Address)
	storetest.Do(t, server.Address, "CREATE USER anna@'%' IDENTIFIED BY '"+secret+"'", "GRANT ALL ON *.* TO anna@'%'")
	url = strings.Replace(url, "root@", "anna:s3cr:t%2Fp%40ss@", 1)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "kartotek") // the name makes the test binary be the program
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		c := exec.Command(program, append([]string{"--store", url}, args...)...)
		c.Env = append(os.Environ(), "XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(dir, "config"), "KARTOTEK_AS=anna")
		return c
	}
	run := func(code int, want string, args ...string) {
		t.Helper()
		out, err := command(args...).CombinedOutput()
		if got := exitOf(err); got != code || !bytes.Contains(out, []byte(want)) {
			t.Errorf("%v: exit code %d, want %d with %q: %s", args, got, code, want, out)
		}
		if bytes.Contains(out, []byte("s3cr")) {
			t.Errorf("%v tells the password: %s", args, out)
		}
	}
	people := filepath.Join(dir, "people.csv")
	if err := os.WriteFile(people, []byte("email,first_name,signed_up_at,signed_up_ip\nmarie@example.dk,Marie,2026-01-02T03:04:05Z,192.0.2.9\njens@example.dk,Jens,2026-01-02T03:04:05Z,192.0.2.9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(exitFailed, "kartotek migrate", "browse")
	run(exitDone, "up to date", "migrate")
	run(exitDone, "", "lists", "add", "News")
	run(exitDone, "", "import", people, "--list", "News", "--confirmed")
	run(exitDone, `"subscriber_id": 1`, "find", "marie@example.dk", "--json")
	run(exitDone, "", "export", "marie@example.dk", "--format", "json")
	if found, _ := filepath.Glob(filepath.Join(dir, "data", "kartotek", "exports", "mysql-*", "*")); len(found) != 1 {
		t.Errorf("the exported cards are %v", found)
	}
	run(exitDone, "", "erase", "marie@example.dk", "--reason", "asked for it")
	run(exitDone, `"refused": 1`, "import", people, "--list", "News", "--confirmed", "--json")
	run(exitDone, "", "resubscribe", "marie@example.dk", "--list", "News", "--asked", "called on Monday")
	run(exitDone, "confirm", "mailbox", "show", "1")
	url = strings.Replace(url, "/kartotek", "/nothing", 1)
	run(exitFailed, "no database", "browse")
	url = strings.Replace(url, "/nothing", "/kartotek", 1)

	port, release, err := ports.Hold("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	serve := command("serve", "--web", "127.0.0.1:"+port)
	said, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	if first, err := bufio.NewReader(said).ReadString('\n'); !strings.Contains(first, "stop with ctrl+c") {
		t.Errorf("serve says %q, %v", first, err)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", serve.Process.Pid))
	if err != nil || bytes.Contains(line, []byte("s3cr")) || !bytes.Contains(line, []byte("anna@127.0.0.1")) {
		t.Errorf("ps shows %q, %v", line, err)
	}
	if err := serve.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
}

// exitOf is a command's exit code; -1 when it did not run.
func exitOf(err error) int {
	if err == nil {
		return 0
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.ExitCode()
	}
	return -1
}
