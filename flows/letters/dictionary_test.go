package letters_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/klauspost/compress/s2"

	"kartotek/flows/lang"
	"kartotek/flows/letters"
)

var dictionary = flag.String("dictionary", "", "write the wording of all letters into a new `file` for the store to pack letters with")

// conversations are how servers greet, refuse and take a letter, as it is kept.
var conversations = []string{
	"< 220 ESMTP Postfix", "> EHLO ", "< 250-PIPELINING", "< 250-SIZE 10240000", "< 250-VRFY", "< 250-ETRN", "< 250-STARTTLS", "> STARTTLS",
	"< 220 2.0.0 Ready to start TLS", "< 250-AUTH PLAIN LOGIN", "< 250-ENHANCEDSTATUSCODES", "< 250-8BITMIME", "< 250-DSN", "< 250-SMTPUTF8", "< 250 CHUNKING",
	"> MAIL FROM:<sender> SIZE=4211 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=1", "> RCPT TO:<recipient> NOTIFY=FAILURE",
	"< 451 4.7.1 Greylisting in action, please come back later", "< 452 4.2.2 The mailbox is full", "< 421 4.7.0 Try again later, closing connection",
	"< 550 5.1.1 <recipient>: Recipient address rejected: User unknown in virtual mailbox table", "< 554 5.7.1 Message rejected as spam",
	"> MAIL FROM:<sender> SIZE=4211", "> RCPT TO:<recipient>", "> DATA", "< 250 OK", "< 250 Accepted", `< 354 Enter message, ending with "." on a line by itself`,
	"> (4211 bytes)", "< 250 OK id=",
	"> MAIL FROM:<sender> SIZE=4211", "> RCPT TO:<recipient>", "> DATA", "< 250 2.1.0 Ok", "< 250 2.1.5 Ok", "< 354 End data with <CR><LF>.<CR><LF>",
	"> (4211 bytes)", "< 250 2.0.0 Ok: queued as ",
}

// TestDictionary looks whether what the store packs letters with still has their wording. Where it hasn't, run it with
// -dictionary store/words2.dict, and let the store pack with that from then on.
func TestDictionary(t *testing.T) {
	if *dictionary != "" {
		writeDictionary(t, *dictionary)
	}
	words, err := os.ReadFile("../../store/words1.dict")
	if err != nil {
		t.Fatal(err)
	}
	d := s2.MakeDict(words, nil)
	for _, tag := range lang.All() {
		for _, purpose := range purposes {
			c := example(purpose, tag)
			c.From.Name, c.List, c.ListID, c.To = "Plantagen AG", "Gartenbrief", "garten.lists.mail.plantagen.example", "jens@example.net"
			c.ConfirmURL, c.CancelURL = "https://mail.plantagen.example/confirm/"+rand.Text(), "https://mail.plantagen.example/unsubscribe/"+rand.Text()
			c.Notice = letters.DefaultNotice(tag, c.List, c.From.Name)
			letter := compose(t, c).Raw
			if packed := d.Encode(nil, letter); 3*len(packed) > len(letter) {
				t.Errorf("%s in %s: %d bytes of %d are left", purpose, tag, len(packed), len(letter))
			}
		}
	}
}

func writeDictionary(t *testing.T, path string) {
	t.Helper()
	var b bytes.Buffer
	for _, tag := range lang.All() {
		for _, purpose := range purposes {
			b.WriteString(`{"from":"news@nordlys.example","to":"marie.jensen@example.dk","message_id":"01hq3v9k2m.confirm@nordlys.example"}`)
			b.Write(compose(t, example(purpose, tag)).Raw)
		}
	}
	talk, err := json.Marshal(conversations)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(talk)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
