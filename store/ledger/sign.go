package ledger

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Key signs a log. Its name is the log's own, so that two logs never pass for
// one another.
type Key struct {
	signer note.Signer
	public string
	mac    []byte
}

// NewKey makes a secret key (Ed25519) as text, for ParseKey.
func NewKey() (string, error) {
	name := make([]byte, 8)
	rand.Read(name)
	secret, _, err := note.GenerateKey(rand.Reader, "kartotek-"+hex.EncodeToString(name))
	if err != nil {
		return "", fmt.Errorf("making the log's key: %w", err)
	}
	return secret, nil
}

// ParseKey reads a secret key.
func ParseKey(secret string) (*Key, error) {
	bad := errors.New("the key file's key of the log is damaged: restore your copy of the key file")
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, bad
	}
	parts := strings.Split(secret, "+")
	seed, err := base64.StdEncoding.DecodeString(strings.Join(parts[4:], "+"))
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return nil, bad
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return nil, bad
	}
	k := &Key{signer: signer}
	if k.public, err = note.NewEd25519VerifierKey(signer.Name(), public); err != nil {
		return nil, bad
	}
	k.mac, err = hkdf.Key(sha256.New, seed[1:], nil, "kartotek log mac 1", 32)
	return k, err
}

// Public is the key that checks what this one signs: name, hash and key
// with a plus sign between them.
func (k *Key) Public() string { return k.public }

// Name is the log's name.
func (k *Key) Name() string { return k.signer.Name() }

// MACSize is the length of a MAC.
const MACSize = 16

// MAC tells rows that this program wrote from others: only who has the key
// file can make one. The word says what kind of row it is.
func (k *Key) MAC(word string, data []byte, numbers ...int64) []byte {
	h := hmac.New(sha256.New, k.mac)
	h.Write([]byte(word + "\x00"))
	for _, n := range numbers {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	h.Write(data)
	return h.Sum(nil)[:MACSize]
}

// Checkpoint is a signed word on the whole log: so many leaves, this hash, at
// that time.
type Checkpoint struct {
	Size int64
	Root tlog.Hash
	At   time.Time
	Note string // as it was signed
}

// ErrCheckpoint: a text is no checkpoint of this log, or its signature is wrong.
var ErrCheckpoint = errors.New("no checkpoint of this log")

// Sign makes a checkpoint: a signed note (C2SP tlog-checkpoint) with the time
// as its one extension line.
func (k *Key) Sign(size int64, root tlog.Hash, at time.Time) (Checkpoint, error) {
	at = at.UTC().Truncate(time.Microsecond)
	text := k.Name() + "\n" + strconv.FormatInt(size, 10) + "\n" + root.String() + "\n" + at.Format(TimeForm) + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, k.signer)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signing a checkpoint: %w", err)
	}
	return Checkpoint{size, root, at, string(signed)}, nil
}

// TimeForm is how times are written in records and checkpoints: UTC, to the microsecond.
const TimeForm = "2006-01-02T15:04:05.000000Z"

// FormTime writes a time in that form, for which time has no fast way: an import
// writes two for each person.
func FormTime(at time.Time) string {
	at = at.UTC()
	var room [len(TimeForm) + 8]byte
	b := at.AppendFormat(room[:0], time.RFC3339)
	b[len(b)-1] = '.' // for the Z
	for by, left := 100_000, at.Nanosecond()/1000; by > 0; by /= 10 {
		b = append(b, byte('0'+left/by%10))
	}
	return string(append(b, 'Z'))
}

// Verifier reads a public key.
func Verifier(public string) (note.Verifier, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, errors.New("that is no public key of a log: it looks like kartotek-…+…+…")
	}
	return v, nil
}

// OpenCheckpoint checks a checkpoint's signature and reads it.
func OpenCheckpoint(signed string, v note.Verifier) (Checkpoint, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: its signature is not by the key %s", ErrCheckpoint, v.Name())
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 5 || lines[0] != v.Name() {
		return Checkpoint{}, fmt.Errorf("%w: it is another kind of note", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("%w: its size is no number", ErrCheckpoint)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: its hash is none", ErrCheckpoint)
	}
	at, err := time.Parse(TimeForm, lines[3])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: its time is none", ErrCheckpoint)
	}
	return Checkpoint{size, root, at, signed}, nil
}

const statementWord = "kartotek statement 1"

// State signs the digest of a text that is not in the log.
func (k *Key) State(digest Digest) (string, error) {
	signed, err := note.Sign(&note.Note{Text: statementWord + "\n" + hex.EncodeToString(digest[:]) + "\n"}, k.signer)
	if err != nil {
		return "", fmt.Errorf("signing a statement: %w", err)
	}
	return string(signed), nil
}

// CheckStatement tells whether a statement is signed, and of that digest.
func CheckStatement(signed string, digest Digest, v note.Verifier) (isSigned, matches bool) {
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return false, false
	}
	return true, n.Text == statementWord+"\n"+hex.EncodeToString(digest[:])+"\n"
}

// SplitNotes takes apart the notes of a text; see EachNote.
func SplitNotes(data []byte) (notes []string, bad int) {
	bad, _ = EachNote(bytes.NewReader(data), func(note string) error { // neither fails
		notes = append(notes, note)
		return nil
	})
	return notes, bad
}

const (
	// longestPiece is how much of a file is looked through for the end of a note.
	longestPiece = 1 << 20
	// longestNote is what is kept of more than that.
	longestNote = 4096
)

// EachNote reads the notes of a file, which stand in it one after the other with
// an empty line after each; two more stand after one whose writing was cut off.
// bad counts those. However long the file is, little of it is in memory.
func EachNote(r io.Reader, take func(note string) error) (bad int, err error) {
	pieces := bufio.NewScanner(r)
	pieces.Buffer(nil, longestPiece+longestNote)
	pieces.Split(func(data []byte, atEnd bool) (int, []byte, error) {
		switch end := endOfNote(data); {
		case end >= 0:
			return end, data[:end], nil
		case atEnd && len(data) > 0:
			return len(data), data, nil
		case len(data) >= longestPiece: // rubbish: a note may begin at its end
			return len(data) - longestNote, nil, nil
		}
		return 0, nil, nil
	})
	for pieces.Scan() {
		if endOfNote(pieces.Bytes()) < 0 { // nothing but the file's end
			if len(bytes.TrimSpace(pieces.Bytes())) > 0 {
				bad++
			}
			continue
		}
		piece := strings.TrimLeft(pieces.Text(), "\n")
		if i := strings.LastIndex(piece, "\n\n\n"); i >= 0 { // a piece that was cut off stands before it
			piece = piece[i+3:]
			bad++
		}
		if !whole(piece) {
			bad++
			continue
		}
		if err := take(piece); err != nil {
			return bad, err
		}
	}
	return bad, pieces.Err()
}

// whole tells whether a note ends with a signature of full length.
func whole(note string) bool {
	line := strings.TrimSuffix(note[strings.LastIndex(note, "\n\u2014 ")+1:], "\n")
	signature, err := base64.StdEncoding.DecodeString(line[strings.LastIndexByte(line, ' ')+1:])
	return err == nil && len(signature) == 4+ed25519.SignatureSize
}

// endOfNote is where the first note of data ends; -1 when none does.
func endOfNote(data []byte) int {
	at := bytes.Index(data, []byte("\n\n\u2014 "))
	if at < 0 {
		return -1
	}
	end := bytes.IndexByte(data[at+2:], '\n')
	if end < 0 {
		return -1
	}
	return at + 2 + end + 1
}
