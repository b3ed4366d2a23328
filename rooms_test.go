package main

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows are all that may be drawn between rooms: main.go wires by cmd, which
// may know every room; everything else points down.
var arrows = map[string][]string{
	"main":  {"cmd"},
	"cmd":   {"tui", "web", "flows", "mta", "store"},
	"tui":   {"flows"},
	"web":   {"flows"},
	"flows": {"store", "mta"},                               // mta: spool.go alone
	"mta":   {"ports"},                                      // mtatest alone
	"store": {"ports"},                                      // mariadb alone
	"ports": {},                                             // for what tests and measurements start
	"bench": {"cmd", "tui", "web", "flows", "mta", "store"}, // measures what it likes; nothing imports it
}

// foreign are modules that a room may not reach for itself, because another
// room is there for what they do.
var foreign = map[string][]string{
	"cmd": {"database/sql", "net/smtp", "github.com/emersion/go-smtp", "github.com/jmoiron/sqlx", "github.com/ncruces/go-sqlite3", "github.com/go-sql-driver/mysql"},
	"tui": {"database/sql", "net/smtp", "net/http", "github.com/emersion/go-smtp", "github.com/jmoiron/sqlx", "github.com/ncruces/go-sqlite3", "github.com/go-sql-driver/mysql"},
	"web": {"database/sql", "net/smtp", "github.com/emersion/go-smtp", "github.com/jmoiron/sqlx", "github.com/ncruces/go-sqlite3", "github.com/go-sql-driver/mysql"},
	"flows": {
		"database/sql", "net/smtp", "net/http", "github.com/emersion/go-smtp", "github.com/jmoiron/sqlx", "github.com/ncruces/go-sqlite3", "github.com/go-sql-driver/mysql",
		"charm.land", "github.com/spf13/cobra",
	},
	"mta":   {"database/sql", "charm.land", "github.com/jmoiron/sqlx", "github.com/ncruces/go-sqlite3", "github.com/go-sql-driver/mysql"},
	"store": {"net/smtp", "net/http", "charm.land", "github.com/emersion/go-smtp"},
}

// pkg is what `go list` tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// listed asks go list; it names packages one JSON value after the other.
func listed(t *testing.T, args ...string) []pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,GoFiles,Imports"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room is the room that a package of ours stands in; "" for all others.
func room(path string) string {
	if path == "kartotek" {
		return "main"
	}
	rest, ours := strings.CutPrefix(path, "kartotek/")
	if !ours {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func TestArrowsPointDown(t *testing.T) {
	for _, p := range listed(t, "-deps", "./...") {
		from := room(p.ImportPath)
		if from == "" {
			continue
		}
		allowed, known := arrows[from]
		if !known {
			t.Errorf("%s is no room of the design", p.ImportPath)
		}
		for _, path := range p.Imports {
			to := room(path)
			if to != "" && to != from && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: no arrow leads from %s to %s", p.ImportPath, path, from, to)
			}
			for _, f := range foreign[from] {
				if path == f || strings.HasPrefix(path, f+"/") {
					t.Errorf("%s imports %s: that is another room's work", p.ImportPath, path)
				}
			}
		}
	}
}

// fileImports reads what one file imports.
func fileImports(t *testing.T, path string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	return out
}

// TestSpoolAloneKnowsTheSender: one file of flows joins mta to the outbox.
func TestSpoolAloneKnowsTheSender(t *testing.T) {
	joined := false
	for _, p := range listed(t, "./flows/...") {
		for _, name := range p.GoFiles {
			spool := p.ImportPath == "kartotek/flows" && name == "spool.go"
			for _, path := range fileImports(t, filepath.Join(p.Dir, name)) {
				if room(path) != "mta" {
					continue
				}
				if joined = joined || spool; !spool {
					t.Errorf("%s/%s imports %s: only spool.go may", p.ImportPath, name, path)
				}
			}
		}
	}
	if !joined {
		t.Error("flows/spool.go no longer imports mta: is this test still looking at the right place?")
	}
}

// TestDoorsNeverMeet: whatever tui and web import on the way, they reach
// neither each other nor the command line, and reach SQL and SMTP by flows only.
func TestDoorsNeverMeet(t *testing.T) {
	for door, others := range map[string][]string{"tui": {"web", "cmd"}, "web": {"tui", "cmd"}, "flows": {"tui", "web", "cmd"}} {
		for _, p := range listed(t, "-deps", "./"+door+"/...") {
			if slices.Contains(others, room(p.ImportPath)) {
				t.Errorf("%s reaches %s", door, p.ImportPath)
			}
		}
	}
}
