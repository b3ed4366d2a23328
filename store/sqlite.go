package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // the encrypted file system layer
)

// busyFor is how long a write waits for other processes before ErrBusy.
const busyFor = 30 * time.Second

// readers is how many connections browse at once in one process.
const readers = 4

func sqlitePath(rawURL string) (string, error) {
	path, ok := strings.CutPrefix(rawURL, "sqlite:")
	if !ok || path == "" {
		return "", errStoreURL
	}
	return filepath.Abs(path)
}

// keysFor loads the key file, or makes one when the store is new as well: a
// database without its key file must not get another one.
func keysFor(path string, o Options) (*Keys, bool, error) {
	there, err := exists(path)
	if err != nil {
		return nil, false, err
	}
	return loadOrCreate(o.Keys, there, path)
}

func exists(path string) (bool, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for the store: %w", err)
	case info.IsDir():
		return false, fmt.Errorf("%s is a directory: name a file in it with --store sqlite:PATH", path)
	}
	return info.Size() > 0, nil
}

// readPragmas set up a reading connection. Its cache holds the upper pages of
// the indexes of ten million contacts; the cards are anywhere, and few are read
// twice.
const readPragmas = "PRAGMA query_only=ON; PRAGMA cache_size=-3000"

// writePragmas set up the writing connection. The log is moved into the
// database by the mover.
const writePragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA cache_size=" + writeCache + "; PRAGMA wal_autocheckpoint=0"

// The writing connection's page cache, in KiB with a minus: a console that acts
// now and then is to stay small, and a load comes back to the same pages. Where
// SQLite takes pages from its free list out of order, it looks through the whole
// cache at the next commit, so a large one makes every commit dear.
const (
	writeCache = "-8000"
	loadCache  = "-32000"
)

func dsn(path, extra string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: "vfs=" + scrubbing + extra}
	return u.String()
}

// sqliteEngine is the embedded store: one encrypted file, several readers and
// one writer.
type sqliteEngine struct {
	read  *cachedDB
	write *writer
	mover *mover
	// prepared are those on the writing connection that run for many rows.
	prepared map[string]*sqlite3.Stmt
	path     string
	still    func() error // whether the file is still the one that was opened
}

func openSQLite(ctx context.Context, o Options) (engine, *Keys, bool, error) {
	path, err := sqlitePath(o.URL)
	if err != nil {
		return nil, nil, false, err
	}
	keys, created, err := keysFor(path, o)
	if err != nil {
		return nil, nil, false, err
	}
	e, err := openFile(ctx, path, keys)
	if err != nil {
		return nil, nil, false, err
	}
	if err = e.migrate(ctx); err == nil { // else it is another's to wipe
		err = e.payOff()
	}
	if err != nil {
		return nil, nil, false, errors.Join(err, e.close())
	}
	return e, keys, created, nil
}

func openFile(ctx context.Context, path string, keys *Keys) (*sqliteEngine, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the store's directory: %w", err)
	}
	key, err := keys.fileKey()
	if err != nil {
		return nil, err
	}
	pragmaKey := "PRAGMA hexkey='" + hex.EncodeToString(key) + "'"
	if err := checkKey(ctx, path, pragmaKey, keys.path); err != nil {
		return nil, err
	}
	before, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking at the store: %w", err)
	}
	wdb, err := driver.Open(dsn(path, ""), setup(pragmaKey, writePragmas))
	if err != nil {
		return nil, mapSQLite(err)
	}
	conn, err := connect(ctx, wdb)
	if err != nil {
		return nil, openError(path, errors.Join(err, wdb.Close()))
	}
	if err := secure(path); err != nil {
		return nil, errors.Join(err, conn.Close(), wdb.Close())
	}
	rdb, err := driver.Open(dsn(path, ""), setup(pragmaKey, readPragmas))
	if err != nil {
		return nil, errors.Join(mapSQLite(err), conn.Close(), wdb.Close())
	}
	rdb.SetMaxOpenConns(readers)
	rdb.SetMaxIdleConns(readers)
	rdb.SetConnMaxIdleTime(time.Minute) // what only a rush needed gives its memory back
	still, err := stillThere(path, before)
	if err != nil {
		return nil, errors.Join(err, rdb.Close(), conn.Close(), wdb.Close())
	}
	e := &sqliteEngine{
		read:     &cachedDB{db: rdb, stmts: map[string]*sql.Stmt{}},
		write:    newWriter(wdb, conn, still),
		prepared: map[string]*sqlite3.Stmt{},
		still:    still,
		path:     path,
	}
	e.write.engine = e
	e.startMover()
	return e, nil
}

func (e *sqliteEngine) reader() queries { return queries{stmt: e.stmt, told: mapSQLite} }

func (e *sqliteEngine) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if err := e.still(); err != nil {
		return nil, err
	}
	return e.read.stmt(ctx, query)
}

// dir is beside the file: kartotek.db has exports/kartotek.
func (e *sqliteEngine) dir(kind string) string {
	name := strings.TrimSuffix(filepath.Base(e.path), filepath.Ext(e.path))
	return filepath.Join(filepath.Dir(e.path), kind, name)
}

func (e *sqliteEngine) name() string { return "SQLite " + filepath.Base(e.path) }

func (e *sqliteEngine) sweep(context.Context) error { return nil }

func (e *sqliteEngine) close() error {
	e.mover.end()
	return errors.Join(e.dropPrepared(), e.write.close(), e.read.close())
}

// secure keeps the store's files to their owner; a log that another process
// takes away at this moment is none.
func secure(path string) error {
	for _, f := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(f, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("securing the store: %w", err)
		}
	}
	return nil
}

// stillThere makes a check that the file is the one that was opened: an act
// on a file that was removed or replaced since would succeed into nothing. The
// one that was there before it was opened tells whether that happened meanwhile.
func stillThere(path string, before os.FileInfo) (func() error, error) {
	opened, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("looking at the store: %w", err)
	}
	if before != nil && !os.SameFile(before, opened) {
		return nil, ErrMoved
	}
	return func() error {
		if now, err := os.Stat(path); err != nil || !os.SameFile(opened, now) {
			return ErrMoved
		}
		return nil
	}, nil
}

// connect opens the writing connection; another process that makes the store
// at this moment holds it for a short while.
func connect(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	for end := time.Now().Add(busyFor); ; {
		conn, err := db.Conn(ctx)
		err = mapSQLite(err)
		if !errors.Is(err, ErrBusy) || time.Now().After(end) {
			return conn, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func setup(pragmaKey, pragmas string) func(*sqlite3.Conn) error {
	return func(c *sqlite3.Conn) error {
		if err := c.Exec(pragmaKey); err != nil {
			return err
		}
		if err := c.BusyHandler(waitTurn); err != nil {
			return err
		}
		// A plan that went by the values of parameters is made anew for every
		// run of a prepared query with LIMIT ?, which may take as long as the run.
		if _, err := c.Config(sqlite3.DBCONFIG_ENABLE_QPSG, true); err != nil {
			return err
		}
		return c.Exec("PRAGMA temp_store=MEMORY; " + pragmas)
	}
}

// waitTurn polls often: a long import in another process lets go of the store
// for a moment between its chunks, and a slow poll would miss that.
func waitTurn(ctx context.Context, count int) bool {
	const pause = time.Millisecond
	if time.Duration(count)*pause > busyFor {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause/2 + rand.N(pause)):
		return true
	}
}

// checkKey reads the first page by itself, write-ahead log left alone: SQLite
// with a wrong key would take the log for rubbish and throw it away.
func checkKey(ctx context.Context, path, pragmaKey, keyPath string) error {
	there, err := exists(path)
	if err != nil || !there {
		return err
	}
	for try := 0; ; try++ {
		c, err := sqlite3.OpenContext(ctx, dsn(path, "&mode=ro&immutable=1"))
		if err != nil {
			return openError(path, err)
		}
		err = c.Exec(pragmaKey + "; PRAGMA schema_version")
		err = errors.Join(err, c.Close())
		switch {
		case err == nil, errors.Is(err, sqlite3.CORRUPT):
			// The key fits: the header reads. Where the log was being moved when
			// the process died or the disk was full, the file is shorter than its
			// header says until the log, which is whole, has been moved again.
			return nil
		case !errors.Is(err, sqlite3.NOTADB):
			return openError(path, err)
		case try == 2: // a page that is just being written may read torn, but not three times
			return fmt.Errorf("the key file %s does not open the database %s: it is another store's (give the right one with --keys), or %w", keyPath, path, ErrUnreadable)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func openError(path string, err error) error {
	mapped := mapSQLite(err)
	if errors.Is(mapped, ErrReadOnly) {
		return fmt.Errorf("opening %s: %w", path, mapped)
	}
	return mapped
}

// mapSQLite turns the driver's errors into the room's own.
func mapSQLite(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sqlite3.INTERRUPT): // the driver's word for a context that ended in the middle of a statement
		return context.Canceled
	case errors.Is(err, sqlite3.CONSTRAINT_UNIQUE), errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY):
		return ErrTaken
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		return ErrBusy
	case errors.Is(err, sqlite3.FULL), errors.Is(err, sqlite3.IOERR_WRITE):
		return ErrFull
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, sqlite3.NOTADB):
		return ErrDamaged
	case errors.Is(err, sqlite3.IOERR):
		return ErrDisk
	case errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.PERM):
		return ErrReadOnly
	}
	return err
}
