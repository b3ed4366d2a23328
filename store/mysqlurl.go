package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// PasswordVariable is the environment variable that may hold the password of
// a MySQL store: there it is seen by nobody but the user who runs the program.
const PasswordVariable = "KARTOTEK_STORE_PASSWORD"

const mysqlScheme = "mysql://"

var errStoreURL = errors.New("--store takes sqlite:PATH or mysql://USER@HOST:PORT/DB")

func isMySQL(raw string) bool { return strings.HasPrefix(raw, mysqlScheme) }

// mysqlURL is the address of a MySQL store. It never goes into an error text
// whole, because it may hold the password.
type mysqlURL struct {
	user, password string
	passwordFile   string
	hosts          []string // HOST:PORT of each node, in the order of preference
	database       string
	tls            string // of tlsModes, or "" for the default
	ca             string // path of a PEM file
	timeout        time.Duration
}

// The ways of talking to the server: encrypted and checked, encrypted without
// knowing whom to, encrypted where the server can, in clear.
var tlsModes = map[string]bool{"true": true, "skip-verify": true, "preferred": true, "false": true}

// parseMySQL reads mysql://USER:PASS@HOST:PORT,HOST:PORT/DB?tls=…&tls-ca=PATH
// &password-file=PATH&timeout=2s; parts are percent-encoded as in any URL.
func parseMySQL(raw string) (mysqlURL, error) {
	m := mysqlURL{timeout: 2 * time.Second}
	rest := strings.TrimPrefix(raw, mysqlScheme)
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	userinfo, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo, hosts = authority[:i], authority[i+1:]
	}
	user, password, _ := strings.Cut(userinfo, ":")
	var errs [3]error
	m.user, errs[0] = url.PathUnescape(user)
	m.password, errs[1] = url.PathUnescape(password)
	m.database, errs[2] = url.PathUnescape(database)
	if errs != [3]error{} || m.user == "" || m.database == "" || strings.ContainsAny(m.database, "/\x00") {
		return m, errStoreURL
	}
	for h := range strings.SplitSeq(hosts, ",") {
		host, err := withPort(strings.TrimSpace(h))
		if err != nil {
			return m, err
		}
		m.hosts = append(m.hosts, host)
	}
	return m, m.options(query)
}

func withPort(h string) (string, error) {
	host, port, err := net.SplitHostPort(h)
	if err != nil { // without a port, or an IPv6 address in brackets
		host, port = strings.Trim(h, "[]"), "3306"
	}
	if host == "" || port == "" || (strings.Contains(host, ":") && net.ParseIP(host) == nil) {
		return "", errStoreURL
	}
	return net.JoinHostPort(host, port), nil
}

func (m *mysqlURL) options(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errStoreURL
	}
	for name := range values {
		value := values.Get(name)
		switch name {
		case "password-file":
			m.passwordFile = value
		case "tls":
			if m.tls = value; !tlsModes[value] {
				return errors.New("--store: tls takes true, skip-verify, preferred or false")
			}
		case "tls-ca":
			m.ca = value
		case "timeout":
			if m.timeout, err = time.ParseDuration(value); err != nil || m.timeout <= 0 {
				return errors.New("--store: timeout takes a duration such as 2s")
			}
		default:
			return errors.New("--store: a mysql:// address takes the options password-file, tls, tls-ca and timeout")
		}
	}
	return nil
}

// secret is the password: from a file, or else the address, or else the
// environment.
func (m mysqlURL) secret() (string, error) {
	if m.passwordFile == "" {
		if m.password != "" {
			return m.password, nil
		}
		return os.Getenv(PasswordVariable), nil
	}
	data, err := os.ReadFile(m.passwordFile)
	if err != nil {
		return "", fmt.Errorf("reading the database's password: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// configs are the driver's settings for each node.
func (m mysqlURL) configs() ([]*mysql.Config, error) {
	password, err := m.secret()
	if err != nil {
		return nil, err
	}
	var pool *x509.CertPool // nil: the system's
	if m.ca != "" {
		pem, err := os.ReadFile(m.ca)
		if err != nil {
			return nil, fmt.Errorf("reading tls-ca: %w", err)
		}
		if pool = x509.NewCertPool(); !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate: tls-ca is the file of the authority that signed the server's", m.ca)
		}
	}
	var out []*mysql.Config
	for _, host := range m.hosts {
		c := mysql.NewConfig()
		c.User, c.Passwd, c.Net, c.Addr, c.DBName = m.user, password, "tcp", host, m.database
		c.Collation = "utf8mb4_bin"
		c.ClientFoundRows = true
		c.DialFunc = dial(m.timeout)
		c.Timeout, c.ReadTimeout, c.WriteTimeout = m.timeout, answerWithin, answerWithin
		c.Logger = &mysql.NopLogger{} // what it would print is in the errors as well
		m.encrypt(c, pool)
		out = append(out, c)
	}
	return out, nil
}

// tlsMode is the way of talking to a host. By default the way to another
// machine is encrypted and the server's certificate checked; on this machine
// it isn't, unless asked for.
func (m mysqlURL) tlsMode(host string) string {
	ip := net.ParseIP(host)
	switch {
	case m.tls != "":
		return m.tls
	case m.ca == "" && (host == "localhost" || ip != nil && ip.IsLoopback()):
		return "false"
	}
	return "true"
}

// encrypt sets up TLS.
func (m mysqlURL) encrypt(c *mysql.Config, pool *x509.CertPool) {
	host, _, _ := net.SplitHostPort(c.Addr)
	mode := m.tlsMode(host)
	if mode == "false" {
		return
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: pool}
	c.TLS.InsecureSkipVerify = mode != "true" // as the user asked for
	c.AllowFallbackToPlaintext = mode == "preferred"
}

// CutPassword takes the password out of the address of a MySQL store; "" when
// there is none in it.
func CutPassword(raw string) (without, password string) {
	m, err := parseMySQL(raw)
	if !isMySQL(raw) || err != nil || m.password == "" {
		return raw, ""
	}
	colon := strings.IndexByte(raw[len(mysqlScheme):], ':') + len(mysqlScheme)
	authority, _, _ := strings.Cut(raw[len(mysqlScheme):], "/")
	at := strings.LastIndexByte(authority, '@') + len(mysqlScheme)
	return raw[:colon] + raw[at:], m.password
}
