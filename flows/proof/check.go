package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kartotek/store/ledger"
)

// Trust is what the one who checks brings along.
type Trust struct {
	PublicKey string // the company's, known from elsewhere; "" for none
	Address   string // whom the proof must be about, in canonical form; "" for anybody
}

// Report tells what a file proves. Where something is wrong, Wrong names the
// first thing, and nothing is proven.
type Report struct {
	Wrong     string    `json:"wrong"`
	Address   string    `json:"address"`
	Log       string    `json:"log"`
	Trusted   bool      `json:"key_trusted"` // by the key that was brought along
	SignedAt  time.Time `json:"signed_at"`
	Size      int64     `json:"log_size"`
	Proven    []string  `json:"proven"`
	NotProven []string  `json:"not_proven"`
}

// checker goes through a file; the first thing that is wrong ends it.
type checker struct {
	b      *Bundle
	digest ledger.Digest
	trust  Trust
	key    note.Verifier
	at     ledger.Checkpoint
	r      Report
}

// Check checks a file offline. The error tells only that it can't be read at
// all; everything else is in the report.
func Check(data []byte, trust Trust) Report {
	b, digest, err := Parse(data)
	if err != nil {
		return Report{Wrong: err.Error()}
	}
	c := &checker{b: b, digest: digest, trust: trust, r: Report{Address: b.Address}}
	for _, step := range []func() error{c.checkKey, c.checkCheckpoint, c.checkPerson, c.checkActs, c.checkNumbers, c.checkNotices, c.checkStatement} {
		if err := step(); err != nil {
			c.r.Wrong = err.Error()
			return c.r
		}
	}
	c.conclude()
	return c.r
}

func (c *checker) checkKey() (err error) {
	if c.key, err = ledger.Verifier(c.b.PublicKey); err != nil {
		return errors.New("the public key in the file is none")
	}
	c.r.Log = c.key.Name()
	if c.trust.PublicKey == "" {
		return nil
	}
	given, err := ledger.Verifier(c.trust.PublicKey)
	if err != nil {
		return fmt.Errorf("the key that was given: %w", err)
	}
	if c.trust.PublicKey != c.b.PublicKey {
		return fmt.Errorf("the proof is signed with another key: %s, not %s", c.key.Name(), given.Name())
	}
	c.r.Trusted = true
	return nil
}

func (c *checker) checkCheckpoint() (err error) {
	if c.at, err = ledger.OpenCheckpoint(c.b.Checkpoint, c.key); err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	c.r.SignedAt, c.r.Size = c.at.At, c.at.Size
	return nil
}

func (c *checker) checkPerson() error {
	if c.b.Address == "" {
		return errors.New("the file doesn't say whom it is about")
	}
	if c.trust.Address != "" && c.trust.Address != c.b.Address {
		return errors.New("the proof is about another address than the one that was asked for")
	}
	return nil
}

// what names an act for a message.
func (a *Act) what() string {
	return fmt.Sprintf("act %d of card %d (%s, %s)", a.Record.Number, a.Record.SubscriberID, title(a.Record), clock(a.Record.At))
}

func (c *checker) checkActs() error {
	leaves := map[int64]bool{}
	for i := range c.b.Acts {
		a := &c.b.Acts[i]
		switch {
		case a.Record.Type != "evidence":
			return fmt.Errorf("%s is no act of consent", a.what())
		case a.Record.Address != c.b.Address:
			return fmt.Errorf("%s is an act of another address than the one that the file is about", a.what())
		case !slices.ContainsFunc(c.b.Cards, func(card Card) bool { return card.SubscriberID == a.Record.SubscriberID }):
			return fmt.Errorf("%s is of a card that the file doesn't name", a.what())
		case leaves[a.Leaf]:
			return fmt.Errorf("%s stands at the same place of the log as another act: it was added", a.what())
		}
		leaves[a.Leaf] = true
		if _, err := time.Parse(ledger.TimeForm, a.Record.At); err != nil {
			return fmt.Errorf("%s has no time", a.what())
		}
		if err := c.included(a); err != nil {
			return err
		}
	}
	return nil
}

// included tells whether the log holds an act as it stands in the file.
func (c *checker) included(a *Act) error {
	salt, err := hash32(a.Salt)
	if err != nil {
		return fmt.Errorf("the salt of %s is damaged", a.what())
	}
	sealed, err := hash32(a.Sealed)
	if err != nil {
		return fmt.Errorf("the sealed digest of %s is damaged", a.what())
	}
	path := make(tlog.RecordProof, len(a.Path))
	for i, h := range a.Path {
		if path[i], err = tlog.ParseHash(h); err != nil {
			return fmt.Errorf("the path of %s is damaged", a.what())
		}
	}
	if a.Leaf < 0 || a.Leaf >= c.at.Size {
		return fmt.Errorf("%s stands at entry %d, and the checkpoint is of %d entries: it is of a smaller tree", a.what(), a.Leaf, c.at.Size)
	}
	leaf := ledger.Evidence(ledger.Commit(salt, a.canonical), sealed)
	if err := tlog.CheckRecord(path, c.at.Size, c.at.Root, a.Leaf, ledger.Hash(leaf)); err != nil {
		return fmt.Errorf("%s is not in the log that the checkpoint is of: something in it was changed or added, or the checkpoint is of another tree", a.what())
	}
	return nil
}

func hash32(s string) (out [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(out) {
		return out, errors.New("not 32 bytes in hex")
	}
	return [32]byte(b), nil
}

// checkNumbers tells whether an act was left out: the acts of a card are
// numbered from 1, and an erasure says which of them keep their evidence.
func (c *checker) checkNumbers() error {
	for _, card := range c.b.Cards {
		there := map[int64]*Act{}
		var last int64
		var erasure *Act
		for i := range c.b.Acts {
			a := &c.b.Acts[i]
			n := a.Record.Number
			if a.Record.SubscriberID != card.SubscriberID {
				continue
			}
			if n < 1 || there[n] != nil {
				return fmt.Errorf("%s has the number of another act: one of them was added", a.what())
			}
			there[n] = a
			if last = max(last, n); a.Record.Act == "erase" {
				erasure = a
			}
		}
		for n := int64(1); n <= last; n++ {
			if there[n] != nil {
				continue
			}
			if erasure == nil || n > erasure.Record.Number || slices.Contains(erasure.Record.Kept, n) {
				return fmt.Errorf("act %d of card %d is missing: it was left out", n, card.SubscriberID)
			}
		}
	}
	return nil
}

func (c *checker) checkNotices() error {
	texts := map[string]bool{}
	for i, n := range c.b.Notices {
		sum := sha256.Sum256([]byte(n.Text))
		if hex.EncodeToString(sum[:]) != n.SHA256 {
			return fmt.Errorf("the text of notice %d is not the one that was shown: it was replaced", i+1)
		}
		texts[n.SHA256] = true
	}
	for i := range c.b.Acts {
		a := &c.b.Acts[i]
		if id := a.Record.NoticeSHA256; id != "" && !texts[id] {
			return fmt.Errorf("the notice of %s is missing", a.what())
		}
	}
	return nil
}

func (c *checker) checkStatement() error {
	signed, same := ledger.CheckStatement(c.b.Statement, c.digest, c.key)
	switch {
	case !signed:
		return errors.New("the statement that this is all is not signed by the log's key")
	case !same:
		return errors.New("the file was changed after it was signed as all there is: something was left out, added or replaced")
	}
	return nil
}

// conclude says what the file proves, and what it can't.
func (c *checker) conclude() {
	for i := range c.b.Acts {
		a := &c.b.Acts[i]
		line := fmt.Sprintf("%s  %s, card %d, entry %d of the log", clock(a.Record.At), title(a.Record), a.Record.SubscriberID, a.Leaf)
		c.r.Proven = append(c.r.Proven, line)
		if a.Record.Act == "erase" {
			c.erased(a)
		}
	}
	if len(c.b.Acts) > 0 {
		c.r.Proven = append(c.r.Proven, fmt.Sprintf("that these acts were recorded as they stand here when the log was signed, %s, and not changed since", c.at.At.Format(clockForm)))
	}
	if !c.r.Trusted {
		c.r.NotProven = append(c.r.NotProven, "whose log this is: compare its public key with the one that the company has made known, and give that with --key")
	}
	for _, card := range c.b.Cards {
		if card.EvidenceRemoved {
			c.r.NotProven = append(c.r.NotProven, fmt.Sprintf("anything of card %d: it was erased, and its evidence had its time and was removed", card.SubscriberID))
		}
	}
	c.r.NotProven = append(c.r.NotProven,
		"that what was recorded is true: that its clock was right, and that an IP address was the person's; the log proves that the record was not changed afterwards",
		"that nothing was recorded after the last act of each card; the company has signed that the file is all it holds",
	)
}

// erased names the acts that lost their evidence.
func (c *checker) erased(erasure *Act) {
	for n := int64(1); n < erasure.Record.Number; n++ {
		if !slices.Contains(erasure.Record.Kept, n) {
			c.r.NotProven = append(c.r.NotProven, fmt.Sprintf("what act %d of card %d was: its evidence went with the erasure", n, erasure.Record.SubscriberID))
		}
	}
}
