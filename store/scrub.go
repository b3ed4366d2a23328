package store

import (
	"encoding/binary"
	"errors"

	"github.com/ncruces/go-sqlite3/vfs"
)

// scrubbing is the file system layer that the store's file goes through: the
// encrypted one, and above it a hand that clears what SQLite leaves lying. The
// write-ahead log is gathered besides (see walFile).
const scrubbing = "kartotek"

var errLayer = errors.New("the encrypted file system layer is not what it was")

func init() {
	vfs.Register(scrubbing, scrubVFS{vfs.Find("adiantum")})
}

// scrubVFS clears the unused part of each page before it is encrypted and
// written. SQLite's secure_delete overwrites a row where it is deleted, but
// where a page was split the rows that moved stay behind as copies in what is
// now unused, and an erasure doesn't reach those.
type scrubVFS struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (v scrubVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	under, ok := v.VFS.(vfs.VFSFilename)
	if !ok {
		return nil, flags, errLayer
	}
	f, flags, err := under.OpenFilename(name, flags)
	if err != nil || flags&(vfs.OPEN_MAIN_DB|vfs.OPEN_WAL) == 0 {
		return f, flags, err
	}
	whole, ok := f.(encryptedFile)
	if !ok {
		return nil, flags, errors.Join(errLayer, f.Close())
	}
	if flags&vfs.OPEN_WAL != 0 {
		return &walFile{encryptedFile: whole}, flags, nil
	}
	return &scrubFile{encryptedFile: whole}, flags, nil
}

// encryptedFile is what the encrypted layer's files can do; all of it is
// passed on.
type encryptedFile interface {
	vfs.File
	vfs.FileUnwrap
	vfs.FileLockState
	vfs.FileChunkSize
	vfs.FileSizeHint
	vfs.FileHasMoved
	vfs.FileOverwrite
	vfs.FileSync
	vfs.FileCommitPhaseTwo
	vfs.FileBatchAtomicWrite
	vfs.FileCheckpoint
	vfs.FilePragma
	vfs.FileBusyHandler
	vfs.FileSharedMemory
}

type scrubFile struct {
	encryptedFile
	page     []byte
	unsynced int // bytes written since the last sync
}

// syncEvery is how much is written into the database before it is synced. Left
// to the end of a move of the log, whoever syncs anything else on the same disk
// meanwhile, a commit or the erasure journal, would wait for all of it.
const syncEvery = 2 << 20

// settle syncs the file where much was written since that was last done.
func (f *scrubFile) settle(n int, err error) (int, error) {
	if f.unsynced += n; err != nil || f.unsynced < syncEvery {
		return n, err
	}
	return n, f.Sync(vfs.SYNC_NORMAL)
}

// Sync implements vfs.File.
func (f *scrubFile) Sync(flags vfs.SyncFlag) error {
	f.unsynced = 0
	return f.encryptedFile.Sync(flags)
}

// Unwrap implements vfs.FileUnwrap.
func (f *scrubFile) Unwrap() vfs.File { return f.encryptedFile }

// WriteAt implements io.WriterAt. It never changes p, which is SQLite's.
func (f *scrubFile) WriteAt(p []byte, off int64) (int, error) {
	from, to := unused(p, off)
	if from == to {
		return f.settle(f.encryptedFile.WriteAt(p, off))
	}
	f.page = append(f.page[:0], p...)
	clear(f.page[from:to])
	return f.settle(f.encryptedFile.WriteAt(f.page, off))
}

// The kinds of b-tree pages, by their first byte (SQLite's file format,
// section 1.6). An overflow or free page starts with the number of another
// page, which would have to be above 33 million (128 GB) to look like one.
const (
	indexInterior = 2
	tableInterior = 5
	indexLeaf     = 10
	tableLeaf     = 13
)

// unused is the part of a page between its cell pointers and its cells; empty
// when p is no whole b-tree page.
func unused(p []byte, off int64) (from, to int) {
	head := 0
	if off == 0 {
		head = 100 // the database's own header stands before the first page's
	}
	if len(p) < 512 || off%int64(len(p)) != 0 {
		return 0, 0
	}
	from = head + 8
	switch p[head] {
	case indexLeaf, tableLeaf:
	case indexInterior, tableInterior:
		from += 4
	default:
		return 0, 0
	}
	from += 2 * int(binary.BigEndian.Uint16(p[head+3:]))
	to = int(binary.BigEndian.Uint16(p[head+5:]))
	if to == 0 {
		to = 1 << 16 // as the format writes 65536
	}
	if from > to || to > len(p) {
		return 0, 0
	}
	return from, to
}
