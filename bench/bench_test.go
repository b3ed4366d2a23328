package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"kartotek/store/mariadb"
)

// TestMain lets the test binary be the child that jobs run in.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestTable runs what needs no build on a small store. It asserts no time: it
// is there so that the bench goes on working.
func TestTable(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"-n", "2000", "-on", sqlite, "-only", "import,find,browse,log,wait"}, &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if mariadb.Installed() == nil {
		if err := run(t.Context(), []string{"-n", "1000", "-on", mariaDB, "-only", "import,find,log"}, &out, &log); err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
	}
	if os.Getenv("KARTOTEK_SOAK") == "1" {
		if err := run(t.Context(), []string{"-n", "1000", "-on", sqlite, "-only", "mail"}, &out, &log); err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
	}
	for _, want := range []string{
		"import with sealing, 2000 rows", "peak memory", "search by address in 2000",
		"page of 50, all three, few: last against first", "acts a second: with the log", "one entry of the log", "the worst of them",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
}

func TestUnknownPart(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if err := run(t.Context(), []string{"-only", "sleep"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("a part that there isn't was measured")
	}
}
