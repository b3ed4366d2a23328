package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
)

// loadedFrom is from how many rows on a server is given them as a file: for
// fewer, the statements around it cost more than it saves.
const loadedFrom = 128

// loads numbers the files: the driver knows what it reads by a name.
var loads atomic.Int64

// load gives the server rows as a file. It reports false, and leaves nothing
// behind, where the server doesn't take files, and where it has taken anything
// but all rows as they are: what comes from a client's file is kept as by INSERT
// IGNORE, in strict mode too. A row that is there already is left out, and what
// doesn't fit is cut, with a warning.
func (e *mysqlEngine) load(ctx context.Context, tx *Tx, into string, rows [][]any) (bool, error) {
	conn, err := tx.files()
	if err != nil {
		return false, err
	}
	tx.changes()
	if _, err := conn.ExecContext(ctx, "SAVEPOINT file"); err != nil {
		return false, tx.told(err)
	}
	whole, err := loadFile(ctx, conn, into, rows)
	switch mapped := mapMySQL(err); {
	case whole, err != nil && errorNumber(err) == 0, errors.Is(mapped, errConflict), errors.Is(mapped, ErrFull): // statements would fare no better
		return whole, tx.told(err)
	}
	// Where the server has ended the transaction, there is nothing to go back to.
	if _, back := conn.ExecContext(ctx, "ROLLBACK TO SAVEPOINT file"); back != nil {
		return false, tx.told(cmp.Or(err, back))
	}
	if err != nil {
		e.noFiles.Store(true)
	}
	return false, nil
}

// loadFile reports whether all rows were taken as they are.
func loadFile(ctx context.Context, conn *sql.Conn, into string, rows [][]any) (bool, error) {
	name := fmt.Sprintf("rows-%d", loads.Add(1))
	mysql.RegisterReaderHandler(name, func() io.Reader { return &rowFile{rows: rows} })
	defer mysql.DeregisterReaderHandler(name)
	table, columns, _ := strings.Cut(strings.TrimPrefix(into, "INSERT INTO "), " ")
	res, err := conn.ExecContext(ctx, `LOAD DATA LOCAL INFILE 'Reader::`+name+`' INTO TABLE `+table+
		` CHARACTER SET binary FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' `+columns)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, err
	}
	var warnings int
	err = conn.QueryRowContext(ctx, "SELECT @@warning_count").Scan(&warnings)
	return n == int64(len(rows)) && warnings == 0, err
}

// rowFile is rows as the text that LOAD DATA reads: a row a line, a tab between
// two fields, \N for NULL.
type rowFile struct {
	rows [][]any
	text []byte // of the first of them, still to be read
	room []byte
}

// Read implements io.Reader.
func (f *rowFile) Read(p []byte) (n int, err error) {
	if len(f.text) == 0 {
		if len(f.rows) == 0 {
			return 0, io.EOF
		}
		f.text = f.room[:0]
		for ; len(f.text) < len(p) && len(f.rows) > 0; f.rows = f.rows[1:] {
			if f.text, err = appendRow(f.text, f.rows[0]); err != nil {
				return 0, err
			}
		}
		f.room = f.text
	}
	n = copy(p, f.text)
	f.text = f.text[n:]
	return n, nil
}

func appendRow(text []byte, row []any) ([]byte, error) {
	for i, value := range row {
		if i > 0 {
			text = append(text, '\t')
		}
		var err error
		if text, err = appendField(text, value); err != nil {
			return nil, err
		}
	}
	return append(text, '\n'), nil
}

func appendField(text []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(text, `\N`...), nil
	case int64:
		return strconv.AppendInt(text, v, 10), nil
	case float64:
		return strconv.AppendFloat(text, v, 'g', -1, 64), nil
	case bool:
		if v {
			return append(text, '1'), nil
		}
		return append(text, '0'), nil
	case string:
		return appendEscaped(text, v), nil
	case []byte:
		return appendEscaped(text, v), nil
	case Micros:
		return strconv.AppendInt(text, int64(v), 10), nil
	case int:
		return strconv.AppendInt(text, int64(v), 10), nil
	case Permission:
		return strconv.AppendInt(text, int64(v), 10), nil
	case Rating:
		return strconv.AppendInt(text, int64(v), 10), nil
	case Kind:
		return strconv.AppendInt(text, int64(v), 10), nil
	}
	basic, err := driver.DefaultParameterConverter.ConvertValue(value)
	if err != nil {
		return nil, err
	}
	return appendField(text, basic)
}

// escapes are what stands behind a backslash for the bytes that mean something
// in the file.
var escapes = [256]byte{'\\': '\\', '\t': 't', '\n': 'n', 0: '0'}

// appendEscaped writes bytes so that none of them ends a field or a line.
func appendEscaped[T string | []byte](text []byte, value T) []byte {
	from := 0
	for i := range len(value) {
		if by := escapes[value[i]]; by != 0 {
			text = append(append(text, value[from:i]...), '\\', by)
			from = i + 1
		}
	}
	return append(text, value[from:]...)
}
