package flows

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kartotek/store"
)

// TestImportAddressAgain: what a file says of an address further down counts,
// whether the rows fall into one transaction, into two that are next to each
// other and may be under way at once, or far apart.
func TestImportAddressAgain(t *testing.T) {
	for name, rows := range map[string]int{"a few": 3*importChunk + 1, "a load": 2*loadChunk + 4*importChunk} {
		t.Run(name, func(t *testing.T) {
			again := map[int]int{7: 5, importChunk + 1: importChunk - 1, 3 * importChunk: 3}
			of := func(row int) string {
				if first, ok := again[row]; ok {
					row = first
				}
				return fmt.Sprintf("p%d@example.com", row)
			}
			if rows > 2*loadChunk {
				for i := range 40 { // in lots next to each other, wherever those begin
					again[rows-1-37*i] = rows - 1 - 37*i - loadChunk
				}
			}
			d := newDesk(t)
			var b strings.Builder
			b.WriteString("email,first_name\n")
			for i := range rows {
				fmt.Fprintf(&b, "%s,n%d\n", of(i), i)
			}
			size := b.Len()
			if rows > 2*loadChunk { // it looks like many more
				b.WriteString(strings.Repeat(",\n", 4*size))
			}
			path := filepath.Join(t.TempDir(), "again.csv")
			d.must(os.WriteFile(path, []byte(b.String()), 0o600))
			res, err := d.Import(t.Context(), anna, path, ImportOptions{List: "News", Confirmed: true}, nil)
			d.must(err)
			if int(res.Added) != rows-len(again) || int(res.Updated) != len(again) {
				t.Errorf("of %d rows, %d of them again: %+v", rows, len(again), res)
			}
			for row, first := range again {
				a, err := store.ParseAddress(of(first))
				d.must(err)
				c, err := d.store.Live(t.Context(), d.store.Keys().AddressKey(a))
				d.must(err)
				p, err := d.store.Open(c)
				d.must(err)
				if want := fmt.Sprintf("n%d", row); p.FirstName != want {
					t.Errorf("%s is called %s, want %s", of(first), p.FirstName, want)
				}
			}
			d.check()
		})
	}
}
