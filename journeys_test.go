package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// way is how somebody comes to the console of a machine.
type way func(m *machine, name string) *exec.Cmd

// terminal is a person at a real terminal: what they see, and what they press.
type terminal struct {
	t     *testing.T
	tty   *os.File
	mu    sync.Mutex
	emu   *vt.Emulator
	wrote chan struct{}
}

// sit starts a console on a terminal of 100x30 cells; it has to end by itself
// at the key that quits, when the test is over.
func sit(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	cmd.Env = append(cmd.Environ(), "TERM=xterm-256color")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, tty: tty, emu: vt.NewEmulator(100, 30), wrote: make(chan struct{}, 1)}
	var copying sync.WaitGroup
	copying.Go(func() { io.Copy(tty, term.emu) }) // the terminal's answers
	copying.Go(func() { io.Copy(term, tty) })     // ends when the program does
	t.Cleanup(func() {
		if t.Failed() {
			cmd.Process.Kill()
		} else {
			term.press(esc, esc, "q")
		}
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("the console: %v", err)
		}
		tty.Close()
		if p, ok := term.emu.InputPipe().(io.Closer); ok {
			p.Close()
		}
		copying.Wait()
	})
	return term
}

// Write draws what the program writes.
func (term *terminal) Write(p []byte) (int, error) {
	term.mu.Lock()
	defer term.mu.Unlock()
	n, err := term.emu.Write(p)
	select {
	case term.wrote <- struct{}{}:
	default:
	}
	return n, err
}

func (term *terminal) screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.emu.String()
}

// sees waits until all of the texts are on the screen.
func (term *terminal) sees(texts ...string) *terminal {
	term.t.Helper()
	limit := time.After(patience)
	for _, text := range texts {
		for !strings.Contains(term.screen(), text) {
			select {
			case <-term.wrote:
			case <-limit:
				term.t.Fatalf("the screen does not show %q:\n%s", text, term.screen())
			}
		}
	}
	return term
}

// press presses keys.
func (term *terminal) press(keys ...string) *terminal {
	term.t.Helper()
	for _, key := range keys {
		if _, err := io.WriteString(term.tty, key); err != nil {
			term.t.Fatal(err)
		}
	}
	return term
}

const (
	enter = "\r"
	esc   = "\x1b[27u" // as terminals say it whose keys can all be told apart: a lone \x1b is known by the time after it
	tab   = "\t"
	right = "\x1b[C"
	down  = "\x1b[B"
	end   = "\x1b[F"
)

// staffed is a machine with people on a list, whom it serves, and with staff.
func staffed(t *testing.T) (m *machine, stop func()) {
	t.Helper()
	m = newMachine(t)
	m.write("people.csv", people)
	m.run(0, "import", "people.csv", "--list", "News", "--confirmed")
	for _, tool := range []string{"ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("needs an SSH client: run scripts/setup")
		}
	}
	for _, s := range [][2]string{{"anna", "owner"}, {"sue", "support"}, {"mia", "marketer"}, {"ole", "operator"}} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", m.path(s[0])).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		m.run(0, "staff", "add", s[0], "--role", s[1], "--key", s[0]+".pub")
	}
	m.ssh = m.hold()
	m.site, stop = m.serve("--ssh", m.ssh)
	m.listened(m.ssh)
	return m, stop
}

// here is the console on the machine itself, where others serve the pages.
func here(m *machine, name string) *exec.Cmd {
	return m.command("--as", name, "--web", "127.0.0.1:0", "--public-url", m.site)
}

// overSSH is the console from another machine, by the system's client.
func overSSH(m *machine, name string) *exec.Cmd {
	m.t.Helper()
	host, port, err := net.SplitHostPort(m.ssh)
	if err != nil {
		m.t.Fatal(err)
	}
	pub, err := os.ReadFile(m.path("config", "kartotek", "ssh_host_ed25519.pub"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("known", "["+host+"]:"+port+" "+string(bytes.TrimSpace(pub))+"\n")
	return exec.CommandContext(m.t.Context(), "ssh", "-F", "none", "-t", "-p", port, "-i", m.path(name), "-o", "IdentitiesOnly=yes",
		"-o", "UserKnownHostsFile="+m.path("known"), "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "kartotek@"+host)
}

// TestJourneys goes the ways of the three who open the console, on a terminal,
// on the machine itself and over SSH.
func TestJourneys(t *testing.T) {
	for name, come := range map[string]way{"here": here, "over SSH": overSSH} {
		t.Run(name, func(t *testing.T) {
			m, stop := staffed(t)
			defer stop()
			t.Run("support", func(t *testing.T) { supportJourney(t, m, come) })
			t.Run("operator", func(t *testing.T) { operatorJourney(t, m, come, name != "here") })
			t.Run("marketer", func(t *testing.T) { marketerJourney(t, m, come) })
			t.Run("support, after the erasure", func(t *testing.T) {
				term := sit(t, come(m, "sue")).sees("sue").press("/", marie, enter).sees("2 cards found", "(tombstone)", "Resubsc")
				term.press(down, enter).sees("Tombstone", "192.0.2.7", "2001:db8::7", "erased").press("p").sees("Proof of consent", "Now: erased")
			})
		})
	}
}

// supportJourney: "I never signed up" is answered with the proof, and nobody is
// found by a piece of an address; what is not for support is dim.
func supportJourney(t *testing.T, m *machine, come way) {
	term := sit(t, come(m, "sue")).sees("Contacts 2", "sue", "mar**.******@example.dk")
	term.press("/", "marie", enter).sees("only a full address").press(esc)
	term.press("/", marie, enter).sees("Obligatory", "● confirmed", "signed up", "192.0.2.7").press(end).sees("2001:db8::7")
	term.press("d").sees("the role support may not do this").press("p").sees("Proof of consent for "+marie, "192.0.2.7")
	if screen := term.screen(); strings.Contains(screen, "4520123456") {
		t.Errorf("a number shows unmasked:\n%s", screen)
	}
}

// operatorJourney: a person asks for their data, to be corrected, to be left
// alone, and to be forgotten.
// Over SSH the file comes by the command line: the server's disk is not theirs.
func operatorJourney(t *testing.T, m *machine, come way, remote bool) {
	term := sit(t, come(m, "ole")).sees("ole").press("/", marie, enter).sees("Obligatory", "Jensen")
	term.press("c").sees("what is right", "mobile").press("c", "c", tab, "Aarhus", tab, right, enter).sees("city is corrected", "Aarhus")
	term.press("z", "the person disputes the data", tab, right, enter).sees("■ frozen").press("u").sees("frozen")
	term.press("z", "settled", tab, right, enter).sees("is not frozen any more")
	if remote {
		term.press("e").sees("e export:")
	} else {
		term.press("e", enter).sees("Exported").press(esc)
	}
	term.press("d", "asked for it by letter", tab, right, enter).sees("Tombstone", "a tombstone is left")
	same(t, "permission", m.find(marie)[0].Permission, "deleted")
}

// marketerJourney: an erased person wants back, which only their own click does.
func marketerJourney(t *testing.T, m *machine, come way) {
	term := sit(t, come(m, "mia")).sees("mia").press("/", marie, enter).sees("Tombstone", "192.0.2.7")
	term.press("r").sees("Resubscribe", "own click in it completes this").press(marie, tab, tab, "called on Monday", tab, right, enter).sees("the confirmation mail is out", "waits for the person's click")
	same(t, "cards while it waits", len(m.find(marie)), 1)
	mails := ask[struct{ Mails []struct{ Links []string } }](m, "mailbox").Mails
	if len(mails) != 1 || !strings.HasPrefix(mails[0].Links[0], m.site+"/confirm/") {
		t.Fatalf("captured mails: %+v", mails)
	}
	looking(t, mails[0].Links[0])
	res, err := http.Post(mails[0].Links[0], "application/x-www-form-urlencoded", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	same(t, "the click", res.StatusCode, http.StatusOK)
	back := m.find(marie)[0]
	same(t, "permission", back.Permission, "confirmed")
	term.press("/", marie, enter).sees("2 cards found", strconv.FormatInt(back.ID, 10), "Resubsc", "(tombstone)")
	term.press("d").sees(fmt.Sprintf("the role %s may not do this", "marketer"))
}

// TestConsoleBesideServe: under the very configuration that is served already, the
// console opens, and leaves every port to who has it.
func TestConsoleBesideServe(t *testing.T) {
	m := newMachine(t)
	m.run(0, "lists", "add", "News") // makes the configuration's directory
	ssh, bounce := m.hold(), m.hold()
	m.write("config/kartotek/config.toml", fmt.Sprintf("ssh = %q\nbounce = %q\nbounce-domain = \"bounces.brev.example\"\nfrom = \"news@brev.example\"\n", ssh, bounce))
	site, stop := m.serve()
	defer stop()
	m.listened(bounce) // the pages' port comes first, and a console would take the others
	m.listened(ssh)
	t.Run("console", func(t *testing.T) {
		sit(t, m.command("--web", strings.TrimPrefix(site, "http://"))).sees("Contacts", "anna")
	})
}
