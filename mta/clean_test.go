package mta

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanReply(t *testing.T) {
	tests := []struct{ name, words, recipient, want string }{
		{"plain", "2.1.5 Ok", "a.b@c.dk", "2.1.5 Ok"},
		{"address", "a.b@c.dk: no such user", "a.b@c.dk", "<recipient>: no such user"},
		{"in brackets, other case", "<A.B@C.DK>... unknown", "a.b@c.dk", "<recipient>... unknown"},
		{"inside a word", "RCPT TO:<a.b@c.dk>", "a.b@c.dk", "RCPT TO:<recipient>"},
		{"local part alone", "mailbox a.b is full", "a.b@c.dk", "mailbox <recipient> is full"},
		{"local part within a word", "info about information", "info@c.dk", "<recipient> about information"},
		{"beyond ASCII, other case", "ÆRØ@C.DK?", "ærø@c.dk", "<recipient>?"},
		{"another address", "forwards to x.y+z@other.test, full", "a.b@c.dk", "forwards to <address>, full"},
		{"split by an invisible", "a.\u200bb@c.dk", "a.b@c.dk", "<recipient>"},
		{"lines", "one\r\ntwo\n\n three\t", "a@c.dk", "one two three"},
		{"escape", "\x1b[31mred\x07", "x@c.dk", "[31mred"},
		{"bidi", "user\u202e gnp.exe", "x@c.dk", "user gnp.exe"},
		{"invalid UTF-8", "caf\xe9 \xff", "x@c.dk", "caf"},
		{"no recipient", "fine", "", "fine"},
		{"long", strings.Repeat("å", 300), "x@c.dk", strings.Repeat("å", 250)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cleanReply(tt.words, tt.recipient); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzCleanReply(f *testing.F) {
	f.Add("5.1.1 <marie@example.dk> unknown\r\n\x1b[2J", "marie@example.dk")
	f.Add("a@b@c <recipient>", "recipient@b")
	f.Add("\u202e\xff\x00", "æ@ø.dk")
	f.Fuzz(func(t *testing.T, words, recipient string) {
		if _, err := envelopeAddress(recipient); err != nil {
			recipient = "marie@example.dk"
		}
		got := cleanReply(words, recipient)
		if len(got) > maxReply || !utf8.ValidString(got) {
			t.Fatalf("%d bytes, valid %v: %q", len(got), utf8.ValidString(got), got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		if strings.Contains(strings.ToLower(got), strings.ToLower(recipient)) {
			t.Fatalf("%q holds the address %q", got, recipient)
		}
		if anyAddress.MatchString(got) {
			t.Fatalf("%q holds an address", got)
		}
	})
}
