package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"kartotek/ports"
)

// patience is how long is waited for what has to come: minutes, since what
// takes no time here may take one of them where many share a processor.
const patience = 5 * time.Minute

var buildDir string

// binary builds the program once, as make does.
var binary = sync.OnceValues(func() (path string, err error) {
	if buildDir, err = os.MkdirTemp("", "kartotek-round-"); err != nil {
		return "", err
	}
	path = filepath.Join(buildDir, "kartotek")
	build := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// machine is a fresh computer with the built program on it.
type machine struct {
	t      *testing.T
	binary string
	dir    string
	site   string // where the web pages are
	ssh    string // where the console is served over SSH
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, binary: path, dir: t.TempDir()}
	if err := os.Mkdir(m.path("tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(m.t.Context(), m.binary, args...)
	c.Dir = m.dir
	c.Env = append(os.Environ(), "XDG_DATA_HOME="+m.path("data"), "XDG_CONFIG_HOME="+m.path("config"), "TMPDIR="+m.path("tmp"), "KARTOTEK_AS=anna")
	return c
}

func (m *machine) path(names ...string) string {
	return filepath.Join(append([]string{m.dir}, names...)...)
}

// run runs a command that has to end with an exit code.
func (m *machine) run(code int, args ...string) (stdout, stderr string) {
	m.t.Helper()
	var out, errOut bytes.Buffer
	c := m.command(args...)
	c.Stdout, c.Stderr = &out, &errOut
	err := c.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		m.t.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != code {
		m.t.Fatalf("kartotek %s: exit code %d, want %d: %s", args[0], got, code, errOut.String())
	}
	return out.String(), errOut.String()
}

// ask runs a command with --json and reads its answer.
func ask[T any](m *machine, args ...string) (answer T) {
	m.t.Helper()
	out, _ := m.run(0, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		m.t.Fatalf("kartotek %s: %v in %s", args[0], err, out)
	}
	return answer
}

func (m *machine) write(name, content string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// serve runs the web pages and the mail sender until the returned function
// stops them.
func (m *machine) serve(more ...string) (site string, stop func()) {
	m.t.Helper()
	site, c, said := m.serving(more...)
	return site, func() {
		m.t.Helper()
		if err := errors.Join(c.Process.Signal(syscall.SIGINT), c.Wait()); err != nil {
			m.t.Errorf("serve: %v: %s", err, said.String())
		}
	}
}

// serving is serve for who wants to see how it ends, and what it said; that
// can be read when it has ended.
func (m *machine) serving(more ...string) (site string, c *exec.Cmd, said *bytes.Buffer) {
	m.t.Helper()
	address := m.hold()
	said = &bytes.Buffer{}
	c = m.command(append([]string{"serve", "--web", address}, more...)...)
	c.Stderr = said
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.listened(address)
	return "http://" + address, c, said
}

// listened waits until something listens on an address.
func (m *machine) listened(address string) {
	m.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("nothing listens: %v", err)
		}
	}
}

// hold is an address of this computer's own that nobody else listens on until
// the test is over.
func (m *machine) hold() string {
	m.t.Helper()
	port, release, err := ports.Hold("127.0.0.1")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(release)
	return net.JoinHostPort("127.0.0.1", port)
}

// card is what find --json tells.
type card struct {
	ID          int64   `json:"subscriber_id"`
	Permission  string  `json:"permission"`
	Email       *string `json:"email_masked"`
	Mobile      *string `json:"mobile_masked"`
	Source      *string `json:"source"`
	Rating      *string `json:"rating"`
	Predecessor *int64  `json:"predecessor"`
	Successor   *int64  `json:"successor"`
	SignedUp    *act    `json:"signed_up"`
	Confirmed   *act    `json:"confirmed"`
	Deleted     *act    `json:"deleted"`
	Waiting     *string `json:"waiting_until"`
	Lists       []struct{ List, Status string }
}

type act struct {
	At string  `json:"at"`
	IP *string `json:"ip"`
	By string  `json:"by"`
}

func (m *machine) find(query string) []card {
	m.t.Helper()
	return ask[struct{ Cards []card }](m, "find", query).Cards
}

func at(a *act) string {
	switch {
	case a == nil:
		return "not kept"
	case a.IP == nil:
		return a.At
	}
	return a.At + " from " + *a.IP
}

func is[T comparable](t *testing.T, what string, got *T, want T) {
	t.Helper()
	if got == nil || *got != want {
		t.Errorf("%s is not %v", what, want)
	}
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// export exports a card and holds it to the schema.
func (m *machine) export(target string) map[string]any {
	m.t.Helper()
	path := ask[struct{ Path string }](m, "export", target).Path
	raw, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	schema := jsonschema.NewCompiler()
	schema.AssertFormat()
	compiled, err := schema.Compile(filepath.Join("docs", "export.schema.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		m.t.Fatal(err)
	}
	if err := compiled.Validate(value); err != nil {
		m.t.Errorf("the export of %s: %v", target, err)
	}
	return value.(map[string]any)
}

const (
	marie    = "marie.jensen@example.dk"
	signedUp = "2026-02-03T10:11:12Z"
	people   = "email,mobile,first_name,last_name,source,signed_up_at,signed_up_ip,confirmed_at,confirmed_ip,customer\n" +
		marie + ",+4520123456,Marie,Jensen,Webform," + signedUp + ",192.0.2.7,2026-02-03T10:15:40Z,2001:db8::7,K-4711\n" +
		"ole.olsen@example.com,,Ole,Olsen,Shop,,,,,\n"
)

// chromium opens a tab of a real browser that calls nobody but us.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(patience), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // rather than hang
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// TestTheWholeRound takes a person's card once round, through real parts: in
// by a file, erased, refused, and back by nothing but the person's own click.
func TestTheWholeRound(t *testing.T) {
	tab := chromium(t)
	m := newMachine(t)
	site, stop := m.serve()
	m.write("people.csv", people)
	type counts struct{ Read, Added, Unchanged, Refused int }
	same(t, "import", ask[counts](m, "import", "people.csv", "--list", "News", "--confirmed"), counts{Read: 2, Added: 2})

	// Alive: found by address, masked, with the proof of consent.
	live := m.find(marie)
	same(t, "cards", len(live), 1)
	is(t, "the masked address", live[0].Email, "mar**.******@example.dk")
	same(t, "signed up", at(live[0].SignedUp), signedUp+" from 192.0.2.7")
	same(t, "confirmed", at(live[0].Confirmed), "2026-02-03T10:15:40Z from 2001:db8::7")
	id := strconv.FormatInt(live[0].ID, 10)
	same[any](t, "exported address", m.export(marie)["email"], marie)

	// Erased: a tombstone that proves to who knows the address, and blocks.
	m.run(0, "erase", marie, "--reason", "asked for it by letter")
	tomb := m.find(marie)
	same(t, "cards", len(tomb), 1)
	same(t, "permission", tomb[0].Permission, "deleted")
	same(t, "kept of the address", tomb[0].Email == nil && tomb[0].Mobile == nil && tomb[0].Source == nil && len(tomb[0].Lists) == 0, true)
	same(t, "signed up", at(tomb[0].SignedUp), signedUp+" from 192.0.2.7")
	same(t, "erased by", tomb[0].Deleted.By, "anna")
	same(t, "signed up, seen by who knows the number only", at(m.find(id)[0].SignedUp), signedUp)
	m.export(marie)
	m.export(id)
	same(t, "import again", ask[counts](m, "import", "people.csv", "--list", "News", "--confirmed"), counts{Read: 2, Unchanged: 1, Refused: 1})

	// Asked to come back: a mail goes out, and nobody is on a list by it.
	waiting := ask[struct {
		ID    int64     `json:"subscriber_id"`
		Until time.Time `json:"waiting_until"`
	}](m, "resubscribe", marie, "--list", "News", "--asked", "called on Monday", "--lang", "da")
	same(t, "who waits", waiting.ID, tomb[0].ID)
	if week := time.Until(waiting.Until); week < 6*24*time.Hour || week > 7*24*time.Hour {
		t.Errorf("waits for %v", week)
	}
	mails := ask[struct{ Mails []struct{ Links []string } }](m, "mailbox").Mails
	if len(mails) != 1 || len(mails[0].Links) == 0 || !strings.HasPrefix(mails[0].Links[0], site+"/confirm/") {
		t.Fatalf("captured mails: %+v", mails)
	}
	link := mails[0].Links[0]
	looking(t, link)
	before := m.find(marie)
	same(t, "cards after robots looked", len(before), 1)
	if before[0].Waiting == nil {
		t.Error("the card does not wait any more")
	}

	// The person clicks, in a browser.
	if err := chromedp.Do(tab, chromedp.Navigate(link+"?lang=da")); err != nil {
		t.Fatal(err)
	}
	same(t, "cards after the page was opened", len(m.find(marie)), 1)
	if err := chromedp.Do(tab, chromedp.Click(chromedp.CSS("button")), chromedp.WaitReady(chromedp.CSS(".mark"))); err != nil {
		t.Fatal(err)
	}
	m.cameBack(tomb[0].ID)
	stop()
}

// looking opens a link as scanners and prefetchers do.
func looking(t *testing.T, link string) {
	t.Helper()
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
		req, err := http.NewRequestWithContext(t.Context(), method, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || bytes.Contains(page, []byte(marie)) {
			t.Errorf("%s: %s, %v", method, res.Status, err)
		}
	}
}

// cameBack: a new card that holds the address only, beside the old tombstone.
func (m *machine) cameBack(tomb int64) {
	t := m.t
	t.Helper()
	cards := m.find(marie)
	if len(cards) != 2 {
		t.Fatalf("%d cards", len(cards))
	}
	back, old := cards[0], cards[1]
	same(t, "the new card's permission", back.Permission, "confirmed")
	is(t, "the new card's source", back.Source, "Resubscribed")
	is(t, "the new card's rating", back.Rating, "average")
	is(t, "the new card's predecessor", back.Predecessor, tomb)
	is(t, "the tombstone's successor", old.Successor, back.ID)
	same(t, "the old card", old.Permission, "deleted")
	same(t, "ids", back.ID != tomb && old.ID == tomb, true)
	is(t, "the click's IP", back.Confirmed.IP, "127.0.0.1")
	same(t, "lists", fmt.Sprint(back.Lists), "[{News subscribed}]")
	exported := m.export(marie)
	same[any](t, "exported address", exported["email"], marie)
	for _, gone := range []string{"mobile", "first_name", "last_name", "city"} {
		same(t, gone+" of the new card", exported[gone], nil)
	}
	same(t, "own fields", len(exported["own_fields"].([]any)), 0)
	same[any](t, "permission of the old card", m.export(strconv.FormatInt(tomb, 10))["permission"], "deleted")
}
