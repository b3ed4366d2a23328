package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

func (e *mysqlEngine) snapshot(ctx context.Context, fn func(queries) error) error {
	return snapshot(ctx, e.write, mapMySQL, []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"}, fn)
}

func (e *mysqlEngine) indexes(ctx context.Context) ([]string, error) {
	var out []string
	q := e.reader()
	err := q.each(ctx, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		out = append(out, name)
		return err
	}, `SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE()`)
	return out, err
}

// serverSettings are those that a doctor looks at.
const serverSettings = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog', 'innodb_doublewrite', 'max_allowed_packet',
 'innodb_encrypt_tables', 'innodb_encrypt_log', 'encrypt_binlog', 'default_table_encryption', 'innodb_redo_log_encrypt', 'wsrep_on', 'innodb_buffer_pool_size',
 'innodb_log_file_size', 'innodb_redo_log_capacity', 'local_infile')`

func (e *mysqlEngine) examine(ctx context.Context) ([]Finding, error) {
	set, err := e.pairs(ctx, serverSettings)
	if err != nil {
		return nil, err
	}
	state, err := e.pairs(ctx, `SHOW STATUS WHERE Variable_name IN ('Ssl_cipher', 'wsrep_ready', 'wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_local_state_comment')`)
	if err != nil {
		return nil, err
	}
	var size sql.NullInt64
	q := e.reader()
	if err := q.get(ctx, []any{&size}, `SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()`); err != nil {
		return nil, err
	}
	all := []Finding{
		found("engine", Good, "", "%s, server %s, %s", e.words, set["version"], humanize.IBytes(uint64(max(size.Int64, 0)))),
		durability(set), speed(set, size.Int64), atRest(set), e.inTransit(state["Ssl_cipher"]),
	}
	if n := number(set["max_allowed_packet"]); n < 16<<20 {
		all = append(all, found("packets", Bad, "set max_allowed_packet to 16M or more", "max_allowed_packet is %s: long letters are refused", humanize.IBytes(uint64(max(n, 0)))))
	}
	if strings.EqualFold(set["wsrep_on"], "ON") {
		all = append(all, cluster(state))
	}
	clock, err := e.serverClock(ctx)
	if err != nil {
		return nil, err
	}
	return append(all, clock), nil
}

// pairs reads names and values.
func (e *mysqlEngine) pairs(ctx context.Context, query string) (map[string]string, error) {
	out := map[string]string{}
	q := e.reader()
	err := q.each(ctx, func(rows *sql.Rows) error {
		var name, value string
		err := rows.Scan(&name, &value)
		out[name] = value
		return err
	}, query)
	return out, err
}

func number(s string) (n int64) {
	_, _ = fmt.Sscan(s, &n) // what is none counts as 0
	return n
}

// durability finds settings by which a server that loses power loses acts that
// it has acknowledged.
func durability(set map[string]string) Finding {
	var risks []string
	if v := set["innodb_flush_log_at_trx_commit"]; v != "1" {
		risks = append(risks, "innodb_flush_log_at_trx_commit is "+v+", not 1")
	}
	if strings.EqualFold(set["log_bin"], "ON") && set["sync_binlog"] != "1" {
		risks = append(risks, "sync_binlog is "+set["sync_binlog"]+", not 1")
	}
	if strings.EqualFold(set["innodb_doublewrite"], "OFF") {
		risks = append(risks, "innodb_doublewrite is off: a torn page can't be mended")
	}
	if len(risks) > 0 {
		return found("durability", Bad, "set them in the server's configuration", "a power cut may lose acknowledged acts: %s", strings.Join(risks, "; "))
	}
	return found("durability", Good, "", "every act is on the server's disk before it counts")
}

// enoughLog is how large a redo log is that an import doesn't fill before the
// server comes to write the pages: it takes some 2 kilobytes of it a row.
const enoughLog = 512 << 20

// speed finds settings by which a server is slower than it could be at the size
// that the store has. None of them costs durability.
func speed(set map[string]string, size int64) Finding {
	var slow, mend []string
	if pool := number(set["innodb_buffer_pool_size"]); pool < size {
		slow = append(slow, "innodb_buffer_pool_size is "+humanize.IBytes(uint64(pool))+", less than the store: pages are read from the disk again and again")
		mend = append(mend, "innodb_buffer_pool_size to "+humanize.IBytes(uint64(size))+" or more, or to most of the server's memory")
	}
	log, name := number(set["innodb_log_file_size"]), "innodb_log_file_size"
	if capacity, newer := set["innodb_redo_log_capacity"]; newer {
		log, name = number(capacity), "innodb_redo_log_capacity"
	}
	if log < enoughLog {
		slow = append(slow, name+" is "+humanize.IBytes(uint64(log))+": imports wait for pages to be written")
		mend = append(mend, name+" to "+humanize.IBytes(enoughLog)+" or more")
	}
	if !strings.EqualFold(set["local_infile"], "ON") && !strings.EqualFold(set["wsrep_on"], "ON") {
		slow = append(slow, "local_infile is off: imports give the server statements, which costs both an eighth more")
		mend = append(mend, "local_infile to ON")
	}
	if len(slow) > 0 {
		return found("server's speed", Note, "set "+strings.Join(mend, ", ")+" in the server's configuration", "%s", strings.Join(slow, "; "))
	}
	return found("server's speed", Good, "", "it has room for the store in memory, and for imports in its log")
}

// atRest tells whether the server encrypts its files, besides what is sealed.
func atRest(set map[string]string) Finding {
	on := func(name string) bool { v := strings.ToUpper(set[name]); return v == "ON" || v == "FORCE" || v == "1" }
	const sealed = "the personal data is sealed before it reaches the server"
	if _, mysql := set["default_table_encryption"]; mysql {
		if on("default_table_encryption") && on("innodb_redo_log_encrypt") {
			return found("encryption at rest", Good, "", "tables and log by the server, and %s", sealed)
		}
		return found("encryption at rest", Note, "load a keyring component, then set default_table_encryption=ON, innodb_redo_log_encrypt=ON, innodb_undo_log_encrypt=ON and binlog_encryption=ON",
			"%s, but the server writes its files in clear: masked addresses, times and lists", sealed)
	}
	if on("innodb_encrypt_tables") && on("innodb_encrypt_log") && (!strings.EqualFold(set["log_bin"], "ON") || on("encrypt_binlog")) {
		return found("encryption at rest", Good, "", "tables and logs by the server, and %s", sealed)
	}
	return found("encryption at rest", Note, "load the plugin file_key_management with an encrypted key file, then set innodb_encrypt_tables=FORCE, innodb_encrypt_log=ON, encrypt_binlog=ON, encrypt_tmp_files=ON and aria_encrypt_tables=ON (on Galera put gcache.dir on an encrypted disk too)",
		"%s, but the server writes its files in clear: masked addresses, times and lists", sealed)
}

func (e *mysqlEngine) inTransit(cipher string) Finding {
	if cipher != "" {
		return found("encryption in transit", Good, "", "TLS, %s", cipher)
	}
	for _, h := range e.url.hosts {
		if !strings.HasPrefix(h, "127.") && !strings.HasPrefix(h, "localhost:") && !strings.HasPrefix(h, "[::1]") {
			return found("encryption in transit", Bad, "set the server's certificate up, and leave tls out of --store", "none, and %s is another machine", h)
		}
	}
	return found("encryption in transit", Good, "", "none: the server is on this machine")
}

func cluster(state map[string]string) Finding {
	words := fmt.Sprintf("%s nodes, %s, this one %s", state["wsrep_cluster_size"], state["wsrep_cluster_status"], state["wsrep_local_state_comment"])
	switch n := number(state["wsrep_cluster_size"]); {
	case !strings.EqualFold(state["wsrep_ready"], "ON") || state["wsrep_cluster_status"] != "Primary":
		return found("cluster", Bad, "see the node's log: it doesn't serve", "%s", words)
	case n < 3:
		return found("cluster", Note, "bring the missing nodes back: with fewer than three, the next one that is lost may stop all", "%s", words)
	}
	return found("cluster", Good, "", "%s", words)
}

// clockApart is how far the server's clock may be from ours.
const clockApart = 2 * time.Second

func (e *mysqlEngine) serverClock(ctx context.Context) (Finding, error) {
	var seconds float64
	before := time.Now()
	q := e.reader()
	if err := q.get(ctx, []any{&seconds}, `SELECT CAST(UNIX_TIMESTAMP(NOW(6)) AS DOUBLE)`); err != nil {
		return Finding{}, err
	}
	apart := time.UnixMicro(int64(seconds * 1e6)).Sub(before.Add(time.Since(before) / 2)).Round(time.Millisecond)
	if apart.Abs() > clockApart {
		return found("server's clock", Note, "let a time service keep both clocks", "it is %s apart from this machine's", apart), nil
	}
	return found("server's clock", Good, "", "%s apart from this machine's", apart), nil
}
