package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Salt makes a commitment say nothing to whoever doesn't hold it: 32 random bytes.
type Salt [32]byte

// NewSalt makes one.
func NewSalt() (s Salt) {
	rand.Read(s[:])
	return s
}

// Digest is a SHA-256.
type Digest [32]byte

// The words that keep hashes of one use apart from those of any other; each
// names the version of its form.
const (
	commitWord = "kartotek commitment 1\n"
	sealedWord = "kartotek sealed 1\n"
)

// Commit is the commitment to an act: SHA-256 over a word, the salt and the
// canonical record. It binds whoever published it, and tells nothing.
func Commit(s Salt, record []byte) Digest {
	var room [1024]byte // of most, enough
	return sha256.Sum256(append(append(append(room[:0], commitWord...), s[:]...), record...))
}

// Sealed is the digest of an act as it lies sealed in its row, so that a row
// can be checked by somebody who can't open it.
func Sealed(subscriberID, number, kind, at int64, sealed []byte) Digest {
	var room [512]byte
	b := append(room[:0], sealedWord...)
	for _, v := range [...]int64{subscriberID, number, kind, at} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return sha256.Sum256(append(b, sealed...))
}

// The kinds of leaves: their first byte, which is also the version of their form.
const (
	KindEvidence = 1
	KindAudit    = 2
	KindSetback  = 3
)

// EvidenceSize is the size of a leaf of evidence.
const EvidenceSize = 1 + 32 + 32

const (
	auditSize   = 1 + 8 + 32
	setbackSize = 1 + 8 + 8 + 32 + 8 + 32 + 8
)

// Evidence is the leaf of an act of consent or its withdrawal, 65 bytes: the
// kind, the commitment, and the digest of the sealed row.
func Evidence(commitment, sealed Digest) []byte {
	b := make([]byte, 0, EvidenceSize)
	return append(append(append(b, KindEvidence), commitment[:]...), sealed[:]...)
}

// Audit is the leaf of a row of the audit, 41 bytes: the kind, the row's
// number, which names nobody, and the commitment.
func Audit(number int64, commitment Digest) []byte {
	b := append(make([]byte, 0, auditSize), KindAudit)
	return append(binary.BigEndian.AppendUint64(b, uint64(number)), commitment[:]...)
}

// Setback is the word of an owner that the log was set back, as it is when a
// backup is restored: which entries of it are lost.
type Setback struct {
	Audit  int64     // the row of the audit that says who did so, when and why
	Kept   int64     // so many entries stayed
	Root   tlog.Hash // of the tree that they make
	Lost   int64     // the log had so many
	LostTo tlog.Hash // root of the tree that those made
	At     time.Time // when that was signed, to the microsecond
}

// Leaf is the setback's leaf, 97 bytes: the kind, and its fields in their
// order, numbers and time (microseconds since 1970) as 64 bits.
func (s Setback) Leaf() []byte {
	b := append(make([]byte, 0, setbackSize), KindSetback)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Audit))
	b = append(binary.BigEndian.AppendUint64(b, uint64(s.Kept)), s.Root[:]...)
	b = append(binary.BigEndian.AppendUint64(b, uint64(s.Lost)), s.LostTo[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(s.At.UnixMicro()))
}

// SetbackOf reads the leaf of a setback; false when it is of something else.
func SetbackOf(leaf []byte) (s Setback, ok bool) {
	if len(leaf) != setbackSize || leaf[0] != KindSetback {
		return s, false
	}
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64(leaf[at:])) }
	s = Setback{Audit: number(1), Kept: number(9), Root: tlog.Hash(leaf[17:49]), Lost: number(49), LostTo: tlog.Hash(leaf[57:89]), At: time.UnixMicro(number(89)).UTC()}
	return s, true
}

// ErrLeaves: a batch of leaves is none.
var ErrLeaves = errors.New("a batch of the log is damaged")

// Leaves takes the leaves of a batch apart, which stand in it one after the other.
func Leaves(batch []byte) ([][]byte, error) {
	out := make([][]byte, 0, len(batch)/auditSize+1)
	for len(batch) > 0 {
		size := auditSize
		switch batch[0] {
		case KindEvidence:
			size = EvidenceSize
		case KindAudit:
		case KindSetback:
			size = setbackSize
		default:
			return nil, ErrLeaves
		}
		if len(batch) < size {
			return nil, ErrLeaves
		}
		out = append(out, batch[:size:size])
		batch = batch[size:]
	}
	return out, nil
}

// AuditNumber is the number of the audit row that a leaf is of; 0 when it is
// of something else.
func AuditNumber(leaf []byte) int64 {
	if len(leaf) != auditSize || leaf[0] != KindAudit {
		return 0
	}
	return int64(binary.BigEndian.Uint64(leaf[1:]))
}

// SealedOf is the digest of the sealed row in a leaf of evidence.
func SealedOf(leaf []byte) []byte { return leaf[1+32:] }

// Hash is a leaf's place in the tree (RFC 9162 section 2.1.1).
func Hash(leaf []byte) tlog.Hash { return tlog.RecordHash(leaf) }
