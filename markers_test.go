package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/serdes"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum"
)

// planted is a person all of whose data can be told from anything else.
const planted = "email,mobile,first_name,last_name,city,source,signed_up_at,signed_up_ip,confirmed_at,confirmed_ip,customer\n" +
	"zebedee.quartz@planted.example,+4526137788,Zebedeeplanted,Quartzplanted,Plantedby,Webform,2026-02-03,198.51.100.77,2026-02-04,2001:db8:feed::77,PLANTED-4711\n"

// plantedTexts are what must be found nowhere after an erasure; the masked
// forms stand among them.
var plantedTexts = []string{
	"zebedee.quartz", "planted.example", "4526137788", "Zebedeeplanted", "Quartzplanted", "Plantedby",
	"198.51.100.77", "2001:db8:feed::77", "PLANTED-4711", "ze*****.******@", "+4526****88",
}

// raw opens the store's file as SQLite sees it, decrypted.
func (m *machine) raw() *sqlite3.Conn {
	m.t.Helper()
	must := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	var keys struct{ Peppers []string }
	data, err := os.ReadFile(m.path("config", "kartotek", "keys.json"))
	must(err)
	must(json.Unmarshal(data, &keys))
	pepper, err := hex.DecodeString(keys.Peppers[0])
	must(err)
	key, err := hkdf.Key(sha256.New, pepper, nil, "kartotek database file", 32)
	must(err)
	db, err := sqlite3.Open("file:" + m.path("data", "kartotek", "kartotek.db") + "?vfs=adiantum")
	must(err)
	must(db.Exec("PRAGMA hexkey='" + hex.EncodeToString(key) + "'"))
	m.t.Cleanup(func() { must(db.Close()) })
	return db
}

// secrets are the sealed values and keyed hashes that the store holds now.
func (m *machine) secrets() map[string]bool {
	m.t.Helper()
	st, _, err := m.raw().Prepare(`SELECT sealed FROM contacts WHERE sealed IS NOT NULL UNION SELECT mobile_key FROM contacts WHERE mobile_key IS NOT NULL
 UNION SELECT sealed FROM evidence UNION SELECT sealed FROM tokens UNION SELECT token_hash FROM tokens UNION SELECT sealed FROM bodies UNION SELECT sealed FROM mailbox`)
	if err != nil {
		m.t.Fatal(err)
	}
	defer st.Close()
	out := map[string]bool{}
	for st.Step() {
		out[string(st.ColumnRawBlob(0))] = true
	}
	if err := st.Err(); err != nil {
		m.t.Fatal(err)
	}
	return out
}

// pages are all pages of the database, free ones included, decrypted.
func (m *machine) pages() []byte {
	m.t.Helper()
	all, err := serdes.Serialize(m.raw(), "main")
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// files are the bytes of every file that the program has written.
func (m *machine) files() map[string][]byte {
	m.t.Helper()
	out := map[string][]byte{}
	for _, dir := range []string{"data", "config", "tmp"} {
		err := filepath.WalkDir(m.path(dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			out[path], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			m.t.Fatal(err)
		}
	}
	return out
}

// TestNothingOfAnErasedPersonIsLeft plants what can be told from anything
// else, lets it pass through everything that writes, and erases the person.
func TestNothingOfAnErasedPersonIsLeft(t *testing.T) {
	m := newMachine(t)
	m.write("people.csv", planted)
	m.write("others.csv", people)
	m.run(0, "import", "others.csv", "--list", "News", "--confirmed")
	others := m.secrets()
	m.run(0, "import", "people.csv", "--list", "News", "--pending") // a letter, links, a captured mail
	secrets := m.secrets()
	m.run(0, "mailbox")
	m.run(0, "import", "people.csv", "--list", "Shop", "--confirmed")
	m.run(0, "unsubscribe", "zebedee.quartz@planted.example", "--list", "News")
	for _, format := range []string{"json", "csv", "xlsx"} {
		m.run(0, "export", "zebedee.quartz@planted.example", "--format", format)
	}
	for s := range m.secrets() {
		secrets[s] = true
	}

	// The search finds them while they are there, or it proves nothing.
	pages := m.pages()
	for _, masked := range plantedTexts[len(plantedTexts)-2:] {
		if !bytes.Contains(pages, []byte(masked)) {
			t.Errorf("before the erasure the pages should hold %q", masked)
		}
	}
	exported := false
	for _, content := range m.files() {
		exported = exported || bytes.Contains(content, []byte("Zebedeeplanted"))
	}
	if !exported {
		t.Error("before the erasure an export should hold the name")
	}

	m.run(0, "erase", "zebedee.quartz@planted.example", "--reason", "asked for it")
	kept := m.secrets()
	pages = m.pages()
	gone := 0
	for s := range secrets {
		if kept[s] {
			continue
		}
		if gone++; bytes.Contains(pages, []byte(s)) {
			t.Errorf("a sealed value of %d bytes is still in the pages", len(s))
		}
	}
	// contact, number, two tokens with their hashes, letter, mail, and evidence beyond the three acts
	if gone < 8 || len(kept) != len(others)+3 {
		t.Errorf("%d secrets went and %d stayed beside the %d of others", gone, len(kept)-len(others), len(others))
	}
	for _, text := range plantedTexts {
		if bytes.Contains(pages, []byte(text)) {
			t.Errorf("%q is still in the pages", text)
		}
		for path, content := range m.files() {
			if bytes.Contains(content, []byte(text)) {
				t.Errorf("%q is still in %s", text, filepath.Base(path))
			}
		}
	}
	for path := range m.files() {
		if filepath.Base(filepath.Dir(path)) == "exports" {
			t.Errorf("%s is left", filepath.Base(path))
		}
	}
}
