package letters_test

import (
	"bytes"
	"crypto/rand"
	"flag"
	"os"
	"testing"

	"github.com/klauspost/compress/s2"

	"kartotek/flows/lang"
	"kartotek/flows/letters"
)

var dictionary = flag.String("dictionary", "", "write the wording of all letters into a new `file` for the store to pack letters with")

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
			b.Write(compose(t, example(purpose, tag)).Raw)
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
