package cmd

import (
	"encoding/json"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
	"github.com/rogpeppe/go-internal/testscript"

	"kartotek/ports"
)

// mailServer is a server elsewhere that keeps what it takes.
type mailServer struct {
	mu   sync.Mutex
	got  []string
	from []string // their senders
	more chan struct{}
}

var mailServers sync.Map // by the working directory of a script

// receiver: starts a mail server until the script ends; $RECEIVER is where.
func receiver(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 0, "receiver")
	r := &mailServer{more: make(chan struct{}, 1000)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{r: r}, nil }))
	srv.Domain = "receiver.test"
	srv.ErrorLog = log.New(io.Discard, "", 0)
	go srv.Serve(l)
	mailServers.Store(ts.Getenv("WORK"), r)
	ts.Setenv("RECEIVER", l.Addr().String())
	ts.Defer(func() {
		l.Close()
		srv.Close()
	})
}

type mailSession struct {
	r    *mailServer
	from string
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}
func (*mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (*mailSession) Reset()                               {}
func (*mailSession) Logout() error                        { return nil }

func (s *mailSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.got, s.r.from = append(s.r.got, string(b)), append(s.r.from, s.from)
	s.r.more <- struct{}{}
	return err
}

func (r *mailServer) mail(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > len(r.got) {
		return ""
	}
	return r.got[n-1]
}

func serverOf(ts *testscript.TestScript) *mailServer {
	r, ok := mailServers.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no receiver was started")
	}
	return r.(*mailServer)
}

// received N: waits until N mails have arrived, and writes the last into the
// file mailN, its sender into senderN.
func received(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "received N")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	r := serverOf(ts)
	late := time.After(patience)
	for r.mail(n) == "" {
		select {
		case <-r.more:
		case <-late:
			ts.Fatalf("mail %d did not arrive", n)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("mail"+args[0]), []byte(r.mail(n)), 0o600))
	r.mu.Lock()
	defer r.mu.Unlock()
	ts.Check(os.WriteFile(ts.MkAbs("sender"+args[0]), []byte(r.from[n-1]), 0o600))
}

// verified N RECORDS: all signatures of mail N hold by the DNS records of the
// file, as many as there are, for a verifier that is not ours: python3-dkim.
func verified(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "verified N RECORDS")
	if exec.Command("/usr/bin/python3", "-c", "import dkim, nacl").Run() != nil {
		if os.Getenv("CI") == "true" {
			ts.Fatalf("python3-dkim and python3-nacl are not installed")
		}
		ts.Logf("python3-dkim and python3-nacl are not installed")
		return
	}
	var published struct{ Records []record }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &published))
	const program = `
import dkim, json, sys
zone = {r["name"]: r["value"].encode() for r in json.load(open(sys.argv[2]))["records"]}
m = dkim.DKIM(open(sys.argv[1], "rb").read())
print([m.verify(idx=i, dnsfunc=lambda n, timeout=5: zone[n.decode().rstrip(".")]) for i in range(len(zone))])
`
	out, err := exec.Command("/usr/bin/python3", "-c", program, ts.MkAbs("mail"+args[0]), ts.MkAbs(args[1])).CombinedOutput()
	if want := "[" + strings.Repeat("True, ", len(published.Records)-1) + "True]"; err != nil || strings.TrimSpace(string(out)) != want {
		ts.Fatalf("%s (%v)", out, err)
	}
}

// port NAME: keeps a free address of loopback in the environment.
func port(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "port NAME")
	p, release, err := ports.Hold("127.0.0.1")
	ts.Check(err)
	ts.Defer(release)
	ts.Setenv(args[0], "127.0.0.1:"+p)
}

// awaitport ADDR: waits until something listens there.
func awaitPort(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "awaitport ADDR")
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nothing listens: %v", err)
		}
	}
}

// bounce N ADDR STATUS: sends mail N back to its sender at a server, which has
// then taken it in.
func bounce(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "bounce N ADDR STATUS")
	sender := ts.ReadFile("sender" + args[0])
	c, err := smtp.Dial(args[1])
	ts.Check(err)
	defer c.Close()
	report := "From: MAILER-DAEMON@mx.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
		"Reporting-MTA: dns; mx.test\r\n\r\nAction: failed\r\nStatus: " + args[2] + "\r\n\r\n--b--\r\n"
	if err := c.SendMail("", []string{"stranger@example.com"}, strings.NewReader(report)); err == nil {
		ts.Fatalf("mail for a stranger is taken")
	}
	ts.Check(c.Reset())
	ts.Check(c.SendMail("", []string{sender}, strings.NewReader(report)))
}

// nameserver: starts one that knows a little of brev.example; $NAMESERVER is where.
func nameserver(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 0, "nameserver")
	srv, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{
		"brev.example.":        {MX: []net.MX{{Host: "mx.brev.example.", Pref: 10}}},
		"mx.brev.example.":     {A: []string{"192.0.2.9"}},
		"_dmarc.brev.example.": {TXT: []string{"v=DMARC1; p=reject"}},
	}, log.New(io.Discard, "", 0), false)
	ts.Check(err)
	ts.Setenv("NAMESERVER", srv.LocalAddr().String())
	ts.Defer(func() { srv.Close() })
}
