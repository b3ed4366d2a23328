package flows

import (
	"strings"
	"testing"
	"time"

	"kartotek/mta"
)

// TestServersOfTheRecipientAreHidden: neither the server's name nor its words
// tell the domain that the mask hides, in either of its forms; a server of
// somebody else's is named.
func TestServersOfTheRecipientAreHidden(t *testing.T) {
	for _, c := range []struct{ to, host, want string }{
		{"a@example.dk", "example.dk", "<domain>"},
		{"a@example.dk", "Example.DK.", "<domain>"},
		{"a@example.dk", "mx1.mail.example.dk", "mx1.mail.<domain>"},
		{"a@example.dk", "badexample.dk", "badexample.dk"},
		{"a@example.dk", "mx.mailhost.net", "mx.mailhost.net"},
		{"a@xn--mller-kva.dk", "xn--mller-kva.dk", "<domain>"},
		{"a@xn--mller-kva.dk", "mx.müller.dk", "mx.<domain>"},
		{"a@xn--mller-kva.dk", "MX.MÜLLER.dk", "mx.<domain>"},
		{"", "mx.mailhost.net", "mx.mailhost.net"},
	} {
		if got := hostWithout(c.to, c.host); got != c.want {
			t.Errorf("%s for %s: %s, want %s", c.host, c.to, got, c.want)
		}
	}
	hide := withoutDomain("a@xn--mller-kva.dk")
	for _, words := range []string{"550 no such user at XN--MLLER-KVA.dk", "550 müller.dk takes no mail", "<x@MÜLLER.DK> unknown"} {
		if got := hide(words); !strings.Contains(got, "<domain>") || strings.Contains(strings.ToLower(got), "ller") {
			t.Errorf("%q becomes %q", words, got)
		}
	}

	d := newDesk(t)
	d.signUp("marie@müller.dk", "news")
	sp := d.Spool()
	got, err := sp.Claim(t.Context(), "me", 1, 0, time.Minute)
	d.must(err)
	d.must(sp.Mark(t.Context(), got[0], mta.Verdict{
		State: mta.Delivered, Code: 250, Reply: "müller.dk took it", Host: "mail.xn--mller-kva.dk", At: d.time,
		Transcript: []string{"220 mail.xn--mller-kva.dk", "250 müller.dk"},
	}))
	story, err := d.Story(t.Context(), anna, got[0].ID)
	d.must(err)
	for _, a := range story.Tries {
		all := a.Host + a.Reply + strings.Join(a.Talk, " ")
		if strings.Contains(all, "ller") || a.Host != "mail.<domain>" {
			t.Errorf("the outbox tells %+v", a)
		}
	}
	// The proof, made for who knows the address, names it.
	b, err := d.Prove(t.Context(), anna, "marie@müller.dk", nil)
	d.must(err)
	named := false
	for _, act := range b.Acts {
		named = named || act.Record.Server == "mail.xn--mller-kva.dk"
	}
	if !named {
		t.Error("the proof does not name the server")
	}
}
