// Package proof is the file that convinces a stranger: what it holds, how it
// is checked with nothing but itself and a public key, and how it reads. It
// knows no store and no network. docs/proof.md describes the file for others.
//
// Start reading at Check (check.go).
package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"kartotek/store/ledger"
)

// Format is the first field of every file.
const Format = "kartotek proof 1"

// Bundle is a proof of what is recorded of one address. Times are RFC 3339 in UTC.
type Bundle struct {
	Format     string   `json:"format"`
	MadeAt     string   `json:"made_at"`
	Controller string   `json:"controller"` // the company, as it names itself
	Address    string   `json:"address"`
	Cards      []Card   `json:"cards"`
	Acts       []Act    `json:"acts"`
	Notices    []Notice `json:"notices"`
	PublicKey  string   `json:"public_key"` // of the log
	Checkpoint string   `json:"checkpoint"` // signed note
	Statement  string   `json:"statement"`  // signed note over all other fields
}

// Card is how things stand with a contact of the address now; the company states it.
type Card struct {
	SubscriberID int64  `json:"subscriber_id"`
	Permission   string `json:"permission"`
	Frozen       bool   `json:"frozen,omitempty"`
	DeletedAt    string `json:"deleted_at,omitempty"`
	WithdrawnAt  string `json:"withdrawn_at,omitempty"`
	// EvidenceRemoved: the evidence had its time, and only the suppression is left.
	EvidenceRemoved bool `json:"evidence_removed,omitempty"`
}

// Act is one act, opened: its record, the salt that the log's commitment is
// made with, and where in the log it stands.
type Act struct {
	Record Record   `json:"record"`
	Salt   string   `json:"salt"`          // hex, 32 bytes
	Sealed string   `json:"sealed_sha256"` // hex: of the row as it lies sealed in the company's database
	Leaf   int64    `json:"leaf"`          // its number in the log, from 0
	Path   []string `json:"path"`          // inclusion proof: base64 hashes, from the leaf up

	canonical []byte
}

// Record is an act's record. What is not known is left out.
type Record struct {
	Act          string  `json:"act"`
	Address      string  `json:"address"`
	At           string  `json:"at"`
	By           string  `json:"by,omitempty"`
	HandedOverAt string  `json:"handed_over_at,omitempty"`
	IP           string  `json:"ip,omitempty"`
	Kept         []int64 `json:"kept,omitempty"`
	List         string  `json:"list,omitempty"`
	MailSHA256   string  `json:"mail_sha256,omitempty"`
	MessageID    string  `json:"message_id,omitempty"`
	Note         string  `json:"note,omitempty"`
	NoticeSHA256 string  `json:"notice_sha256,omitempty"`
	Number       int64   `json:"number"`
	Server       string  `json:"server,omitempty"`
	ServerReply  string  `json:"server_reply,omitempty"`
	SubscriberID int64   `json:"subscriber_id"`
	Type         string  `json:"type"`
	UserAgent    string  `json:"user_agent,omitempty"`
}

// Notice is a consent text that acts name by its SHA-256.
type Notice struct {
	SHA256 string `json:"sha256"`
	Text   string `json:"text"`
}

// MaxSize is how large a file can be that is read, in bytes.
const MaxSize = 64 << 20

// Parse reads a file, and refuses one that two readers could read differently.
func Parse(data []byte) (*Bundle, ledger.Digest, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
		return nil, ledger.Digest{}, errors.New("this page is for reading: check the .json file of the same proof")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := strict(dec, 0)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, ledger.Digest{}, errors.New("the file is cut off, or it is no proof")
	}
	if err != nil {
		return nil, ledger.Digest{}, fmt.Errorf("the file is damaged, or it is no proof: %w", err)
	}
	if len(bytes.TrimSpace(data[dec.InputOffset():])) > 0 {
		return nil, ledger.Digest{}, errors.New("the file goes on after its end: something was added to it")
	}
	fields, ok := v.(map[string]any)
	if !ok || fields["format"] != Format {
		return nil, ledger.Digest{}, fmt.Errorf("the file is no proof of the form %q", Format)
	}
	var b Bundle
	into := json.NewDecoder(bytes.NewReader(data))
	into.DisallowUnknownFields()
	if err := into.Decode(&b); err != nil {
		return nil, ledger.Digest{}, fmt.Errorf("the file is not as docs/proof.md describes it: %w", err)
	}
	if err := b.canonise(fields); err != nil {
		return nil, ledger.Digest{}, err
	}
	delete(fields, "statement")
	text, err := ledger.Canonical(fields)
	if err != nil {
		return nil, ledger.Digest{}, fmt.Errorf("the file is not as docs/proof.md describes it: %w", err)
	}
	return &b, sha256.Sum256(text), nil
}

// canonise keeps each record in its canonical form, as it was committed to.
func (b *Bundle) canonise(fields map[string]any) error {
	acts, _ := fields["acts"].([]any)
	for i := range b.Acts {
		act, _ := acts[i].(map[string]any)
		text, err := ledger.Canonical(act["record"])
		if err != nil {
			return fmt.Errorf("the record of act %d is not as docs/proof.md describes it: %w", i+1, err)
		}
		b.Acts[i].canonical = text
	}
	return nil
}

var (
	errTwice = errors.New("a name stands twice in an object")
	errName  = errors.New("names are of small letters, digits and underscores")
)

// deepest is how far values lie in one another in a proof, and some more.
const deepest = 8

// strict decodes a value; a name that stands twice in an object is an error.
func strict(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	switch {
	case !ok:
		return t, nil
	case depth == deepest:
		return nil, errors.New("values lie too deep in one another")
	case delim == '[':
		list := []any{}
		for dec.More() {
			v, err := strict(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	object := map[string]any{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string)
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
			return nil, errName // encoding/json would take Acts for acts
		}
		if _, twice := object[key]; twice {
			return nil, errTwice
		}
		if object[key], err = strict(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token()
	return object, err
}

// Write writes the file, and signs that it is all there is.
func (b *Bundle) Write(w io.Writer, key *ledger.Key) error {
	b.Statement = ""
	text, err := b.indented()
	if err != nil {
		return err
	}
	_, digest, err := Parse(text)
	if err != nil {
		return fmt.Errorf("writing a proof: %w", err)
	}
	if b.Statement, err = key.State(digest); err != nil {
		return err
	}
	if text, err = b.indented(); err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func (b *Bundle) indented() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("writing a proof: %w", err)
	}
	return out.Bytes(), nil
}

// SetRecord takes an act's canonical record.
func (a *Act) SetRecord(canonical []byte) error {
	if err := json.Unmarshal(canonical, &a.Record); err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	a.canonical = canonical
	return nil
}
