package store

import (
	"context"
	"errors"
)

// importDone stands for the line of a file that was taken to its end, and is
// remembered so that it isn't taken again.
const importDone = -1

// keyOfImport is what a file is kept under. A hash without a key would tell
// whether a guess is right: a file may hold one address, of somebody erased since.
func (q queries) keyOfImport(fileKey []byte) []byte {
	return q.keys.mac("import\x00" + string(fileKey))
}

// SetImport notes, in the transaction of a chunk, up to which line a file is
// imported; so an import that was killed is known by its file.
func (tx *Tx) SetImport(ctx context.Context, fileKey []byte, started Micros, line int64) error {
	fileKey = tx.keyOfImport(fileKey)
	n, err := tx.exec(ctx, `UPDATE imports SET started_at = ?, line = ? WHERE file_key = ?`, started, line, fileKey)
	if err == nil && n == 0 {
		err = tx.fresh(ctx, `INSERT INTO imports (file_key, started_at, line) VALUES (?, ?, ?)`, fileKey, started, line)
	}
	return err
}

// DropImport forgets a file that was imported to its end.
func (tx *Tx) DropImport(ctx context.Context, fileKey []byte) error {
	_, err := tx.exec(ctx, `DELETE FROM imports WHERE file_key = ?`, tx.keyOfImport(fileKey))
	return err
}

// ImportStopped tells when an import of the file began that did not end, and
// the last line that it finished; ErrNotFound when there is none.
func (q queries) ImportStopped(ctx context.Context, fileKey []byte) (started Micros, line int64, err error) {
	err = q.get(ctx, []any{&started, &line}, `SELECT started_at, line FROM imports WHERE file_key = ?`, q.keyOfImport(fileKey))
	return started, line, err
}

// TakeFile notes, in the transaction that ends its import, that a file of a
// feed was taken.
func (tx *Tx) TakeFile(ctx context.Context, fileKey []byte, started Micros) error {
	return tx.SetImport(ctx, fileKey, started, importDone)
}

// FileTaken tells whether a file of a feed was taken, and when that began.
func (q queries) FileTaken(ctx context.Context, fileKey []byte) (started Micros, taken bool, err error) {
	started, line, err := q.ImportStopped(ctx, fileKey)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return started, err == nil && line == importDone, err
}
