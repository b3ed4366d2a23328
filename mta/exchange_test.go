package mta

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

func smtpErr(code int, e [3]int, words string) func() error {
	return func() error { return &smtp.SMTPError{Code: code, EnhancedCode: e, Message: words} }
}

func TestRelayDelivers(t *testing.T) {
	rcv := startReceiver(t, &receiver{})
	r := relayTo(t, rcv.addr)
	for range 3 {
		v := deliver(t, r, testLetter())
		checkVerdict(t, v, Delivered, 250, "2.0.0", "OK")
	}
	want := message{From: "news@sender.test", To: "marie.jensen@example.dk", Data: string(testLetter().Data)}
	if diff := cmp.Diff([]message{want, want, want}, rcv.messages()); diff != "" {
		t.Error(diff)
	}
	if n := rcv.sessionCount(); n != 1 {
		t.Errorf("three letters took %d connections, want 1", n)
	}
	if got := r.Name(); got != "relay "+rcv.addr {
		t.Errorf("name %q", got)
	}
}

func TestReplyClasses(t *testing.T) {
	leak := "no mailbox <Marie.Jensen@example.DK>,\r\nmarie.jensen unknown, see marie@other.test"
	masked := "no mailbox <recipient>, <recipient> unknown, see <address>"
	tests := []struct {
		name     string
		receiver *receiver
		state    State
		code     int
		enhanced string
		words    string
	}{
		{"mail 4xx", &receiver{mail: smtpErr(451, [3]int{4, 7, 1}, "greylisted")}, Deferred, 451, "4.7.1", "greylisted"},
		{"mail 5xx", &receiver{mail: smtpErr(550, [3]int{5, 7, 1}, "listed")}, Refused, 550, "5.7.1", "listed"},
		{"login demanded", &receiver{mail: smtpErr(530, [3]int{5, 7, 0}, "log in")}, Deferred, 530, "5.7.0", "log in"},
		{"rcpt 4xx", &receiver{rcpt: smtpErr(452, [3]int{4, 2, 2}, leak)}, Deferred, 452, "4.2.2", masked},
		{"rcpt 5xx", &receiver{rcpt: smtpErr(550, [3]int{5, 1, 1}, leak)}, Refused, 550, "5.1.1", masked},
		{"dot 4xx", &receiver{data: smtpErr(451, [3]int{4, 3, 0}, "disk full")}, Deferred, 451, "4.3.0", "disk full"},
		{"dot 5xx", &receiver{data: smtpErr(554, [3]int{5, 7, 1}, "spam")}, Refused, 554, "5.7.1", "spam"},
		{"421", &receiver{rcpt: smtpErr(421, [3]int{4, 3, 2}, "shutting down")}, Deferred, 421, "4.3.2", "shutting down"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rcv := startReceiver(t, tt.receiver)
			r := relayTo(t, rcv.addr)
			v := deliver(t, r, testLetter())
			checkVerdict(t, v, tt.state, tt.code, tt.enhanced, tt.words)
			if len(rcv.messages()) != 0 {
				t.Error("the receiver took a message all the same")
			}
			tt.receiver.mail, tt.receiver.rcpt, tt.receiver.data = nil, nil, nil
			r.servers[0].gate = newGate(ofRelay, firstToRelay) // after a 421 it lets nobody through for a while
			checkVerdict(t, deliver(t, r, testLetter()), Delivered, 250, "2.0.0", "OK")
			if n := len(rcv.messages()); n != 1 {
				t.Errorf("after the refusal %d messages arrived, want 1", n)
			}
		})
	}
}

// Servers that break the exchange, or keep us waiting. Each case says what the letter's verdict must be; none may hang or
// panic.
func TestBrokenServers(t *testing.T) {
	tests := []struct {
		name     string
		serve    func(c *scriptConn)
		code     int
		enhanced string
		words    string
		waits    bool
	}{
		{"silent", func(c *scriptConn) { c.hang() }, 0, "4.4.2", "too long", true},
		{"hangs up", func(*scriptConn) {}, 0, "4.4.2", "closed", false},
		{"greets with 554", func(c *scriptConn) { c.say("554 not now") }, 554, "4.0.0", "not now", false},
		{"speaks another protocol", func(c *scriptConn) { c.say("SSH-2.0-x") }, 0, "4.4.2", "no SMTP reply", false},
		{"a megabyte of banner", func(c *scriptConn) { c.say("220 " + strings.Repeat("x", 1<<20)) }, 0, "4.4.2", "more than", false},
		{"endless banner", func(c *scriptConn) {
			for range 10000 {
				c.say("220-" + strings.Repeat("x", 500))
			}
		}, 0, "4.4.2", "more than", false},
		{"trickles", func(c *scriptConn) {
			for { // a byte now and then is no sign of life: the whole reply has its time
				if _, err := c.Write([]byte("2")); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}, 0, "4.4.2", "too long", true},
		{"an answer of bytes alone", func(c *scriptConn) { c.say("220 \x00\xff\xfe"); c.until("EHLO"); c.say("\x00\x01\x02") }, 0, "4.4.2", "no SMTP reply", false},
		{"endless capabilities", func(c *scriptConn) {
			c.say("220 hi")
			c.until("EHLO")
			for range 10000 {
				c.say("250-X" + strings.Repeat("y", 200))
			}
		}, 0, "4.4.2", "more than", false},
		{"codes that differ", func(c *scriptConn) { c.say("220-a", "250 b") }, 0, "4.4.2", "no SMTP reply", false},
		{"stalls in the envelope", func(c *scriptConn) { c.welcome(); c.until("MAIL"); c.hang() }, 0, "4.4.2", "naming the sender", true},
		{"takes MAIL with 354", func(c *scriptConn) { c.welcome(); c.until("MAIL"); c.say("354 go"); c.hang() }, 0, "4.4.2", "no SMTP reply", false},
		{"drops after DATA", func(c *scriptConn) { c.welcome(); c.accept() }, 0, "4.4.2", "", false},
		{"drops after the dot", func(c *scriptConn) { c.welcome(); c.accept(); c.until(".\r") }, 0, "4.4.2", "may have arrived", false},
		{"stalls after the dot", func(c *scriptConn) { c.welcome(); c.accept(); c.hang() }, 0, "4.4.2", "may have arrived", true},
		{"pipelined, drops after the dot", func(c *scriptConn) {
			c.welcome("PIPELINING")
			c.accept()
			c.until(".\r")
		}, 0, "4.4.2", "may have arrived", false},
		{"pipelined, 421 and gone", func(c *scriptConn) {
			c.welcome("PIPELINING")
			c.until("MAIL")
			c.say("421 4.3.2 bye")
		}, 421, "4.3.2", "bye", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := scripted(t, tt.serve)
			if !tt.waits {
				checkVerdict(t, deliver(t, relayTo(t, addr), testLetter()), Deferred, tt.code, tt.enhanced, tt.words)
				return
			}
			patiently(t, func(wait time.Duration) string {
				r := relayTo(t, addr)
				hurry(r, wait)
				return unlike(deliver(t, r, testLetter()), Deferred, tt.code, tt.enhanced, tt.words)
			})
		})
	}
}

// A server that takes the message and then stops reading: each block of the body has its own time.
func TestBodyStalls(t *testing.T) {
	addr := scripted(t, func(c *scriptConn) {
		c.welcome()
		c.accept()
		c.stall(t)
	})
	l := testLetter()
	l.Data = append(l.Data, bytes.Repeat([]byte("more than any buffer on the way holds\r\n"), 1<<19)...)
	patiently(t, func(wait time.Duration) string {
		r := relayTo(t, addr)
		hurry(r, wait)
		return unlike(deliver(t, r, l), Deferred, 0, "4.4.2", "while sending the message: the server took too long")
	})
}

// The end of the context breaks off whatever is being waited for, and the letter may be sent again at once.
func TestBrokenOff(t *testing.T) {
	for name, serve := range map[string]func(c *scriptConn, reached func()){
		"before the greeting": func(_ *scriptConn, reached func()) { reached() },
		"in the envelope":     func(c *scriptConn, reached func()) { c.welcome(); c.until("MAIL"); reached() },
		"in the handshake": func(c *scriptConn, reached func()) {
			c.welcome("STARTTLS")
			c.until("START")
			c.say("220 go")
			reached()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			r := relayTo(t, scripted(t, func(c *scriptConn) { serve(c, cancel); c.stall(t) }))
			v := deliverBy(ctx, r, testLetter())
			if v.State != Postponed || v.Retry.IsZero() || v.Retry.After(time.Now()) || !strings.Contains(v.Reply, "broken off, for the sender is stopping") {
				t.Errorf("got %s until %v, %q", v.State, v.Retry, v.Reply)
			}
		})
	}
}

// A refusal that was heard stands, even if the server hangs up on it.
func TestRefusedAndHungUp(t *testing.T) {
	r := relayTo(t, scripted(t, func(c *scriptConn) {
		c.welcome("PIPELINING")
		c.until("MAIL")
		c.say("250 ok", "550 5.1.1 nobody")
	}))
	checkVerdict(t, deliver(t, r, testLetter()), Refused, 550, "5.1.1", "nobody")
}

// A server that wants a message for nobody gets an empty one, and never ours.
func TestMessageForNobody(t *testing.T) {
	heard := make(chan string, 1)
	r := relayTo(t, scripted(t, func(c *scriptConn) {
		c.welcome("PIPELINING")
		c.until("DATA")
		c.say("250 ok", "550 5.1.1 nobody", "354 go ahead")
		line, _ := c.r.ReadString('\n')
		heard <- line
		c.say("250 took it")
		c.hang()
	}))
	checkVerdict(t, deliver(t, r, testLetter()), Refused, 550, "5.1.1", "nobody")
	if line := <-heard; line != ".\r\n" {
		t.Errorf("the server was sent %q", line)
	}
}

// A kept connection that the server gave up must not cost the letter an attempt.
func TestStaleConnection(t *testing.T) {
	for name, parting := range map[string]func(c *scriptConn){
		"closed":                  func(*scriptConn) {},
		"closed with 421":         func(c *scriptConn) { c.say("421 4.4.2 idle") },
		"421 to the next command": func(c *scriptConn) { c.until("MAIL"); c.say("421 4.3.2 bye") },
		"an answer too many":      func(c *scriptConn) { c.say("250 did I say so?"); c.accept() },
	} {
		t.Run(name, func(t *testing.T) {
			r := relayTo(t, scripted(t, func(c *scriptConn) {
				c.welcome()
				c.accept()
				c.until(".\r")
				c.say("250 2.0.0 ok")
				parting(c)
			}))
			for range 2 {
				checkVerdict(t, deliver(t, r, testLetter()), Delivered, 250, "2.0.0", "ok")
			}
		})
	}
}

func TestCapabilities(t *testing.T) {
	big := testLetter()
	big.Data = append(big.Data, []byte(strings.Repeat("line\r\n", 1000))...)
	eightBit := testLetter()
	eightBit.Data = append(eightBit.Data, "Købmand\r\n"...)
	head := testLetter()
	head.Data = []byte("Subject: Købmand\r\n\r\nhi\r\n")
	path := testLetter()
	path.To = "mærie@example.dk"
	signed := testLetter()
	signed.Data = append([]byte("DKIM-Signature: v=1\r\n"), eightBit.Data...)
	bounce := testLetter()
	bounce.From = ""
	tests := []struct {
		name     string
		letter   Letter
		offered  string
		enhanced string // "" for delivered
		mail     string // the parameters of MAIL
	}{
		{"plain", testLetter(), "", "", ""},
		{"size allowed", big, "size 100000", "", " SIZE=6046"},
		{"size without a limit", big, "SIZE", "", " SIZE=6046"},
		{"too large", big, "SIZE 5000", "5.3.4", ""},
		{"8-bit", eightBit, "8bitmime", "", " BODY=8BITMIME"},
		{"8-bit not offered", eightBit, "", "", ""},
		{"8-bit not offered and signed", signed, "", "5.6.3", ""},
		{"encoded anew, and then too large", eightBit, "SIZE 70", "5.3.4", ""},
		{"reports", testLetter(), "dsn", "", " RET=HDRS ENVID=1"},
		{"reports to nobody", bounce, "DSN", "", ""},
		{"header not offered", head, "8BITMIME", "5.6.9", ""},
		{"address", path, "SMTPUTF8", "", " SMTPUTF8"},
		{"address not offered", path, "8BITMIME", "5.6.7", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mail := make(chan string, 1)
			r := relayTo(t, scripted(t, func(c *scriptConn) {
				c.welcome(tt.offered)
				mail <- c.until("MAIL", "QUIT")
				c.say("250 ok")
				if rcpt := c.until("RCPT"); strings.Contains(rcpt, "NOTIFY=FAILURE") != strings.Contains(tt.mail, "RET") {
					t.Errorf("sent %q", rcpt)
				}
				c.say("250 ok")
				c.until("DATA")
				c.say("354 go")
				c.until(".\r")
				c.say("250 2.0.0 ok")
				c.hang()
			}))
			v := deliver(t, r, tt.letter)
			if tt.enhanced != "" {
				checkVerdict(t, v, Refused, 0, tt.enhanced, "the")
				return
			}
			checkVerdict(t, v, Delivered, 250, "2.0.0", "ok")
			if got := <-mail; got != "MAIL FROM:<"+tt.letter.From+">"+tt.mail {
				t.Errorf("sent %q", got)
			}
		})
	}
}

func TestHELOForOldServers(t *testing.T) {
	r := relayTo(t, scripted(t, func(c *scriptConn) {
		c.say("220 old")
		c.until("EHLO")
		c.say("502 what?")
		c.until("HELO")
		c.say("250 hello")
		c.accept()
		c.until(".\r")
		c.say("250")
		c.hang()
	}))
	checkVerdict(t, deliver(t, r, testLetter()), Delivered, 250, "2.0.0", "")
}

func TestImpossibleLetters(t *testing.T) {
	rcv := startReceiver(t, &receiver{})
	r := relayTo(t, rcv.addr)
	tests := map[string]struct {
		change   func(*Letter)
		enhanced string
	}{
		"parameters in the recipient": {func(l *Letter) { l.To = "a@b.dk> SIZE=1" }, "5.1.3"},
		"parameters in the sender":    {func(l *Letter) { l.From = "a@b.dk> AUTH=<x@y.dk" }, "5.1.7"},
		"a command in the recipient":  {func(l *Letter) { l.To = "a@b.dk>\r\nRCPT TO:<c@d.dk" }, "5.1.3"},
		"no recipient":                {func(l *Letter) { l.To = "" }, "5.1.3"},
		"a long line":                 {func(l *Letter) { l.Data = []byte(strings.Repeat("x", 999)) }, "5.6.0"},
		"a NUL":                       {func(l *Letter) { l.Data = []byte("a\x00b") }, "5.6.0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := testLetter()
			tt.change(&l)
			if v := deliver(t, r, l); v.State != Refused || v.Enhanced != tt.enhanced {
				t.Errorf("got %s %s %q, want refused %s", v.State, v.Enhanced, v.Reply, tt.enhanced)
			}
		})
	}
	if n := rcv.sessionCount(); n != 0 {
		t.Errorf("%d connections were made for letters that can't leave", n)
	}
}

func TestTranscriptIsMasked(t *testing.T) {
	rcv := startReceiver(t, &receiver{rcpt: smtpErr(550, [3]int{5, 1, 1}, "marie.jensen\x1b[2J is unknown")})
	v := deliver(t, relayTo(t, rcv.addr), testLetter())
	talk := strings.Join(v.Transcript, "\n")
	for _, want := range []string{
		"> EHLO ", "> MAIL FROM:<sender> SIZE=", "> RCPT TO:<recipient>", "> DATA", "< 550 5.1.1 <recipient>[2J is unknown",
	} {
		if !strings.Contains(talk, want) {
			t.Errorf("%q is missing in\n%s", want, talk)
		}
	}
}

// While a letter is marked, the envelope of the next goes out over its connection, but not the message: a crash would
// repeat both.
func TestNextEnvelopeBeforeTheMark(t *testing.T) {
	enveloped := make(chan struct{})
	var early atomic.Bool
	r := relayTo(t, scripted(t, func(c *scriptConn) {
		c.welcome("PIPELINING")
		for n := range 2 {
			c.accept()
			if n == 1 {
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // what isn't held back is here by then
				_, err := c.r.Peek(1)
				early.Store(err == nil)
				_ = c.SetReadDeadline(time.Time{})
				close(enveloped)
			}
			c.until(".\r")
			c.say("250 2.0.0 taken")
		}
		c.hang()
	}))
	var second Verdict
	var wg sync.WaitGroup
	r.Deliver(t.Context(), testLetter(), func(Verdict) {
		wg.Go(func() { second = deliverBy(t.Context(), r, testLetter()) })
		<-enveloped
	})
	wg.Wait()
	if second.State != Delivered || early.Load() {
		t.Errorf("the second letter was %s, handed over before the first was marked: %v", second.State, early.Load())
	}
}
