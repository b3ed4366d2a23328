package cmd

import (
	"fmt"
	"strings"
	"testing"
)

// TestTable: columns stand below one another on a terminal, whatever is in
// them, and each table by itself.
func TestTable(t *testing.T) {
	var out strings.Builder
	table := newTable(&out)
	fmt.Fprint(table, "LIST\tN\tFORM\n東京\t12\thttp://x\nNews\t3\t\n\nDAY\tSENT\nMonday, é\t1\n")
	table.flush()
	want := "LIST  N   FORM\n東京  12  http://x\nNews  3   \n\nDAY        SENT\nMonday, é  1\n"
	if out.String() != want {
		t.Errorf("%q\nwant\n%q", out.String(), want)
	}
}
