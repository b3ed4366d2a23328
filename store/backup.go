package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// Errors of backing up and restoring.
var (
	// ErrServerTools: a database server has its own tools for that.
	ErrServerTools = errors.New("a store on a database server is backed up and restored by the server's own tools: see docs/backup.md; what was erased since is erased again all the same when Kartotek starts")
	// ErrInUse: another process has the store open.
	ErrInUse = errors.New("another process has the store open: stop every Kartotek on it first; nothing was changed")
)

// Backup writes a consistent copy of an embedded store to a new file while the
// store is in use. The copy is encrypted as the store is, and opens with its
// key file only. The erasure journal isn't part of it, and must not be.
func (s *Store) Backup(ctx context.Context, to string) error {
	e, ok := s.engine.(*sqliteEngine)
	if !ok {
		return ErrServerTools
	}
	if err := s.CatchUp(ctx, nil); err != nil {
		return err
	}
	key, err := s.raw.keys.fileKey()
	if err != nil {
		return err
	}
	if err := s.CanBackUp(to); err != nil {
		return err
	}
	if to, err = filepath.Abs(to); err != nil {
		return err
	}
	part := to + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	defer os.Remove(part)
	err = e.copyTo(ctx, part, hex.EncodeToString(key))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	if err := inspect(ctx, part, hex.EncodeToString(key), func(*sqlite3.Conn) error { return nil }); err != nil {
		return fmt.Errorf("the backup doesn't read back: %w", err)
	}
	if err := os.Link(part, to); err != nil { // never over a file that came meanwhile
		return fmt.Errorf("writing the backup: %w", err)
	}
	if err := syncDir(filepath.Dir(to)); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	// The journal goes on by a record, so that a store which is restored from
	// this backup is known as such, whatever was done since.
	return s.noteIDs(ctx, 0, 0)
}

// CanBackUp tells what stands in the way of a backup to a file, before anything is done.
func (s *Store) CanBackUp(to string) error {
	if _, ok := s.engine.(*sqliteEngine); !ok {
		return ErrServerTools
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: name a new file", to)
	}
	return nil
}

// copyTo copies the database through SQLite's backup interface, all in one
// read transaction: others go on writing meanwhile.
func (e *sqliteEngine) copyTo(ctx context.Context, to, hexKey string) error {
	conn, err := e.read.db.Conn(ctx)
	if err != nil {
		return mapSQLite(err)
	}
	defer conn.Close()
	u := url.URL{Scheme: "file", Path: to, RawQuery: "vfs=" + scrubbing + "&hexkey=" + hexKey}
	return conn.Raw(func(c any) error {
		raw, ok := c.(driver.Conn)
		if !ok {
			return errors.New("the database driver is not what it was")
		}
		return mapSQLite(raw.Raw().Backup("main", u.String()))
	})
}

// inspect opens a database file that nobody uses, checks it, and calls look.
func inspect(ctx context.Context, path, hexKey string, look func(*sqlite3.Conn) error) error {
	c, err := sqlite3.OpenContext(ctx, dsn(path, "&mode=ro&immutable=1"))
	if err != nil {
		return openError(path, err)
	}
	err = c.Exec("PRAGMA hexkey='" + hexKey + "'; PRAGMA temp_store=MEMORY")
	if err == nil {
		var word string
		if word, err = firstText(c, "PRAGMA quick_check(1)"); err == nil && word != "ok" {
			err = ErrDamaged
		}
	}
	if err == nil {
		err = look(c)
	}
	return mapSQLite(errors.Join(err, c.Close()))
}

// firstText is the first value of a query; "" when it has no row.
func firstText(c *sqlite3.Conn, query string) (text string, err error) {
	st, _, err := c.Prepare(query)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if st.Step() {
		text = st.ColumnText(0)
	}
	return text, st.Err()
}

// Restored is a backup that was put in a store's place. The old file lies
// aside until Keep or Undo.
type Restored struct{ path, aside string }

// There tells whether an embedded store is at its address; ErrServerTools of
// one on a database server.
func There(url string) (bool, error) {
	if isMySQL(url) {
		return false, ErrServerTools
	}
	path, err := sqlitePath(url)
	if err != nil {
		return false, err
	}
	return exists(path)
}

// Restore puts a backup in the place of an embedded store that no process has
// open. Opening the store then erases again who was erased since the backup.
func Restore(ctx context.Context, o Options, from string) (*Restored, error) {
	if isMySQL(o.URL) {
		return nil, ErrServerTools
	}
	path, err := sqlitePath(o.URL)
	if err != nil {
		return nil, err
	}
	keys, err := LoadKeys(o.Keys)
	if err != nil {
		return nil, err
	}
	key, err := keys.fileKey()
	if err != nil {
		return nil, err
	}
	hexKey := hex.EncodeToString(key)
	if from, err = filepath.Abs(from); err != nil {
		return nil, err
	}
	name, err := checkBackup(ctx, from, hexKey, o.Keys)
	if err != nil {
		return nil, err
	}
	there, err := exists(path)
	if err != nil {
		return nil, err
	}
	if there {
		release, err := alone(ctx, path, hexKey, name)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the store's directory: %w", err)
	}
	return replaceStore(path, from, there)
}

// checkBackup refuses a file that is no whole backup of a store that this
// version knows and the key file opens, and returns the store's own name.
func checkBackup(ctx context.Context, from, hexKey, keyPath string) (name string, err error) {
	if there, err := exists(from); err != nil || !there {
		return "", errors.Join(err, fmt.Errorf("there is no backup at %s", from))
	}
	if err := checkKey(ctx, from, "PRAGMA hexkey='"+hexKey+"'", keyPath); err != nil {
		return "", err
	}
	err = inspect(ctx, from, hexKey, func(c *sqlite3.Conn) error {
		version, err := firstText(c, "PRAGMA user_version")
		if err != nil {
			return err
		}
		var has int64
		if _, err := fmt.Sscan(version, &has); err != nil {
			return ErrDamaged
		}
		if known := int64(len(sqliteSteps())); has > known {
			return newerSchema(has, known)
		}
		name, err = firstText(c, "SELECT value FROM settings WHERE name = '"+settingStore+"'")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("the backup %s can't be used: %w", from, err)
	}
	return name, nil
}

// alone makes sure that no other process has the store open, and keeps it so
// until it is released. A damaged one can't be opened by anybody.
func alone(ctx context.Context, path, hexKey, name string) (release func(), err error) {
	c, err := sqlite3.OpenContext(ctx, dsn(path, ""))
	if err != nil {
		return nil, openError(path, err)
	}
	release = func() { _ = c.Close() } // what it held is gone by then
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.Exec("PRAGMA hexkey='" + hexKey + "'"); err != nil {
		return nil, mapSQLite(err)
	}
	has, err := firstText(c, "SELECT value FROM settings WHERE name = '"+settingStore+"'")
	switch err = mapSQLite(err); {
	case errors.Is(err, ErrDamaged):
		return release, nil
	case err != nil:
		return nil, err
	case has != name:
		return nil, fmt.Errorf("the backup is another store's than %s: name the store that it belongs to with --store; nothing was changed", path)
	}
	// The log is given up only by whoever is alone.
	mode, err := firstText(c, "PRAGMA journal_mode=DELETE")
	if err == nil && mode == "delete" {
		err = c.Exec("PRAGMA secure_delete=ON; BEGIN EXCLUSIVE")
	}
	if err != nil || mode != "delete" {
		return nil, ErrInUse
	}
	return release, nil
}

// beforeRestore ends the name of the store as it was, until the one that takes
// its place was opened.
const beforeRestore = ".before-restore"

// replaceStore puts a copy of a file at path, in one step, and keeps what was
// there under another name.
func replaceStore(path, from string, there bool) (*Restored, error) {
	fail := func(err error) (*Restored, error) { return nil, fmt.Errorf("restoring: %w", err) }
	r := &Restored{path: path}
	next := path + ".restoring"
	defer os.Remove(next)
	if err := copyFile(next, from); err != nil {
		return fail(err)
	}
	if there {
		r.aside = path + beforeRestore
		if err := os.Link(path, r.aside); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return nil, fmt.Errorf("%s is the store as it was before a restore that was broken off: remove it, or move it away if you still need it, and restore again", r.aside)
			}
			return fail(err)
		}
	}
	for _, log := range []string{path + "-wal", path + "-shm"} { // a damaged store may have them
		if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail(err)
		}
	}
	if err := os.Rename(next, path); err != nil {
		return fail(err)
	}
	return r, syncDir(filepath.Dir(path))
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// Keep ends a restore: the old file goes.
func (r *Restored) Keep() error {
	if r.aside == "" {
		return nil
	}
	if err := os.Remove(r.aside); err != nil {
		return fmt.Errorf("removing the old store: %w", err)
	}
	return nil
}

// Undo puts the old file back, where a backup that was restored can't be used.
// The store must be closed.
func (r *Restored) Undo() error {
	if r.aside == "" {
		return nil
	}
	for _, log := range []string{r.path + "-wal", r.path + "-shm"} {
		if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("putting the old store back: %w", err)
		}
	}
	if err := os.Rename(r.aside, r.path); err != nil {
		return fmt.Errorf("putting the old store back: %w", err)
	}
	return nil
}
