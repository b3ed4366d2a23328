package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
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
	// avoidFor is how long a node that failed is tried after all others.
	avoidFor = 10 * time.Second
)

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
	ctx, cancel := context.WithTimeout(ctx, 2*c.Timeout)
	defer cancel()
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// errStandby: the node takes no writes.
var errStandby = errors.New("the database server is read-only")

// prepare sets a connection up and makes sure that its node serves.
func prepare(ctx context.Context, conn driver.Conn) error {
	ask, ok := conn.(interface {
		driver.ExecerContext
		driver.QueryerContext
	})
	if !ok {
		return errors.New("the database driver is not what it was")
	}
	for _, s := range sessionSetup {
		if _, err := ask.ExecContext(ctx, s, nil); err != nil {
			return err
		}
	}
	readOnly, err := firstValue(ctx, ask, "SELECT @@global.read_only")
	if err != nil {
		return err
	}
	if text, ok := readOnly.([]byte); ok {
		readOnly = string(text)
	}
	if fmt.Sprint(readOnly) != "0" {
		return errStandby
	}
	// A real row: a node that lost its cluster refuses this one (error 1047).
	_, err = firstValue(ctx, ask, "SELECT COUNT(*) FROM settings WHERE name = ''")
	if errorNumber(err) == errNoTable {
		err = nil // the schema is not made yet
	}
	return err
}

// firstValue runs a query of one value.
func firstValue(ctx context.Context, ask driver.QueryerContext, query string) (driver.Value, error) {
	rows, err := ask.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	row := make([]driver.Value, 1)
	err = rows.Next(row)
	return row[0], errors.Join(err, rows.Close())
}
