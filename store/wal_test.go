package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
	"pgregory.net/rapid"
)

// memoryLog is a log in memory, as the encrypted layer has it.
type memoryLog struct {
	encryptedFile
	data   []byte
	writes int
	syncs  int
	full   bool
}

func (m *memoryLog) WriteAt(p []byte, off int64) (int, error) {
	if m.full {
		return 0, errors.New("no space left on device")
	}
	m.writes++
	if grown := int(off) + len(p); grown > len(m.data) {
		m.data = append(m.data, make([]byte, grown-len(m.data))...)
	}
	return copy(m.data[off:], p), nil
}

func (m *memoryLog) ReadAt(p []byte, off int64) (int, error) { return copy(p, m.data[off:]), nil }
func (m *memoryLog) Sync(vfs.SyncFlag) error                 { m.syncs++; return nil }

// TestLogIsWhatWasWritten: whatever is written by whom, commits or what comes
// before them, with syncs in the middle of a page: what was synced, and all of a
// commit that is over, is there, and reads find what was written.
func TestLogIsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		under := &memoryLog{}
		f := &walFile{encryptedFile: under}
		var want []byte
		write := func(p []byte) {
			if _, err := f.WriteAt(p, int64(len(want))); err != nil {
				t.Fatal(err)
			}
			want = append(want, p...)
		}
		there := func() {
			if !bytes.Equal(under.data, want) {
				t.Fatalf("%d bytes are there of %d", len(under.data), len(want))
			}
		}
		sync := func() {
			if err := f.Sync(0); err != nil {
				t.Fatal(err)
			}
			there()
		}
		write(make([]byte, walHeader))
		frame := func(cut bool) {
			p := rapid.SliceOfN(rapid.Byte(), 24, 24).Draw(t, "header")
			write(p)
			page := bytes.Repeat(p[:1], 4096)
			if n := rapid.IntRange(0, 4095).Draw(t, "cut"); cut && n > 0 {
				write(page[:n])
				sync()
				page = page[n:]
			}
			write(page)
		}
		for range rapid.IntRange(1, 5).Draw(t, "commits") {
			for range rapid.IntRange(0, 2).Draw(t, "pages before") {
				frame(false)
				there()
			}
			if err := f.commit(func() error {
				for range rapid.IntRange(1, 150).Draw(t, "pages") {
					frame(false)
				}
				if rapid.Bool().Draw(t, "read") {
					got := make([]byte, 4096)
					if _, err := f.ReadAt(got, int64(len(want)-4096)); err != nil || !bytes.Equal(got, want[len(want)-4096:]) {
						t.Fatalf("read something else: %v", err)
					}
				}
				if rapid.Bool().Draw(t, "filled") {
					frame(true)
				}
				sync()
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			there()
		}
	})
}

// TestLogThatCantBeWritten: a commit whose pages can't be written fails, and
// leaves nothing behind for the next.
func TestLogThatCantBeWritten(t *testing.T) {
	under := &memoryLog{full: true}
	f := &walFile{encryptedFile: under}
	page := make([]byte, walFrame)
	if err := f.commit(func() error {
		for i := range int64(2 * walBuffer / walFrame) {
			if _, err := f.WriteAt(page, walHeader+i*walFrame); err != nil {
				break // or SQLite goes on, for all that is known here
			}
		}
		return f.Sync(0)
	}); err == nil {
		t.Fatal("a commit went well on a full disk")
	}
	under.full = false
	if err := f.commit(func() error {
		_, err := f.WriteAt([]byte("good"), walHeader)
		return errors.Join(err, f.Sync(0))
	}); err != nil {
		t.Fatal(err)
	}
	if got := len(under.data); got != walHeader+4 {
		t.Errorf("%d bytes are there", got)
	}
}

// TestCommitOwesItsSync: the log's header and the first commit are synced by
// themselves, and any other by who settles it.
func TestCommitOwesItsSync(t *testing.T) {
	under := &memoryLog{}
	f := &walFile{encryptedFile: under}
	write := func(n, off int) error {
		_, err := f.WriteAt(make([]byte, n), int64(off))
		return errors.Join(err, f.Sync(0))
	}
	for i, c := range []struct {
		begin func() error
		syncs int
		owed  bool
	}{
		{func() error { return write(walFrame, walHeader) }, 1, false},
		{func() error { return write(walFrame, walHeader+walFrame) }, 1, true},
		{f.settle, 2, true},
		{func() error { return write(walHeader, 0) }, 3, true},
	} {
		if err := f.commit(c.begin); err != nil {
			t.Fatal(err)
		}
		if under.syncs != c.syncs || f.owed != c.owed {
			t.Errorf("step %d: synced %d times, owed: %v", i, under.syncs, f.owed)
		}
	}
	if err := write(walFrame, walHeader); err != nil || under.syncs != 4 {
		t.Errorf("outside of a commit: synced %d times, %v", under.syncs, err)
	}
}

// TestLogIsMovedUntilLittleIsLeft: what comes about while the log is moved is
// moved as well, as long as it gets less.
func TestLogIsMovedUntilLittleIsLeft(t *testing.T) {
	full := errors.New("no space left on device")
	for _, c := range []struct {
		name   string
		pages  []int // in the log, as each move finds it
		failed bool
	}{
		{"nothing is in it", []int{0}, false},
		{"little is in it", []int{100}, false},
		{"nobody writes", []int{4000, 4000}, false},
		{"less comes each time", []int{16000, 20000, 21000, 21100}, false},
		{"it comes as fast as it is moved", []int{16000, 30000}, false},
		{"the log has begun anew", []int{16000, 10}, false},
		{"it can't be moved", []int{16000, 20000}, true},
	} {
		moves := 0
		err := moveMost(100, func() (int, error) {
			if moves++; moves > len(c.pages) {
				t.Fatalf("%s: it was moved %d times", c.name, moves)
			}
			if c.failed && moves == len(c.pages) {
				return 0, full
			}
			return c.pages[moves-1], nil
		})
		if moves != len(c.pages) || (err != nil) != c.failed {
			t.Errorf("%s: it was moved %d times (%v), not %d", c.name, moves, err, len(c.pages))
		}
	}
}
