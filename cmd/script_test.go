package cmd

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/ncruces/go-sqlite3"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	textunicode "golang.org/x/text/encoding/unicode"

	"kartotek/ports"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kartotek": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the scenarios of testdata/script, each on a store of its
// own. Their commands beyond testscript's are the methods of script below.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"WEB", "SSH"} {
				port, release, err := ports.Hold("127.0.0.1")
				if err != nil {
					return err
				}
				env.Defer(release)
				env.Setenv(name, "127.0.0.1:"+port)
			}
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("KARTOTEK_AS", "anna")
			env.Setenv("DB", filepath.Join(env.WorkDir, "data", "kartotek", "kartotek.db"))
			env.Setenv("KEYS", filepath.Join(env.WorkDir, "config", "kartotek", "keys.json"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "disks":
				return canMount(), nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "json": jsonValue, "keys": jsonKeys, "let": let, "plain": plain, "encode": encode, "xlsx": workbook,
			"state": state, "bytes": bytesOf, "get": get, "sshready": sshReady, "tinydisk": tinyDisk, "mode": mode, "spoil": spoil, "newer": newer, "tamper": tamper, "unescape": unescape, "say": say,
			"receiver": receiver, "nameserver": nameserver, "received": received, "verified": verified, "port": port, "awaitport": awaitPort, "bounce": bounce, "await": await, "until": until, "back": back,
		},
	})
}

// patience is how long a script waits for what has to come: minutes, since a
// start that takes no time here takes one of them where many share a processor.
const patience = 5 * time.Minute

// await PATTERN: waits until there is a file whose path matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "await PATTERN")
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(found) > 0 {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("there is no %s", args[0])
		}
	}
}

// until PATTERN COMMAND ARG...: runs a command again and again until it prints
// what matches, for what another process does in its own time.
func until(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 1, "until PATTERN COMMAND ARG...")
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nothing matches %s", args[0])
		}
	}
}

// back FROM TO: moves a file back from where another process may have put it.
func back(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "back FROM TO")
	if err := os.Rename(ts.MkAbs(args[0]), ts.MkAbs(args[1])); !errors.Is(err, fs.ErrNotExist) {
		ts.Check(err)
	}
}

// need stops a script whose command is used wrongly.
func need(ts *testscript.TestScript, neg, ok bool, usage string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// exits N CMD ARG...: runs a command that ends with exit code N. A failure is
// one line on standard error.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 1, "exits CODE COMMAND ARG...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var failed *exec.ExitError
	got := 0
	if errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	said := ts.ReadFile("stderr")
	if want != 0 && (strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "kartotek: ")) {
		ts.Fatalf("a failure is one line on standard error, not %q", said)
	}
}

// stdoutJSON reads the last command's output.
func stdoutJSON(ts *testscript.TestScript) any {
	var v any
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	ts.Check(dec.Decode(&v))
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("more than one JSON value on standard output")
	}
	return v
}

// at walks a path such as cards.0.signed_up.at; len is a list's length.
func at(ts *testscript.TestScript, v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch here := v.(type) {
		case map[string]any:
			next, there := here[step]
			if !there {
				ts.Fatalf("no %s in %s", step, path)
			}
			v = next
		case []any:
			if step == "len" {
				v = json.Number(strconv.Itoa(len(here)))
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(here) {
				ts.Fatalf("no %s in %s: it has %d", step, path, len(here))
			}
			v = here[i]
		default:
			ts.Fatalf("no %s in %s: it is %v", step, path, v)
		}
	}
	return v
}

func word(v any) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprint(v)
}

// json PATH WANT...: pairs of a place in the JSON output and what stands there.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 0 && len(args)%2 == 0, "json PATH WANT [PATH WANT]...")
	v := stdoutJSON(ts)
	for pair := range slices.Chunk(args, 2) {
		if got := word(at(ts, v, pair[0])); got != pair[1] {
			ts.Fatalf("%s is %s, want %s", pair[0], got, pair[1])
		}
	}
}

// keys PATH KEY...: the object there has exactly these keys ("." is the whole).
func jsonKeys(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 1, "keys PATH KEY...")
	v := stdoutJSON(ts)
	if args[0] != "." {
		v = at(ts, v, args[0])
	}
	object, ok := v.(map[string]any)
	if !ok {
		ts.Fatalf("%s is no object", args[0])
	}
	var got []string
	for k := range object {
		got = append(got, k)
	}
	want := slices.Clone(args[1:])
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		ts.Fatalf("%s has the keys %v, want %v", args[0], got, want)
	}
}

// let NAME PATH: keeps a value of the JSON output in the environment.
func let(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "let NAME PATH")
	ts.Setenv(args[0], word(at(ts, stdoutJSON(ts), args[1])))
}

// plain: nothing that the last command printed moves a cursor or turns a line.
func plain(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 0, "plain")
	for _, stream := range []string{"stdout", "stderr"} {
		for _, r := range ts.ReadFile(stream) {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				ts.Fatalf("%s holds %U: %q", stream, r, ts.ReadFile(stream))
			}
		}
	}
}

var encodings = map[string]encoding.Encoding{
	"windows-1252": charmap.Windows1252,
	"utf-16le":     textunicode.UTF16(textunicode.LittleEndian, textunicode.UseBOM),
	"utf-16be":     textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM),
	"utf-8-bom":    textunicode.UTF8BOM,
}

// encode ENCODING FROM TO: writes a UTF-8 file in another encoding.
func encode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3 && encodings[args[0]] != nil, "encode ENCODING FROM TO")
	out, err := encodings[args[0]].NewEncoder().String(ts.ReadFile(args[1]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(out), 0o600))
}

// xlsx FROM TO: makes a workbook of a CSV file without quotes.
func workbook(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "xlsx FROM TO")
	f := excelize.NewFile()
	row := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		row++
		cells := strings.Split(strings.TrimSpace(line), ",")
		ts.Check(f.SetSheetRow("Sheet1", "A"+strconv.Itoa(row), &cells))
	}
	ts.Check(f.SaveAs(ts.MkAbs(args[1])))
}

// state NAME [same]: keeps, or compares, everything that the commands show of
// the store: nothing was changed by what came in between.
func state(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 0, "state NAME [same]")
	var b strings.Builder
	for _, show := range []string{"browse --limit 500", "lists", "outbox --limit 500", "audit --limit 500"} {
		ts.Check(ts.Exec("kartotek", append(strings.Fields(show), "--json")...))
		b.WriteString(looksOut(ts, ts.ReadFile("stdout")))
	}
	compare(ts, args, b.String())
}

// looksOut takes out of the audit what was only looked at, or refused.
func looksOut(ts *testscript.TestScript, text string) string {
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(text), &v))
	rows, ok := v["audit"].([]any)
	if !ok {
		return text
	}
	v["audit"] = slices.DeleteFunc(rows, func(row any) bool {
		act := row.(map[string]any)["act"]
		return act == "search" || act == "open" || act == "refused"
	})
	out, err := json.Marshal(v)
	ts.Check(err)
	return string(out)
}

// tamper DB KEYS SQL: changes the database past the store.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "tamper DB KEYS SQL")
	db := rawDB(ts, args[0], args[1])
	ts.Check(errors.Join(db.Exec(args[2]), db.Close()))
}

// bytes NAME [same]: the same for every byte of the data and configuration
// directories.
func bytesOf(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 0, "bytes NAME [same]")
	var b strings.Builder
	for _, dir := range []string{ts.Getenv("XDG_DATA_HOME"), ts.Getenv("XDG_CONFIG_HOME")} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			sum := sha256.Sum256(data)
			fmt.Fprintln(&b, path, len(data), hex.EncodeToString(sum[:]))
			return err
		})
		if !errors.Is(err, fs.ErrNotExist) {
			ts.Check(err)
		}
	}
	compare(ts, args, b.String())
}

func compare(ts *testscript.TestScript, args []string, now string) {
	path := ts.MkAbs(".kept-" + args[0])
	if len(args) == 1 {
		ts.Check(os.WriteFile(path, []byte(now), 0o600))
		return
	}
	if before := ts.ReadFile(path); before != now {
		ts.Fatalf("changed from\n%s\nto\n%s", before, now)
	}
}

// get PATH FILE: keeps a page of the server that listens on $WEB, once it does.
func get(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "get PATH FILE")
	for end := time.Now().Add(patience); ; {
		res, err := http.Get("http://" + ts.Getenv("WEB") + args[0])
		if errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(end) {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		ts.Check(err)
		defer res.Body.Close()
		page, err := io.ReadAll(res.Body)
		ts.Check(err)
		if res.StatusCode != http.StatusOK {
			ts.Fatalf("%s: %s", args[0], res.Status)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), page, 0o600))
		return
	}
}

// sshready FILE: waits for the server over SSH and writes a client's
// configuration for it, under the name kartotek.
func sshReady(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "sshready FILE")
	_, port, err := net.SplitHostPort(ts.Getenv("SSH"))
	ts.Check(err)
	for end := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", ts.Getenv("SSH"))
		if err == nil {
			c.Close()
			break
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(end) {
			ts.Check(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	conf := fmt.Sprintf("Host kartotek\nHostName 127.0.0.1\nPort %s\nIdentitiesOnly yes\nBatchMode yes\nLogLevel ERROR\nStrictHostKeyChecking accept-new\nUserKnownHostsFile %s\n",
		port, ts.MkAbs("known_hosts"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(conf), 0o600))
}

// canMount tells whether this machine lets us mount a disk of memory.
func canMount() bool {
	dir, err := os.MkdirTemp("", "kartotek-disk-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k") == nil && syscall.Unmount(dir, 0) == nil
}

// tinydisk DIR BYTES: mounts a disk of that size until the script ends.
func tinyDisk(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "tinydisk DIR BYTES")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { ts.Check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

// mode OCTAL FILE: the file has that mode.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "mode OCTAL FILE")
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// spoil FILE OFFSET: writes rubbish over 4 KiB of a file.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "spoil FILE OFFSET")
	offset, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteAt([]byte(strings.Repeat("rubbish!", 512)), offset)
	ts.Check(errors.Join(err, f.Close()))
}

// newer DB KEYS: makes the schema one that no kartotek knows yet.
func newer(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "newer DB KEYS")
	db := rawDB(ts, args[0], args[1])
	ts.Check(errors.Join(db.Exec("PRAGMA user_version=9999"), db.Close()))
}

// rawDB opens an embedded store's database past the store.
func rawDB(ts *testscript.TestScript, path, keyFile string) *sqlite3.Conn {
	var keys struct{ Peppers []string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(keyFile)), &keys))
	pepper, err := hex.DecodeString(keys.Peppers[0])
	ts.Check(err)
	key, err := hkdf.Key(sha256.New, pepper, nil, "kartotek database file", 32)
	ts.Check(err)
	db, err := sqlite3.Open("file:" + ts.MkAbs(path) + "?vfs=adiantum")
	ts.Check(err)
	ts.Check(db.Exec("PRAGMA hexkey='" + hex.EncodeToString(key) + "'"))
	return db
}

// unescaped is what Go's escapes (\x1b, \u202e, \r) in a text stand for.
func unescaped(ts *testscript.TestScript, text string) string {
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	ts.Check(err)
	return out
}

// unescape FROM TO: writes what the escapes in a file stand for.
func unescape(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "unescape FROM TO")
	var b strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		b.WriteString(unescaped(ts, strings.TrimSuffix(line, "\n")) + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// say NAME TEXT: keeps what the escapes in a text stand for in the environment.
func say(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "say NAME TEXT")
	ts.Setenv(args[0], unescaped(ts, args[1]))
}
