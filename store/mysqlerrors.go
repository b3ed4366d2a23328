package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// Error numbers of MySQL and MariaDB, the same in both.
const (
	errTooMany        = 1040 // connections
	errDatabaseDenied = 1044
	errAccessDenied   = 1045
	errNotReady       = 1047 // wsrep: the node lost its cluster
	errNoDatabase     = 1049
	errTableThere     = 1050
	errShutdown       = 1053
	errColumnThere    = 1060
	errIndexThere     = 1061
	errDuplicate      = 1062
	errIndexGone      = 1091
	errTableFull      = 1114
	errNoTable        = 1146
	errCommit         = 1180 // the commit failed, and may have been kept elsewhere
	errLockWait       = 1205
	errDeadlock       = 1213 // or a certification failure
	errDataTooLong    = 1406
	errKilled         = 1927
	errIdleTooLong    = 4031
)

// errorNumber is the server's number of an error; 0 when it isn't the server's.
func errorNumber(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// mapMySQL turns the driver's errors into the room's own.
func mapMySQL(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case lost(err):
		return ErrAway
	}
	switch n := errorNumber(err); n {
	case 0:
		return err
	case errDuplicate:
		return ErrTaken
	case errDeadlock, errLockWait:
		return errConflict
	case errTooMany:
		return ErrBusy
	case 1021, 1026, errTableFull:
		return ErrFull
	case errDataTooLong:
		return ErrTooLong
	case 1034, 1194, 1712: // damaged tables and indexes
		return ErrDamaged
	case 1264, 1265, 1292, 1366: // their texts hold the value
		return fmt.Errorf("the database refused a value (error %d)", n)
	}
	return err
}

// lost tells whether the connection broke or its server stopped serving.
func lost(err error) bool {
	switch errorNumber(err) {
	case errNotReady, errShutdown, errCommit, errKilled, errIdleTooLong, 1290, 1836: // the last two: read-only
		return true
	}
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, errSilent) || errors.Is(err, errStandby) || errors.Is(err, errOutOfStep) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}

// inClear says what else may keep a user out of a server that isn't asked for
// encryption: accounts can require it, and the refusal is the same.
func (m mysqlURL) inClear() string {
	for _, addr := range m.hosts {
		if host, _, _ := net.SplitHostPort(addr); m.tlsMode(host) != "false" {
			return ""
		}
	}
	return "; an account for encrypted connections alone needs tls=true, or tls=preferred, as well"
}

// openingError says why a store's server can't be used, and what to do.
func (m mysqlURL) openingError(err error) error {
	hosts := strings.Join(m.hosts, ", ")
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var failed *tls.CertificateVerificationError
	switch n := errorNumber(err); {
	case n == errNoDatabase, n == errDatabaseDenied:
		return fmt.Errorf("there is no database %q at %s that %s may use: make it with CREATE DATABASE and GRANT, then run kartotek migrate", m.database, hosts, m.user)
	case n == errAccessDenied:
		return fmt.Errorf("the database at %s doesn't let %s in with this password: give it with password-file=PATH in --store, or as %s%s", hosts, m.user, PasswordVariable, m.inClear())
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &failed):
		return fmt.Errorf("the certificate of the database at %s can't be trusted (name its authority with tls-ca=PATH in --store): %w", hosts, err)
	case errors.Is(err, mysql.ErrNoTLS):
		return fmt.Errorf("the database at %s doesn't encrypt: set its certificate up, or allow that in --store with tls=false", hosts)
	case errors.Is(err, errStandby):
		return fmt.Errorf("the database at %s is read-only: name the server that takes writes with --store", hosts)
	case errors.Is(err, errOutOfStep), n == errNotReady:
		return fmt.Errorf("the database at %s is out of step with its cluster: see whether enough of its nodes run and reach each other", hosts)
	case n != 0 || !lost(err):
		return fmt.Errorf("opening the database at %s: %w", hosts, mapMySQL(err))
	}
	return fmt.Errorf("the database at %s can't be reached: see whether it runs, and whether --store names it: %w", hosts, err)
}
