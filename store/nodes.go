package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The times that a connection is given.
const (
	// answerWithin is how long the server may take for one answer. Locks are
	// waited for less long, so only a server that is gone takes longer.
	answerWithin = 15 * time.Second
	// goneAfter is how long a node may be silent on the network.
	goneAfter = 5 * time.Second
	// avoidFor is how long a node that failed is tried after all others.
	avoidFor = 10 * time.Second
)

// dial connects so that a node that has gone from the network is noticed
// within seconds, also while it is waited for: by itself, a lost packet is
// repeated for a quarter of an hour.
func dial(within time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		Timeout: within, Control: giveUpAfter(goneAfter),
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: goneAfter / 2, Interval: goneAfter / 5, Count: 3},
	}
	return d.DialContext
}

// sessionSetup makes every connection the same, whatever the server's own
// settings are. The isolation is set by its statement: the variable's name is
// not the same everywhere.
var sessionSetup = []string{
	"SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY', time_zone = '+00:00', autocommit = 1, innodb_lock_wait_timeout = 5",
	"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
}

// nodes connects to the first healthy node of a list. The driver knows one
// host only, and a node that is cut off from its cluster still accepts and
// logs in: whether it serves shows when it is asked for a row.
type nodes struct {
	configs []*mysql.Config

	mu     sync.Mutex
	failed []time.Time // of each node, when it last failed
}

func newNodes(configs []*mysql.Config) *nodes {
	return &nodes{configs: configs, failed: make([]time.Time, len(configs))}
}

// Driver implements driver.Connector.
func (n *nodes) Driver() driver.Driver { return &mysql.MySQLDriver{} }

// Connect implements driver.Connector.
func (n *nodes) Connect(ctx context.Context) (driver.Conn, error) {
	var errs []error
	for _, i := range n.order(time.Now()) {
		conn, err := n.connectTo(ctx, n.configs[i])
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n.mu.Lock()
		n.failed[i] = time.Now()
		n.mu.Unlock()
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// order lists the nodes as they are to be tried: those that failed lately last.
func (n *nodes) order(now time.Time) []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]int, len(n.configs))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int {
		return n.penalty(a, now) - n.penalty(b, now)
	})
	return out
}

func (n *nodes) penalty(i int, now time.Time) int {
	if now.Sub(n.failed[i]) < avoidFor {
		return 1
	}
	return 0
}

func (n *nodes) connectTo(ctx context.Context, c *mysql.Config) (driver.Conn, error) {
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	// The dial has a limit of its own; this one is for a node that accepts and
	// then says nothing.
	within, cancel := context.WithTimeout(ctx, 2*c.Timeout)
	defer cancel()
	conn, err := connector.Connect(within)
	if err == nil {
		if err = prepare(within, conn); err != nil {
			err = errors.Join(err, conn.Close())
		}
	}
	switch {
	case err == nil:
		return conn, nil
	case within.Err() != nil && ctx.Err() == nil:
		return nil, errSilent // its words would be those of a caller's own deadline
	}
	return nil, err
}

var (
	// errSilent: the node accepts, and doesn't answer in time.
	errSilent = errors.New("the database server doesn't answer")
	// errStandby: the node takes no writes.
	errStandby = errors.New("the database server is read-only")
	// errOutOfStep: the node has lost its cluster, or is catching up with it.
	errOutOfStep = errors.New("the node is out of step with its cluster")
)

// prepare sets a connection up and makes sure that its node serves: that it
// is in step with its cluster, where it has one, and takes writes.
func prepare(ctx context.Context, conn driver.Conn) error {
	ask, ok := conn.(asker)
	if !ok {
		return errors.New("the database driver is not what it was")
	}
	for _, s := range sessionSetup {
		if _, err := ask.ExecContext(ctx, s, nil); err != nil {
			return err
		}
	}
	readOnly, err := firstRow(ctx, ask, "SELECT @@global.read_only")
	if err != nil {
		return err
	}
	if text(readOnly[0]) != "0" {
		return errStandby
	}
	if err := joinCluster(ctx, ask); err != nil {
		return err
	}
	// A real table, for writing: what a node says of itself comes seconds after
	// it lost its cluster (error 1047), and one that others copy from is locked.
	_, err = ask.ExecContext(ctx, "DELETE FROM applied WHERE applied_key = ''", nil)
	if errorNumber(err) == errNoTable {
		err = nil // the schema is not made yet
	}
	return err
}

// synced is the state of a Galera node that is in step with the others.
const synced = "4"

// joinCluster refuses a Galera node that is out of step, and makes a read see
// what was written on another node before it: one by itself, and with BEGIN
// the first of a transaction. Reads inside of one don't wait, nor do writes.
func joinCluster(ctx context.Context, ask asker) error {
	on, err := firstRow(ctx, ask, "SHOW VARIABLES LIKE 'wsrep_on'")
	if err != nil || len(on) < 2 || text(on[1]) != "ON" {
		return err // a server by itself
	}
	state, err := firstRow(ctx, ask, "SHOW STATUS LIKE 'wsrep_local_state'")
	if err != nil {
		return err
	}
	if len(state) < 2 || text(state[1]) != synced {
		return errOutOfStep
	}
	_, err = ask.ExecContext(ctx, "SET SESSION wsrep_sync_wait = 1", nil)
	return err
}

// asker is a connection of the driver.
type asker interface {
	driver.ExecerContext
	driver.QueryerContext
}

func text(v driver.Value) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// firstRow is the first row of a query's answer; nil when there is none.
func firstRow(ctx context.Context, ask driver.QueryerContext, query string) ([]driver.Value, error) {
	rows, err := ask.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	row := make([]driver.Value, len(rows.Columns()))
	if err = rows.Next(row); errors.Is(err, io.EOF) {
		row, err = nil, nil
	}
	return row, errors.Join(err, rows.Close())
}
