package mta

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/idna"
	"pgregory.net/rapid"
)

func TestEnvelopeAddress(t *testing.T) {
	tests := []struct{ in, want string }{
		{"marie@example.dk", "marie@example.dk"},
		{"Marie.O'Neill+news@Example.DK.", "Marie.O'Neill+news@example.dk"},
		{"a..b.@docomo.test", "a..b.@docomo.test"},
		{"b-tok=en_1@bounce.example.dk", "b-tok=en_1@bounce.example.dk"},
		{"ærø@blåbærgrød.dk", "ærø@xn--blbrgrd-fxak7p.dk"},
		{"root@localhost", "root@localhost"},
		{"", ""},
		{"nobody", ""},
		{"@example.dk", ""},
		{"a@", ""},
		{"a@b@c.dk", ""},
		{"a b@c.dk", ""},
		{"a@c.dk\n", ""},
		{"a@c.dk> SIZE=1", ""},
		{"<a@c.dk>", ""},
		{"a@c.dk>\r\nRCPT TO:<b@c.dk", ""},
		{"a\x00@c.dk", ""},
		{"a\u202e@c.dk", ""},
		{"a\xff@c.dk", ""},
		{"a\u00a0b@c.dk", ""},
		{`"a b"@c.dk`, ""},
		{"a@[127.0.0.1]", ""},
		{"a@-x-.dk", ""},
		{"a@c..dk", ""},
		{"a@" + strings.Repeat("x", 64) + ".dk", ""},
		{strings.Repeat("x", 65) + "@c.dk", ""},
		{"a@" + strings.Repeat("xxxxxxxxx.", 26) + "dk", ""},
	}
	for _, tt := range tests {
		got, err := envelopeAddress(tt.in)
		if got != tt.want || (tt.want == "") != errors.Is(err, errAddress) {
			t.Errorf("%q: got %q, %v; want %q", tt.in, got, err, tt.want)
		}
		if err != nil && err.Error() != errAddress.Error() {
			t.Errorf("%q: the error tells more than it may: %v", tt.in, err)
		}
	}
}

// What is let by as a plain domain is what IDNA would make of it.
func TestPlainDomain(t *testing.T) {
	label := rapid.OneOf(rapid.StringMatching(`[a-z0-9]{1,3}(-[a-z0-9]{1,3}){0,2}`), rapid.StringOf(rapid.SampledFrom([]rune("ax09--xn.._Aæ"))))
	rapid.Check(t, func(t *rapid.T) {
		domain := strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
		if !isPlainDomain(domain) {
			return
		}
		if got, err := idna.Lookup.ToASCII(domain); got != domain || err != nil {
			t.Fatalf("%q is %q, %v", domain, got, err)
		}
	})
	for _, domain := range []string{"a", "mail.example.dk", "a-b.4.dk", strings.Repeat("a", 63), strings.Repeat("a.", 126) + "a"} {
		if !isPlainDomain(domain) {
			t.Errorf("%q is not plain", domain)
		}
	}
	for _, domain := range []string{"", ".", "a.", "a..b", "-a.dk", "a-.dk", "a--b.dk", "A.dk", "a_b.dk", strings.Repeat("a", 64), strings.Repeat("a.", 126) + "aa"} {
		if isPlainDomain(domain) {
			t.Errorf("%q is plain", domain)
		}
	}
}

// Lines are found too long, and line ends wrong, as by looking at one line after another.
func TestCheckedAsLineByLine(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"\r", "\n", "\r\n", "\r\n", "\r\n", "x"}),
		rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat("x", rapid.IntRange(maxLine-2, maxLine+2).Draw(t, "length"))
		}),
	)
	rapid.Check(t, func(t *rapid.T) {
		msg := []byte(strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), ""))
		normal, long := true, false
		for line := range bytes.Lines(msg) {
			text, ended := bytes.CutSuffix(line, []byte("\r\n"))
			normal = normal && ended && !bytes.ContainsAny(text, "\r\n")
			long = long || len(line) > maxLine+2
		}
		if isNormal(msg) != normal {
			t.Fatalf("normal is %v for %q", !normal, msg)
		}
		if err := checkLines(msg); long != errors.Is(err, errLongLine) {
			t.Fatalf("%v for %q", err, msg)
		}
	})
}

func TestNormaliseAndStuff(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ".\r\n"},
		{"as it should be", "A: b\r\n\r\nhi\r\n", "A: b\r\n\r\nhi\r\n.\r\n"},
		{"no line end", "A: b\r\n\r\nhi", "A: b\r\n\r\nhi\r\n.\r\n"},
		{"LF only", "A: b\n\nhi\n", "A: b\r\n\r\nhi\r\n.\r\n"},
		{"dots", "A: b\r\n\r\n.\r\n..x\r\n.", "A: b\r\n\r\n..\r\n...x\r\n..\r\n.\r\n"},
		{"smuggled by LF", "A: b\r\n\r\nhi\n.\nMAIL FROM:<x@y.dk>\r\n", "A: b\r\n\r\nhi\r\n..\r\nMAIL FROM:<x@y.dk>\r\n.\r\n"},
		{"smuggled by LF and CRLF", "A: b\r\n\r\nhi\n.\r\nMAIL\r\n", "A: b\r\n\r\nhi\r\n..\r\nMAIL\r\n.\r\n"},
		{"smuggled by CR", "A: b\r\n\r\nhi\r.\rMAIL\r\n", "A: b\r\n\r\nhi\r\n..\r\nMAIL\r\n.\r\n"},
		{"CR CR LF", "A: b\r\n\r\nhi\r\r\n", "A: b\r\n\r\nhi\r\n\r\n.\r\n"},
		{"header by LF", "Subject: a\nBcc: x\r\nTo: y\r\n\r\nhi\r\n", "Subject: a Bcc: x\r\nTo: y\r\n\r\nhi\r\n.\r\n"},
		{"header by CR", "Subject: a\rBcc: x\r\n\r\nhi\r\n", "Subject: a Bcc: x\r\n\r\nhi\r\n.\r\n"},
		{"body by LF", "Subject: a\n\nhi\r\nTo: y\r\n\r\nhi\r\n", "Subject: a  hi\r\nTo: y\r\n\r\nhi\r\n.\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(stuff(nil, normalise([]byte(tt.in))))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// nasty draws messages made of what breaks mail software.
func nasty() *rapid.Generator[[]byte] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"\r", "\n", "\r\n", ".", "\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n\r\n", "..", "\x00", "QUIT\r\n",
			"MAIL FROM:<a@b.dk>\r\nRCPT TO:<c@d.dk>\r\nDATA\r\n", "Subject: x", "Bcc: y@z.dk", "æ", "\xff", "=?x?", " ", "\t",
		}),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) []byte {
		return []byte(strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "pieces"), ""))
	})
}

// Whatever goes in, the receiver gets exactly one message with exactly our envelope, the message being the
// normalised one; or, where we refuse it ourselves, none at all.
func TestAnyBytesMakeOneMessage(t *testing.T) {
	rcv := startReceiver(t, &receiver{})
	r := relayTo(t, rcv.addr)
	rapid.Check(t, func(rt *rapid.T) {
		l := testLetter()
		l.Data = nasty().Draw(rt, "data")
		l.From = rapid.SampledFrom([]string{"", "b=tok@sender.test", "ø@sender.test"}).Draw(rt, "from")
		before := len(rcv.messages())
		v := deliver(t, r, l)
		got := rcv.messages()[before:]
		if v.State == Refused && v.Code == 0 {
			if len(got) != 0 {
				rt.Fatalf("refused by ourselves, yet %d arrived", len(got))
			}
			return
		}
		if v.State != Delivered {
			rt.Fatalf("%s %d %s %s", v.State, v.Code, v.Enhanced, v.Reply)
		}
		want := []message{{From: l.From, To: l.To, Data: string(normalise(l.Data))}}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// A field of a message with CRLF line ends never becomes two, whatever CR or LF is inside it.
func TestNoFieldBecomesTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOf(rapid.SampledFrom([]rune("ab:\r\n ."))).Draw(t, "value")
		for strings.Contains(value+"\r\n", "\r\r\n") || strings.Contains(value, "\r\n") {
			value = strings.TrimSuffix(strings.ReplaceAll(value, "\r\n", "\n"), "\r") // a whole CRLF is a line end by right
		}
		out := normalise([]byte("To: x\r\nSubject: " + value + "\r\nDate: y\r\n\r\nbody\r\n"))
		head, _ := splitHeader(out)
		if n := bytes.Count(head, []byte("\n")); n != 3 {
			t.Fatalf("%d fields in %q", n, head)
		}
	})
}
