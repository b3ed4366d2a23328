package mta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// ErrRelay begins every error of [NewRelay]. None of them quotes the URL, for it holds the password.
var ErrRelay = errors.New("the relay can't be used")

// maxPasswordFile is the size in bytes up to which a file is read for a password.
const maxPasswordFile = 4096

// Limits of the relay, which is the company's own: more than strangers get. Postfix as it is packaged takes 50
// connections from one client; its address may name more for a server that takes them.
var ofRelay = Limits{Connections: 48, PerConnection: 10_000}

const (
	// firstToRelay is how many connections the relay gets at first.
	firstToRelay = 8
	// mostToRelay is how many its address may name: some letters more are in hand than there are connections.
	mostToRelay = 256
)

// Relay is the route through a smart host: a server that takes all our letters and delivers them itself. It may have
// several hosts: each letter goes to the first of them that answers and doesn't put it off.
type Relay struct {
	servers []*server
}

// NewRelay makes a route of a URL:
//
//	smtp://USER:PASSWORD@HOST:587   STARTTLS, with a certificate of HOST, before anything secret is said
//	smtps://USER:PASSWORD@HOST:465  TLS from the first byte (RFC 8314)
//	smtp://HOST:25                  no login; encrypted where the server offers it
//
// HOST:PORT may be several with commas between them, in the order in which they are tried. The password may be in a
// file instead: ?password-file=PATH. ?connections=N is how many the host gets at most, 48 otherwise. Characters with a
// meaning in URLs are percent-encoded. Login is within TLS only, by SCRAM, PLAIN or LOGIN as the server offers them.
// Nothing is dialled yet.
func NewRelay(rawURL string) (*Relay, error) {
	r := &Relay{}
	for _, one := range eachHost(rawURL) {
		s, err := relayServer(one)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, s)
	}
	return r, nil
}

// eachHost makes URLs of one host out of a URL of several.
func eachHost(rawURL string) []string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return []string{rawURL}
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	begin := strings.LastIndexByte(rest[:end], '@') + 1
	var all []string
	for host := range strings.SplitSeq(rest[begin:end], ",") {
		all = append(all, scheme+"://"+rest[:begin]+host+rest[end:])
	}
	return all
}

func relayServer(rawURL string) (*server, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Opaque != "" || u.Host == "" || (u.Path != "" && u.Path != "/") || u.Fragment != "" {
		return nil, fmt.Errorf("%w: write its address as smtp://USER:PASSWORD@HOST:587 or smtps://HOST:465, "+
			"with @ : / ? # %% in the password percent-encoded", ErrRelay)
	}
	port := map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	if port == "" {
		return nil, fmt.Errorf("%w: its address must begin with smtp:// or smtps://", ErrRelay)
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%w: its port must be a number from 1 to 65535", ErrRelay)
		}
		port = p
	}
	host, err := relayHost(u.Hostname())
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort(host, port)
	d := &door{dial: dialTo(addr), name: host, implicit: u.Scheme == "smtps", patience: usualPatience}
	path, limits, err := relaySettings(u)
	if err != nil {
		return nil, err
	}
	if d.user, d.password, err = credentials(u, path); err != nil {
		return nil, err
	}
	if d.implicit || d.user != "" {
		d.level = tlsRequired
	}
	g := newGate(limits, firstToRelay)
	g.ours = true
	return &server{pool: pool{door: d, host: addr, perConn: limits.PerConnection}, gate: g}, nil
}

func relayHost(name string) (string, error) {
	if net.ParseIP(name) != nil {
		return name, nil
	}
	host, err := domainASCII(name)
	if err != nil {
		return "", fmt.Errorf("%w: its host is neither a name nor an IP address", ErrRelay)
	}
	return host, nil
}

// relaySettings are those that follow the ? in the URL: the path of the password's file, empty for none, and the limits.
func relaySettings(u *url.URL) (passwordFile string, l Limits, err error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", l, fmt.Errorf("%w: what follows the ? in its address is not understood", ErrRelay)
	}
	l = ofRelay
	for name, values := range query {
		value := strings.Join(values, "&")
		switch {
		case name == "password-file" && value != "" && len(values) == 1:
			passwordFile = value
		case name == "connections":
			if l.Connections, err = strconv.Atoi(value); err != nil || l.Connections < 1 || l.Connections > mostToRelay {
				return "", l, fmt.Errorf("%w: connections in its address must be a number from 1 to %d", ErrRelay, mostToRelay)
			}
		default:
			return "", l, fmt.Errorf("%w: its address may have two settings only, ?password-file=PATH and connections=N", ErrRelay)
		}
	}
	return passwordFile, l, nil
}

// credentials reads the user and the password out of the URL, or the password out of a file.
func credentials(u *url.URL, path string) (user, password string, err error) {
	user = u.User.Username()
	password, given := u.User.Password()
	switch {
	case given && path != "":
		return "", "", fmt.Errorf("%w: give the password or a password file, not both", ErrRelay)
	case user == "" && (given || path != ""):
		return "", "", fmt.Errorf("%w: a password needs a user name before it, USER:PASSWORD@HOST", ErrRelay)
	case user != "" && !given && path == "":
		return "", "", fmt.Errorf("%w: its user needs a password, USER:PASSWORD@HOST or ?password-file=PATH", ErrRelay)
	}
	if path != "" {
		password, err = readPassword(path)
	}
	return user, password, err
}

func readPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: reading its password file: %w", ErrRelay, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err != nil {
		return "", fmt.Errorf("%w: reading its password file: %w", ErrRelay, err)
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" || len(b) > maxPasswordFile || strings.ContainsAny(password, "\r\n\x00") {
		return "", fmt.Errorf("%w: its password file must hold the password on one line and nothing else", ErrRelay)
	}
	return password, nil
}

// Name says which hosts the relay has, without user and password.
func (r *Relay) Name() string {
	var hosts []string
	for _, s := range r.servers {
		hosts = append(hosts, s.host)
	}
	return "relay " + strings.Join(hosts, ", ")
}

// Deliver hands the letter to the first of the hosts that takes it.
func (r *Relay) Deliver(ctx context.Context, l Letter, mark func(Verdict)) {
	par, bad := pack(l)
	if bad != nil {
		mark(*bad.complete(nil, r.servers[0].host, l.To))
		return
	}
	descend(ctx, r.servers, par, mark)
}

// Close takes leave of all hosts, within about a second.
func (r *Relay) Close() error {
	closeAll(r.servers)
	return nil
}
