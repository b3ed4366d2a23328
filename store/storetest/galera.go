package storetest

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"kartotek/store/mariadb"
)

// Galera is a cluster of three nodes in network namespaces, brought up by
// scripts/galera.
type Galera struct {
	Address string // USER@HOST:PORT,HOST:PORT,HOST:PORT

	script string
	name   string
}

// StartGalera brings a cluster up for one test. It is taken down when the test
// or its process has ended, however that ends.
func StartGalera(t testing.TB) *Galera {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	_, file, _, _ := runtime.Caller(0)
	g := &Galera{script: filepath.Join(filepath.Dir(file), "..", "..", "scripts", "galera"), name: fmt.Sprintf("t%d", os.Getpid()%1e7)}
	watch := exec.Command("sh", "-c", `cat >/dev/null; "$1" down`, "sh", g.script)
	watch.Env = g.env()
	watch.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := watch.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := watch.Wait(); err != nil {
			t.Errorf("taking the cluster down: %v", err)
		}
	})
	g.Address = strings.TrimSpace(g.Do(t, "up"))
	return g
}

func (g *Galera) env() []string { return append(os.Environ(), "KARTOTEK_GALERA="+g.name) }

// Committed is how many transactions the cluster has committed, as a node that
// is in it knows.
func (g *Galera) Committed(t testing.TB) int64 {
	t.Helper()
	user, hosts, _ := strings.Cut(g.Address, "@")
	var most int64
	for host := range strings.SplitSeq(hosts, ",") {
		db, err := sql.Open("mysql", mariadb.DSN(user+"@"+host, "")+"?timeout=2s&readTimeout=2s")
		if err != nil {
			t.Fatal(err)
		}
		var name string
		var n int64
		if err := db.QueryRow("SHOW STATUS LIKE 'wsrep_last_committed'").Scan(&name, &n); err == nil {
			most = max(most, n)
		}
		db.Close()
	}
	return most
}

// Same tells whether every node holds the same rows of some tables.
func (g *Galera) Same(t testing.TB, url string, tables ...string) {
	t.Helper()
	user, hosts, _ := strings.Cut(g.Address, "@")
	_, database := databaseOf(url)
	for _, table := range tables {
		sums := map[int64]string{}
		for host := range strings.SplitSeq(hosts, ",") {
			db, err := sql.Open("mysql", mariadb.DSN(user+"@"+host, database))
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			if _, err := db.Exec("SET SESSION wsrep_sync_wait = 1"); err != nil { // it may have more to apply
				t.Error(err)
			}
			if _, err := db.Exec("BEGIN"); err != nil {
				t.Error(err)
			}
			var name string
			var sum int64
			if err := db.QueryRow("CHECKSUM TABLE "+table).Scan(&name, &sum); err != nil {
				t.Error(err)
			}
			db.Close()
			sums[sum] = host
		}
		if len(sums) > 1 {
			t.Errorf("the nodes hold different rows of %s", table)
		}
	}
}

// Do runs a command of scripts/galera, such as kill 1, and returns what it
// prints.
func (g *Galera) Do(t testing.TB, command ...string) string {
	t.Helper()
	c := exec.Command(g.script, command...)
	c.Env, c.Stderr = g.env(), os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("galera %s: %v", strings.Join(command, " "), err)
	}
	return string(out)
}
