package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"
)

// card is an export with everything that people put into forms.
func card() []Table {
	at := time.Date(2026, 2, 3, 11, 11, 12, 5_000_000, time.FixedZone("CET", 3600))
	return []Table{
		{Name: "card", Columns: []string{"subscriber_id", "email", "frozen", "signed_up_at", "predecessor"}, Rows: [][]any{
			{int64(1042), "marie@example.dk", false, at, nil},
		}},
		{Name: "fields", Columns: []string{"name", "value"}, Rows: [][]any{
			{"first_name", `=HYPERLINK("https://example.com";"x")`},
			{"last_name", "Sørensen, \"Ø\"\nline"},
			{"=note", "'+1"},
			{"balance", int64(-5)},
			{"empty", ""},
		}},
		{Name: "lists", Columns: []string{"list"}},
	}
}

func TestCSV(t *testing.T) {
	want := "\uFEFF" + `section,row,field,value
card,1,subscriber_id,1042
card,1,email,marie@example.dk
card,1,frozen,false
card,1,signed_up_at,2026-02-03T10:11:12.005Z
fields,1,name,first_name
fields,1,value,"'=HYPERLINK(""https://example.com"";""x"")"
fields,2,name,last_name
fields,2,value,"Sørensen, ""Ø""
line"
fields,3,name,'=note
fields,3,value,''+1
fields,4,name,balance
fields,4,value,-5
fields,5,name,empty
fields,5,value,
lists,0,,
`
	var b bytes.Buffer
	if err := WriteCSV(&b, card()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// sheets reads a workbook back, cell by cell.
func sheets(t testing.TB, workbook []byte) (names []string, rows map[string][][]string) {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(workbook))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows = map[string][][]string{}
	for _, name := range f.GetSheetList() {
		got, err := f.GetRows(name, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		rows[name] = got
		for r := range got {
			for c := range got[r] {
				at, err := excelize.CoordinatesToCellName(c+1, r+1)
				if err != nil {
					t.Fatal(err)
				}
				if formula, err := f.GetCellFormula(name, at); formula != "" || err != nil {
					t.Fatal("a formula", err)
				}
			}
		}
	}
	return f.GetSheetList(), rows
}

func TestXLSX(t *testing.T) {
	var b bytes.Buffer
	if err := WriteXLSX(&b, card()); err != nil {
		t.Fatal(err)
	}
	names, rows := sheets(t, b.Bytes())
	if diff := cmp.Diff([]string{"card", "fields", "lists"}, names); diff != "" {
		t.Error(diff)
	}
	want := map[string][][]string{
		"card": {{"subscriber_id", "email", "frozen", "signed_up_at", "predecessor"}, {"1042", "marie@example.dk", "0", "2026-02-03T10:11:12.005Z"}},
		"fields": {
			{"name", "value"},
			{"first_name", `=HYPERLINK("https://example.com";"x")`},
			{"last_name", "Sørensen, \"Ø\"\nline"},
			{"=note", "'+1"},
			{"balance", "-5"},
			{"empty"},
		},
		"lists": {{"list"}},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	style, err := f.GetCellStyle("card", "A1")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.GetStyle(style); err != nil || s.Font == nil || !s.Font.Bold {
		t.Errorf("the header is not bold: %v", err)
	}
	for cell, want := range map[string]excelize.CellType{"A2": excelize.CellTypeUnset, "B2": excelize.CellTypeInlineString, "C2": excelize.CellTypeBool} {
		if got, err := f.GetCellType("card", cell); err != nil || got != want {
			t.Errorf("%s is of type %v, want %v (%v)", cell, got, want, err)
		}
	}
}

func TestLongTextsAndNumbers(t *testing.T) {
	long := strings.Repeat("æ", cellUnits-1) + "🙂" + strings.Repeat("=", cellUnits) + "end"
	big := int64(exactInt + 1)
	var b bytes.Buffer
	if err := WriteXLSX(&b, []Table{{Name: "x", Columns: []string{"a", "b", "c"}, Rows: [][]any{
		{"first", long, big},
		{"second", "short", -big},
	}}}); err != nil {
		t.Fatal(err)
	}
	_, rows := sheets(t, b.Bytes())
	got := rows["x"]
	if len(got) != 5 || got[1][0] != "first" || got[2][0] != "" || got[4][0] != "second" {
		t.Fatalf("%d rows", len(got))
	}
	if got[1][1]+got[2][1]+got[3][1] != long {
		t.Error("the text is not whole")
	}
	for _, r := range got[1:4] {
		if n := len(utf16.Encode([]rune(r[1]))); n > cellUnits {
			t.Errorf("a cell of %d characters", n)
		}
	}
	if got[1][2] != fmt.Sprint(big) || got[4][2] != fmt.Sprint(-big) {
		t.Errorf("got %s and %s", got[1][2], got[4][2])
	}
}

func TestSheetNames(t *testing.T) {
	long := strings.Repeat("å", 40)
	var tables []Table
	for _, n := range []string{"List: News/All", "list_ news_all", "'x'", "", "History", long, long + "x", "a\x1bb", strings.Repeat("🙂", 20)} {
		tables = append(tables, Table{Name: n, Columns: []string{"a"}})
	}
	var b bytes.Buffer
	if err := WriteXLSX(&b, tables); err != nil {
		t.Fatal(err)
	}
	names, _ := sheets(t, b.Bytes())
	want := []string{
		"List_ News_All", "list_ news_all (2)", "x", "Sheet", "History_", strings.Repeat("å", 31),
		strings.Repeat("å", 27) + " (2)", "a_b", strings.Repeat("🙂", 15),
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	wide := []Table{{Name: "x", Columns: []string{"a"}, Rows: [][]any{{"1", "2"}}}}
	odd := []Table{{Name: "x", Columns: []string{"a"}, Rows: [][]any{{1.5}}}}
	columns := []Table{{Name: "x", Columns: make([]string, sheetColumns+1)}}
	for name, c := range map[string]struct {
		write  func(io.Writer, []Table) error
		tables []Table
		want   string
	}{
		"CSV, more values":   {WriteCSV, wide, "2 values for 1 columns"},
		"XLSX, more values":  {WriteXLSX, wide, "2 values for 1 columns"},
		"CSV, a type":        {WriteCSV, odd, "float64"},
		"XLSX, a type":       {WriteXLSX, odd, "float64"},
		"XLSX, more columns": {WriteXLSX, columns, "16385 columns"},
		"XLSX, no table":     {WriteXLSX, nil, "needs a table"},
	} {
		if err := c.write(io.Discard, c.tables); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for name, write := range map[string]func(io.Writer, []Table) error{"CSV": WriteCSV, "XLSX": WriteXLSX} {
		if err := write(full{}, card()); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// full is a writer without room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestTooManyRows(t *testing.T) {
	f := excelize.NewFile()
	defer f.Close()
	sw, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	s := &sheetWriter{sw: sw, row: sheetRows}
	if err := s.write([]any{"last"}, 0); err != nil {
		t.Error(err)
	}
	if err := s.write([]any{"one more"}, 0); err == nil || !strings.Contains(err.Error(), "export as JSON or CSV") {
		t.Errorf("got %v", err)
	}
}

// hostile draws texts that like to be formulas.
var hostile = rapid.Custom(func(t *rapid.T) string {
	start := rapid.SampledFrom([]string{"", "'", "''", " ", "\t", "\r\n", "\uFEFF", "\u200b", "\u00a0", "\x00", "\""}).Draw(t, "before")
	sign := rapid.SampledFrom([]string{"", "=", "+", "-", "@", "＝", "＋", "－", "＠", "_x003D_"}).Draw(t, "sign")
	return start + sign + rapid.String().Draw(t, "rest")
})

// beginsFormula is the rule, told in another way than startsFormula does.
func beginsFormula(s string) bool {
	if s != "" && strings.Contains("=+-@\t\r\n＝＋－＠", string([]rune(s)[0])) {
		return true
	}
	s = strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	return s != "" && strings.Contains("=+-@＝＋－＠", string([]rune(s)[0]))
}

func TestNoTextIsAFormula(t *testing.T) {
	var all []string
	rapid.Check(t, func(t *rapid.T) {
		table := Table{Name: hostile.Draw(t, "name"), Columns: []string{hostile.Draw(t, "column"), "b"}}
		var texts []string
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			v := hostile.Draw(t, "value")
			texts = append(texts, v)
			table.Rows = append(table.Rows, []any{v, int64(1)})
		}
		checkCSV(t, table, texts)
		all = append(all, texts...)
	})
	checkXLSX(t, all)
}

func checkCSV(t *rapid.T, table Table, texts []string) {
	t.Helper()
	var b bytes.Buffer
	if err := WriteCSV(&b, []Table{table}); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.String(), byteOrderMark))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rec := range records[1:] {
		for _, field := range rec {
			if beginsFormula(field) {
				t.Fatalf("%q begins a formula", field)
			}
		}
		if rec[2] != "b" && rec[1] != "0" {
			got = append(got, Unguard(rec[3]))
		}
	}
	for i, v := range texts { // csv.Reader reads \r\n as \n
		if want := strings.ReplaceAll(clean(v), "\r\n", "\n"); got[i] != want {
			t.Fatalf("got %q back, want %q", got[i], want)
		}
	}
}

// checkXLSX puts the texts into one workbook, since making many takes long.
func checkXLSX(t *testing.T, texts []string) {
	t.Helper()
	table := Table{Name: "texts", Columns: []string{"text", "b"}}
	for _, v := range texts {
		table.Rows = append(table.Rows, []any{v, int64(1)})
	}
	var b bytes.Buffer
	if err := WriteXLSX(&b, []Table{table}); err != nil {
		t.Fatal(err)
	}
	names, rows := sheets(t, b.Bytes())
	for i, v := range texts {
		if got, want := rows[names[0]][i+1][0], clean(v); got != want {
			t.Fatalf("got %q back, want %q", got, want)
		}
	}
}

// TestLibreOffice has LibreOffice turn a workbook into CSV: it sees texts, not
// what they would compute.
func TestLibreOffice(t *testing.T) {
	office, err := exec.LookPath("soffice")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("LibreOffice is not installed")
		}
		t.Skip("LibreOffice is not installed")
	}
	dir := t.TempDir()
	texts := []string{"=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", "\t=1+1", "'x", " y ", "Søren 李 🙂", "two\nlines", "_x0041_", "2026-01-31", "0045", "1e5", "a\x00\x1bb"}
	table := Table{Name: "people", Columns: []string{"text", "number", "yes", "at"}}
	want := [][]string{table.Columns}
	for _, s := range texts {
		table.Rows = append(table.Rows, []any{s, int64(-7), true, time.Unix(0, 0)})
		want = append(want, []string{clean(s), "-7", "TRUE", "1970-01-01T00:00:00Z"})
	}
	var b bytes.Buffer
	if err := WriteXLSX(&b, []Table{table}); err != nil {
		t.Fatal(err)
	}
	book := filepath.Join(dir, "export.xlsx")
	if err := os.WriteFile(book, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(office, "-env:UserInstallation=file://"+dir+"/profile", "--headless",
		"--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76", "--outdir", dir, book)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "export.csv"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
