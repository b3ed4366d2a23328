package store

import (
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

const (
	// cipherBlock is what the encrypted layer reads, changes and writes as one.
	cipherBlock = 4096
	// walBuffer is how much of the write-ahead log is gathered at most.
	walBuffer = 64 * cipherBlock
	// The log's own header, and a page with its header (SQLite's file format, section 4.1).
	walHeader = 32
	walFrame  = 24 + 4096
)

// walFile gathers what a commit writes into the write-ahead log. SQLite writes
// each page behind a header of 24 bytes, so that nothing lies at the encrypted
// layer's blocks: by itself, each page would read, decrypt, encrypt and write
// three of them.
//
// What is gathered is written before the log is synced, which the store does
// with every commit (synchronous=FULL, and doctor looks whether it is), and
// only then SQLite tells other connections of it. It fills the last sector with
// a copy of the last page, of which a part may follow the sync: that is not
// gathered. Nor is what SQLite writes before the commit for want of memory, for
// a transaction that is undone takes that back without a word.
//
// The sync itself is left to whoever committed: it can be waited for without
// the connection. The log's header is synced at once, as SQLite wants, and so is
// the first commit, for the file's name.
type walFile struct {
	encryptedFile
	committing bool
	named      bool // the file's name was synced with it
	owed       bool // a commit waits for its sync
	synced     bool // in the middle of the page that is written now, perhaps
	gathered   []byte
	at         int64 // where that begins
	end        int64 // of what was written last
	err        error // what is gathered could not be written
}

// commit runs what commits a transaction of this connection. Where that fails,
// what is still gathered belongs to no transaction.
func (f *walFile) commit(fn func() error) error {
	f.committing, f.synced = true, false
	defer func() { f.committing, f.gathered, f.err = false, f.gathered[:0], nil }()
	return fn()
}

// Unwrap implements vfs.FileUnwrap.
func (f *walFile) Unwrap() vfs.File { return f.encryptedFile }

// WriteAt implements io.WriterAt.
func (f *walFile) WriteAt(p []byte, off int64) (int, error) {
	f.end = off + int64(len(p))
	if f.synced = f.synced && (off-walHeader)%walFrame != 0; f.synced || !f.committing {
		return f.encryptedFile.WriteAt(p, off)
	}
	if off != f.at+int64(len(f.gathered)) {
		if err := f.flush(); err != nil {
			return 0, err
		}
		f.at = off
	}
	f.gathered = append(f.gathered, p...)
	if len(f.gathered) < walBuffer {
		return len(p), f.err
	}
	whole := (f.at + int64(len(f.gathered))) &^ (cipherBlock - 1) // the rest of a block would be read again
	if err := f.write(int(whole - f.at)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what is gathered.
func (f *walFile) flush() error { return f.write(len(f.gathered)) }

// write writes the first n bytes of what is gathered. Once that has failed,
// all of the commit fails.
func (f *walFile) write(n int) error {
	if f.err != nil || n == 0 {
		return f.err
	}
	if _, err := f.encryptedFile.WriteAt(f.gathered[:n], f.at); err != nil {
		f.err = sqlite3.IOERR_WRITE
		return f.err
	}
	f.gathered = f.gathered[:copy(f.gathered, f.gathered[n:])]
	f.at += int64(n)
	return nil
}

// ReadAt implements io.ReaderAt.
func (f *walFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.encryptedFile.ReadAt(p, off)
}

// Truncate implements vfs.File.
func (f *walFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.encryptedFile.Truncate(size)
}

// Sync implements vfs.File.
func (f *walFile) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.synced = true
	if f.committing && f.named && f.end > walHeader {
		f.owed = true
		return nil
	}
	f.named = true
	return f.encryptedFile.Sync(flags)
}

// settle syncs what was committed. It may run beside other uses of the file.
func (f *walFile) settle() error {
	if err := f.encryptedFile.Sync(vfs.SYNC_NORMAL); err != nil {
		return sqlite3.IOERR_FSYNC
	}
	return nil
}

// Size implements vfs.File.
func (f *walFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.encryptedFile.Size()
}
