package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kartotek/store/storetest"
)

// nextVersion builds the program as a later version would be: with one more
// step of the schema.
func nextVersion(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	schema, err := os.ReadFile(filepath.Join("store", "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	later := filepath.Join(dir, "schema.sql")
	if err := os.WriteFile(later, append(schema, ";\n\nALTER TABLE lists ADD COLUMN later BIGINT NOT NULL DEFAULT 0;\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(filepath.Join("store", "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: later}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "kartotek")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// TestTwoVersions runs two versions of the program on one store, on each
// engine: the later one brings the schema up to date, once, however many begin
// at the same moment; from then on the earlier one refuses, and says why, also
// the process of it that runs already.
func TestTwoVersions(t *testing.T) {
	earlier, next := newMachine(t), nextVersion(t)
	later := &machine{t: t, binary: next, dir: earlier.dir}
	stores := map[string]func(t *testing.T) string{
		"embedded": func(t *testing.T) string { return "sqlite:" + earlier.path("versions.db") },
		"server":   func(t *testing.T) string { return storetest.On(t, storetest.StartFor(t).Address) },
	}
	for name, at := range stores {
		t.Run(name, func(t *testing.T) {
			where := []string{"--store", at(t), "--keys", earlier.path(name + ".json")}
			run := func(m *machine, words ...string) (string, error) {
				out, err := m.command(append(words, where...)...).CombinedOutput()
				return string(out), err
			}
			if out, err := run(earlier, "migrate"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			site, running, said := earlier.serving(where...)
			leave := func() int { // 0 when nobody is there any more
				answer, err := http.PostForm(site+"/unsubscribe/"+strings.Repeat("A", 43), url.Values{"List-Unsubscribe": {"One-Click"}})
				if err != nil {
					return 0
				}
				defer answer.Body.Close()
				return answer.StatusCode
			}
			if got := leave(); got != http.StatusNotFound {
				t.Errorf("before: %d", got)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if out, err := run(later, "migrate"); err != nil {
						t.Errorf("the later version: %v: %s", err, out)
					}
				})
				wg.Go(func() {
					if out, err := run(earlier, "lists"); err != nil && !strings.Contains(out, "newer kartotek") {
						t.Errorf("the earlier version: %v: %s", err, out)
					}
				})
			}
			wg.Wait()
			if got := leave(); got != 0 && got != http.StatusServiceUnavailable {
				t.Errorf("a process of the earlier version goes on: %d", got)
			}
			_ = running.Process.Signal(syscall.SIGINT) // unless it has ended already
			_ = running.Wait()
			if !strings.Contains(said.String(), "newer kartotek") {
				t.Errorf("a process of the earlier version doesn't say why: %s", said)
			}
			if out, err := run(later, "lists", "add", "News"); err != nil {
				t.Errorf("the later version: %v: %s", err, out)
			}
			for _, words := range [][]string{{"lists"}, {"migrate"}, {"doctor"}} {
				if out, err := run(earlier, words...); err == nil || !strings.Contains(out, "newer kartotek") {
					t.Errorf("the earlier version does %v: %v, %s", words, err, out)
				}
			}
		})
	}
}
