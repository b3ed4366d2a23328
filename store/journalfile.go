package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// journalFile is a machine's erasure journal: a file outside the database, of
// records of one length, only ever added to. Each record carries a keyed hash
// over itself and the one before it, so that a record that was changed, or is
// missing in the middle, shows; that the end is missing shows by what the
// store remembers (see journal.go).
type journalFile struct {
	path string
	id   journalID
	mac  func([]byte) []byte
	turn chan struct{} // one at a time in this process; the lock file is for others

	known journalState // as of size
	size  int64        // of the file: what follows the last record is room for more
}

type journalID [16]byte

// journalState is how far a journal goes.
type journalState struct {
	N     int64    // the last record's number; 0 when there is none
	Chain [32]byte // its hash
	High  int64    // no SubscriberID above this was ever given out here
}

// The kinds of records.
const (
	recordErasure = 1 // somebody was erased, or is being erased at this moment
	recordVoid    = 2 // the erasures of the N records before this one did not come about
	recordIDs     = 3 // SubscriberIDs up to High may have been given out
)

// record is one entry of a journal: an erasure is an address key, a
// SubscriberID and a time, and nothing else.
type record struct {
	Kind       byte
	N          int64
	At         Micros
	ID         int64 // the SubscriberID; of a void record, how many it takes back
	AddressKey [32]byte
	Origin     journalID // whose record it is, where another machine's was copied
	OriginN    int64
	High       int64
	Chain      [32]byte
}

const (
	recordSize    = 128
	recordBody    = 96 // of it, what the hash is over; the rest is the hash
	journalHeader = "kartotek erasure journal 1\n"
	// journalRoom is by how much the file grows: zeros, which records replace.
	// What is written into a file that doesn't grow is on the disk without the
	// file system's own log, in which it would wait for other files.
	journalRoom = 512 * recordSize
)

// unwritten is a place that holds no record.
var unwritten [recordSize]byte

func (r *record) body() []byte {
	b := make([]byte, 0, recordSize)
	b = append(b, r.Kind, 0, 0, 0)
	for _, v := range []int64{r.N, int64(r.At), r.ID} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	b = append(b, r.AddressKey[:]...)
	b = append(b, r.Origin[:]...)
	for _, v := range []int64{r.OriginN, r.High} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b[:recordBody]
}

func (r *record) parse(b []byte) {
	r.Kind = b[0]
	num := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	r.N, r.At, r.ID = num(4), Micros(num(12)), num(20)
	copy(r.AddressKey[:], b[28:60])
	copy(r.Origin[:], b[60:76])
	r.OriginN, r.High = num(76), num(84)
	copy(r.Chain[:], b[recordBody:recordSize])
}

// follow numbers a record as the next one and seals it to the one before.
func (j *journalFile) follow(s journalState, r *record) journalState {
	r.N, r.High = s.N+1, max(r.High, s.High)
	copy(r.Chain[:], j.mac(append(s.Chain[:], r.body()...)))
	return journalState{N: r.N, Chain: r.Chain, High: r.High}
}

// fits tells whether a record follows the one before it.
func (j *journalFile) fits(before [32]byte, n int64, r *record) bool {
	return r.N == n && hmac.Equal(r.Chain[:], j.mac(append(before[:], r.body()...)))
}

// header is the first record's place: it names the journal and starts the chain.
func (j *journalFile) header() []byte {
	b := make([]byte, recordBody, recordSize)
	copy(b, journalHeader)
	copy(b[len(journalHeader):], j.id[:])
	return append(b, j.mac(b)...)
}

// errNoJournal: there is no file.
var errNoJournal = errors.New("there is no erasure journal")

// openJournalFile opens a journal that is there; errNoJournal when it isn't.
func openJournalFile(path string, mac func([]byte) []byte) (*journalFile, error) {
	j := &journalFile{path: path, mac: mac, turn: make(chan struct{}, 1)}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoJournal
	}
	if err != nil {
		return nil, fmt.Errorf("opening the erasure journal: %w", err)
	}
	defer f.Close()
	b := make([]byte, recordSize)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, j.damaged("its head is missing")
	}
	copy(j.id[:], b[len(journalHeader):])
	if !hmac.Equal(b, j.header()) {
		return nil, j.damaged("its head is not that of this store's journal")
	}
	return j, nil
}

// damaged refuses a journal that can't be relied on.
func (j *journalFile) damaged(what string) error {
	return fmt.Errorf("%w %s is damaged or was cut: %s. Nothing was shown or sent: put the newest copy of the journal back, or, when there is none, take the store as it is with kartotek journal new", ErrJournal, j.path, what)
}

// createJournalFile makes an empty journal, unless there is one by now.
func createJournalFile(path string, id journalID, mac func([]byte) []byte) (*journalFile, error) {
	j := &journalFile{path: path, id: id, mac: mac}
	if err := writeOnce(path, j.header()); err != nil {
		return nil, fmt.Errorf("making the erasure journal: %w", err)
	}
	return openJournalFile(path, mac)
}

// lock waits for the journal. Whoever holds it is the only one to append on
// this machine, from before a transaction begins until its outcome is known.
func (j *journalFile) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case j.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() {
		if err != nil {
			<-j.turn
		}
	}()
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the erasure journal: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close(); <-j.turn }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking the erasure journal: %w", err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// state is how far the file goes. What a crash left half written at its end
// was never kept by a transaction, and doesn't count. Its caller holds the lock.
func (j *journalFile) state() (journalState, error) {
	f, err := os.Open(j.path)
	if err != nil {
		return journalState{}, j.gone(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return journalState{}, j.gone(err)
	}
	if info.Size() < recordSize {
		return journalState{}, j.damaged("its head is missing")
	}
	b := make([]byte, 2*recordSize)
	if info.Size() == j.size {
		n, err := f.ReadAt(b[:recordSize], (j.known.N+1)*recordSize)
		if n == 0 && errors.Is(err, io.EOF) || err == nil && [recordSize]byte(b) == unwritten {
			return j.known, nil
		}
	}
	for n := info.Size()/recordSize - 1; n > 0; n-- {
		if _, err := f.ReadAt(b, (n-1)*recordSize); err != nil {
			return journalState{}, fmt.Errorf("reading the erasure journal: %w", err)
		}
		if [recordSize]byte(b[recordSize:]) == unwritten {
			continue
		}
		var before [32]byte
		copy(before[:], b[recordBody:recordSize])
		var r record
		if r.parse(b[recordSize:]); j.fits(before, n, &r) {
			return journalState{N: r.N, Chain: r.Chain, High: r.High}, nil
		}
	}
	return j.start(), nil
}

// start is the state of an empty journal.
func (j *journalFile) start() journalState {
	var s journalState
	copy(s.Chain[:], j.header()[recordBody:])
	return s
}

func (j *journalFile) gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w %s is missing: put it back", ErrJournal, j.path)
	}
	return fmt.Errorf("reading the erasure journal: %w", err)
}

// chainAt is the hash of record n.
func (j *journalFile) chainAt(n int64) (chain [32]byte, err error) {
	f, err := os.Open(j.path)
	if err != nil {
		return chain, j.gone(err)
	}
	defer f.Close()
	_, err = f.ReadAt(chain[:], n*recordSize+recordBody)
	if err == nil && chain == [32]byte{} || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return chain, j.damaged("it ends before the last erasure that the store knows of")
	}
	return chain, err
}

// read calls fn for the records after one that is known, in order, and checks
// that each follows the one before it.
func (j *journalFile) read(after journalState, upTo int64, fn func(*record) error) error {
	f, err := os.Open(j.path)
	if err != nil {
		return j.gone(err)
	}
	defer f.Close()
	in := io.NewSectionReader(f, (after.N+1)*recordSize, (upTo-after.N)*recordSize)
	b, chain := make([]byte, recordSize), after.Chain
	for n := after.N + 1; n <= upTo; n++ {
		if _, err := io.ReadFull(in, b); err != nil {
			return j.damaged("it ends too early")
		}
		var r record
		if r.parse(b); !j.fits(chain, n, &r) {
			return j.damaged(fmt.Sprintf("record %d is not what was written", n))
		}
		chain = r.Chain
		if err := fn(&r); err != nil {
			return err
		}
	}
	return nil
}

// append adds records that follow a state, and returns when they are on the
// disk. Its caller holds the lock.
func (j *journalFile) append(s journalState, records []record) (err error) {
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return j.gone(err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			j.size, err = 0, fmt.Errorf("writing the erasure journal %s: %w", j.path, err)
		}
	}()
	at := (s.N + 1) * recordSize
	b := make([]byte, 0, len(records)*recordSize)
	for i := range records {
		b = append(append(b, records[i].body()...), records[i].Chain[:]...)
	}
	end, size, sync := at+int64(len(b)), j.size, syncData
	if s != j.known || end > size {
		if err := f.Truncate(at); err != nil { // another process's room, or what a crash left half written
			return err
		}
		b = append(b, make([]byte, journalRoom)...)
		size, sync = at+int64(len(b)), (*os.File).Sync
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return errors.Join(err, f.Truncate(at))
	}
	if err := sync(f); err != nil {
		return err
	}
	last := records[len(records)-1]
	j.known, j.size = journalState{N: last.N, Chain: last.Chain, High: last.High}, size
	return nil
}

// machineName tells machines, and places on one, apart without naming them:
// it is remembered which of them has a journal.
func machineName(mac func([]byte) []byte, dir string) []byte {
	text, err := os.ReadFile("/etc/machine-id")
	if err != nil || len(text) == 0 {
		name, _ := os.Hostname() // without either, the place alone
		text = []byte(name)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	sum := sha256.Sum256(append(append(text, 0), abs...))
	return mac(append([]byte("machine\x00"), sum[:]...))[:16]
}
