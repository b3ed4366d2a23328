package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kartotek/ports"
	"kartotek/store/mariadb"
	"kartotek/store/storetest"
)

// server skips a test on SQLite, and returns the place of a store.
func server(t *testing.T) storetest.Place {
	t.Helper()
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database server")
	}
	return storetest.At(t, t.TempDir())
}

func options(p storetest.Place) Options { return Options{URL: p.URL, Keys: p.Keys, Files: p.Files} }

// made opens a store that it makes first.
func made(t *testing.T, o Options) *Store {
	t.Helper()
	o.Migrate = true
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// refused opens a store that must not open, and returns why.
func refused(t *testing.T, o Options) string {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err == nil {
		s.Close()
		t.Fatal("it opens")
	}
	return err.Error()
}

func TestMySQLAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"mysql://anna@db.example/k":                         "anna||db.example:3306|k",
		"mysql://anna:p%40ss%3A%2F@h1:3307,h2,[::1]:3308/k": "anna|p@ss:/|h1:3307 h2:3306 [::1]:3308|k",
		"mysql://anna:a:b@h/k?tls=skip-verify&timeout=5s":   "anna|a:b|h:3306|k",
		"mysql://h/k":                                "",
		"mysql://anna@h":                             "",
		"mysql://anna@h/":                            "",
		"mysql://anna@/k":                            "",
		"mysql://anna@h,/k":                          "",
		"mysql://anna:secret%zz@h/k":                 "",
		"mysql://anna:secret@h/k?tls=maybe":          "",
		"mysql://anna:secret@h/k?allowAllFiles=true": "",
		"mysql://anna:secret@h/k?timeout=-1s":        "",
		"mysql://anna:secret@h/k?tls=%zz":            "",
		"mysql://anna:secret@h/k/more":               "",
		"mysql://anna:secret@h1:1:2/k":               "",
	} {
		m, err := parseMySQL(in)
		got := ""
		if err == nil {
			got = strings.Join([]string{m.user, m.password, strings.Join(m.hosts, " "), m.database}, "|")
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", in, err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%v)", in, got, want, err)
		}
	}
}

func TestMySQLOpening(t *testing.T) {
	o := options(server(t))
	if why := refused(t, o); !strings.Contains(why, "kartotek migrate") {
		t.Errorf("before it is made: %s", why)
	}
	if _, err := os.Stat(o.Keys); err == nil {
		t.Error("a key file was made for a store that is not there")
	}
	s := made(t, o)
	again, err := Open(t.Context(), o)
	if err != nil || !s.NewKeys || again.NewKeys {
		t.Fatalf("opening again: %v", err)
	}
	defer again.Close()

	other := o
	other.Keys = filepath.Join(t.TempDir(), "keys.json")
	if why := refused(t, other); !strings.Contains(why, "no key file") {
		t.Errorf("without its key file: %s", why)
	}
	if _, err := CreateKeys(other.Keys); err != nil {
		t.Fatal(err)
	}
	for _, other.Migrate = range []bool{false, true} {
		if why := refused(t, other); !strings.Contains(why, "another store's") {
			t.Errorf("with another key file: %s", why)
		}
	}

	version := func(n int) {
		t.Helper()
		if err := s.InTx(t.Context(), func(tx *Tx) error { return tx.SetSetting(t.Context(), settingSchema, fmt.Sprint(n)) }); err != nil {
			t.Fatal(err)
		}
	}
	version(len(mysqlSteps()) + 1)
	if why := refused(t, o); !strings.Contains(why, "newer kartotek") {
		t.Errorf("a newer schema: %s", why)
	}
	version(len(mysqlSteps()) - 3)
	if why := refused(t, o); !strings.Contains(why, "kartotek migrate") {
		t.Errorf("an older schema: %s", why)
	}
	if n, err := made(t, o).SchemaVersion(t.Context()); err != nil || n != int64(len(mysqlSteps())) {
		t.Errorf("migrated to %d, %v", n, err)
	}
}

// TestMySQLMigratedAtOnce: whoever starts first, the schema is made once, and
// one key file wins.
func TestMySQLMigratedAtOnce(t *testing.T) {
	o := options(server(t))
	o.Migrate = true
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

// TestMySQLPasswords: by file, by environment, and never in an error.
func TestMySQLPasswords(t *testing.T) {
	p := server(t)
	p.URL, _, _ = strings.Cut(p.URL, "?")
	i, j := strings.LastIndexByte(p.URL, '@'), strings.LastIndexByte(p.URL, '/')
	root, database := strings.TrimPrefix(p.URL[:j], mysqlScheme), p.URL[j+1:]
	user := "u" + database[len(database)-8:]
	const password = "pa:ss/w@rd"
	storetest.Do(t, root, "CREATE USER "+user+"@'%' IDENTIFIED BY '"+password+"'", "GRANT ALL ON "+database+".* TO "+user+"@'%'")
	t.Cleanup(func() { storetest.Do(t, root, "DROP USER "+user+"@'%'") })
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(p)
	o.URL = mysqlScheme + user + p.URL[i:] + "?tls=preferred&password-file=" + file
	made(t, o)
	for _, wrong := range []string{"wr0ng", ""} {
		o.URL = mysqlScheme + user + ":" + wrong + p.URL[i:] + "?tls=preferred"
		if why := refused(t, o); !strings.Contains(why, PasswordVariable) || strings.Contains(why, "wr0ng") {
			t.Errorf("with a wrong password: %s", why)
		}
	}
	t.Setenv(PasswordVariable, password)
	made(t, o)
	o.URL = mysqlScheme + user + p.URL[i:j] + "/nothing?tls=preferred"
	if why := refused(t, o); !strings.Contains(why, "no database") {
		t.Errorf("without a database: %s", why)
	}
}

// TestMySQLNodes: the first node that serves is taken, and a dead one is not
// tried first again.
func TestMySQLNodes(t *testing.T) {
	p := server(t)
	made(t, options(p))
	port, release, err := ports.Hold("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	dead := net.JoinHostPort("127.0.0.1", port)
	o := options(p)
	o.URL = strings.Replace(p.URL, "@", "@"+dead+",", 1)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m, _ := parseMySQL(o.URL)
	configs, err := m.configs()
	if err != nil {
		t.Fatal(err)
	}
	n := newNodes(configs)
	conn, err := n.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if order := n.order(n.failed[0]); order[0] != 1 || order[len(order)-1] != 0 {
		t.Errorf("after the first node failed: %v", order)
	}
	if order := n.order(n.failed[0].Add(avoidFor)); order[0] != 0 || order[1] != 1 {
		t.Errorf("a while after it: %v", order)
	}
	o.URL = "mysql://anna:secret@" + dead + "/k"
	if why := refused(t, o); !strings.Contains(why, "can't be reached") || strings.Contains(why, "secret") {
		t.Error(why)
	}
}

func TestMySQLEncrypted(t *testing.T) {
	server(t)
	own := storetest.StartFor(t)
	o := Options{URL: storetest.On(t, own.Address), Keys: filepath.Join(t.TempDir(), "keys.json"), Files: t.TempDir()}
	plain := o.URL
	if o.URL = plain + "?tls=true"; !strings.Contains(refused(t, o), "tls-ca=PATH") {
		t.Error("a certificate of nobody knows whom is trusted")
	}
	o.URL = plain + "?tls-ca=" + own.CA
	s := made(t, o)
	var name, cipher string
	if err := s.get(t.Context(), []any{&name, &cipher}, "SHOW SESSION STATUS LIKE 'Ssl_cipher'"); err != nil || cipher == "" {
		t.Errorf("the way to the server is encrypted by %q, %v", cipher, err)
	}
	storetest.Do(t, own.Address, "CREATE USER anna@'%' IDENTIFIED BY 's3cret' REQUIRE SSL", "GRANT ALL ON *.* TO anna@'%'")
	o.URL = strings.Replace(plain, "root@", "anna:s3cret@", 1)
	if why := refused(t, o); !strings.Contains(why, "tls=true") {
		t.Errorf("an account for encrypted connections alone: %s", why)
	}
	o.URL += "?tls-ca=" + own.CA
	made(t, o)
}

// TestHotRows: many at once change the same counters, begin the same day and
// take ids of the same sequence; nothing is lost, nothing given out twice.
func TestHotRows(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	const workers, each = 12, 20
	var ids sync.Map
	var twice atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				var id int64
				if err := s.InTx(ctx, func(tx *Tx) (err error) {
					tx.add("act/asked", 1)
					tx.add("permission/pending", 1)
					if err := tx.SetSetting(ctx, "hot", "row"); err != nil {
						return err
					}
					id, err = tx.NextIDs(ctx, "contacts", 1)
					return err
				}); err != nil {
					t.Error(err)
					return
				}
				if _, there := ids.LoadOrStore(id, true); there {
					twice.Add(1)
				}
			}
		})
	}
	wg.Wait()
	c, err := s.Counters(ctx)
	if err != nil || c.ByPermission[Pending] != workers*each || twice.Load() != 0 {
		t.Errorf("counted %d of %d, %d ids twice, %v", c.ByPermission[Pending], workers*each, twice.Load(), err)
	}
}

// TestLostAnswer cuts the connection where the answer to a commit would come:
// the act is kept once, its closure doesn't run again, and its results stand.
func TestLostAnswer(t *testing.T) { lostAnswers(t, server(t)) }

func lostAnswers(t *testing.T, p storetest.Place) {
	t.Helper()
	made(t, options(p))
	host, _, _ := strings.Cut(p.URL[strings.LastIndexByte(p.URL, '@')+1:strings.LastIndexByte(p.URL, '/')], ",")
	cut := newCutter(t, host)
	o := options(p)
	o.URL = p.URL[:strings.LastIndexByte(p.URL, '@')+1] + cut.address + p.URL[strings.LastIndexByte(p.URL, '/'):]
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, forward := range []bool{true, false} { // is the commit done, or lost with its answer?
		runs := 0
		cut.forward.Store(forward)
		cut.armed.Store(true)
		before, err := s.Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.InTx(t.Context(), func(tx *Tx) error { runs++; tx.add("permission/pending", 1); return nil }); err != nil {
			t.Fatal(err)
		}
		c, err := s.Counters(t.Context())
		if want := map[bool]int{true: 1, false: 2}[forward]; err != nil || c.ByPermission[Pending] != before.ByPermission[Pending]+1 || runs != want || cut.armed.Load() {
			t.Errorf("commit forwarded %v: counted %d, %d runs, %v", forward, c.ByPermission[Pending]-before.ByPermission[Pending], runs, err)
		}
	}
	if err := s.InTx(t.Context(), func(tx *Tx) error { return errors.New("no") }); err == nil || err.Error() != "no" {
		t.Errorf("a refusal after it all: %v", err)
	}
}

// cutter stands between a store and its server. Once armed, it cuts the
// connection on which the next commit comes, when the server has answered it.
type cutter struct {
	address        string
	armed, forward atomic.Bool
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.serve(near, to) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return c
}

func (c *cutter) serve(near net.Conn, to string) {
	defer near.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	var mute atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer near.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := far.Read(buf)
			if err != nil || mute.Load() {
				return
			}
			if _, err := near.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := near.Read(buf)
		if err != nil {
			break
		}
		if bytes.Contains(buf[:n], []byte("COMMIT")) && c.armed.CompareAndSwap(true, false) {
			mute.Store(true)
			if !c.forward.Load() {
				break
			}
		}
		if _, err := far.Write(buf[:n]); err != nil {
			break
		}
		if mute.Load() {
			<-answered
			return
		}
	}
	far.Close()
	<-answered
	_, _ = io.Copy(io.Discard, near)
}

// TestSweep: of the keys of acts only those go that nobody repeats any more.
func TestSweep(t *testing.T) {
	s := made(t, options(server(t)))
	ctx := t.Context()
	if err := s.InTx(ctx, func(tx *Tx) error {
		for i := range 1500 {
			if _, err := tx.exec(ctx, `INSERT INTO applied (applied_key) VALUES (?)`, appliedKey(time.UnixMicro(int64(i)))); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	var old, all int
	if err := s.get(ctx, []any{&old, &all}, `SELECT COALESCE(SUM(applied_key < ?), 0), COUNT(*) FROM applied`, appliedKey(time.Now().Add(-appliedFor))); err != nil || old != 0 || all == 0 {
		t.Errorf("%d old keys of %d are left, %v", old, all, err)
	}
}

// TestSilentServer: one that accepts and says nothing is away, as one that
// can't be reached is; it isn't the caller's time that has run out.
func TestSilentServer(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database server")
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	m, err := parseMySQL("mysql://anna@" + silent.Addr().String() + "/k?timeout=20ms")
	if err != nil {
		t.Fatal(err)
	}
	configs, err := m.configs()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newNodes(configs).Connect(t.Context()); !errors.Is(mapMySQL(err), ErrAway) {
		t.Errorf("a server that says nothing: %v", err)
	}
}

// TestWholeWithoutAsking: a server by itself is not asked whether it has
// applied all of a transaction.
func TestWholeWithoutAsking(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database server")
	}
	own, dir := storetest.StartFor(t), t.TempDir()
	p := storetest.Place{URL: storetest.On(t, own.Address), Keys: filepath.Join(dir, "keys.json"), Files: dir}
	if acts, asked := askedWhether(t, own.Address, p); acts != 3 || asked != 0 {
		t.Errorf("of %d acts, it was asked of %d", acts, asked)
	}
}

// askedWhether does three acts on a server, and tells by its log of statements
// how many it was told of, and of how many it was asked whether they are applied.
func askedWhether(t *testing.T, server string, p storetest.Place) (acts, asked int) {
	t.Helper()
	s := made(t, options(p))
	db, err := sql.Open("mysql", mariadb.DSN(server, "mysql"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	do("SET GLOBAL log_output = 'TABLE'")
	do("SET GLOBAL general_log = 1")
	for range 3 {
		if err := s.InTx(t.Context(), func(tx *Tx) error { tx.add("permission/pending", 1); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	do("SET GLOBAL general_log = 0")
	if err := db.QueryRow(`SELECT COALESCE(SUM(argument LIKE 'INSERT INTO applied %'), 0), COALESCE(SUM(argument LIKE 'SELECT COUNT(*) FROM applied WHERE %'), 0)
 FROM general_log WHERE command_type = 'Execute'`).Scan(&acts, &asked); err != nil {
		t.Fatal(err)
	}
	return acts, asked
}

// TestServerSpeed: a doctor tells what slows a server down that holds a store
// of a gigabyte, by the names that the server has for it.
func TestServerSpeed(t *testing.T) {
	for name, c := range map[string]struct {
		set   map[string]string
		tells []string
	}{
		"MariaDB as it comes": {map[string]string{"innodb_buffer_pool_size": "134217728", "innodb_log_file_size": "100663296", "local_infile": "ON"}, []string{"innodb_buffer_pool_size to 1.0 GiB", "innodb_log_file_size to 512 MiB"}},
		"MySQL as it comes":   {map[string]string{"innodb_buffer_pool_size": "134217728", "innodb_log_file_size": "50331648", "innodb_redo_log_capacity": "104857600", "local_infile": "OFF"}, []string{"innodb_buffer_pool_size", "innodb_redo_log_capacity to 512 MiB", "local_infile"}},
		"a cluster":           {map[string]string{"innodb_buffer_pool_size": "4294967296", "innodb_log_file_size": "1073741824", "local_infile": "OFF", "wsrep_on": "ON"}, nil},
		"one made for it":     {map[string]string{"innodb_buffer_pool_size": "4294967296", "innodb_log_file_size": "1073741824", "local_infile": "ON"}, nil},
	} {
		f := speed(c.set, 1<<30)
		if (f.Severity == Good) != (len(c.tells) == 0) || f.Severity == Bad {
			t.Errorf("%s: %+v", name, f)
		}
		for _, word := range c.tells {
			if !strings.Contains(f.Mend, word) {
				t.Errorf("%s: %q isn't told: %s", name, word, f.Mend)
			}
		}
	}
}
