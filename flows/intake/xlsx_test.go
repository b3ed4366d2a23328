package intake

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// workbookBytes is a workbook as excelize writes it.
func workbookBytes(t testing.TB) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(f.SetSheetName("Sheet1", "Notes"))
	must(f.SetSheetRow("Notes", "A1", &[]any{"About", "this list"}))
	_, err := f.NewSheet("Secret")
	must(err)
	must(f.SetSheetRow("Secret", "A1", &[]any{"email"}))
	must(f.SetSheetVisible("Secret", false))
	_, err = f.NewSheet("Folk")
	must(err)
	must(f.SetSheetRow("Folk", "A2", &[]any{"E-mail", "Mobil", "Tilmeldt", "Bekræftet", "Opens", "Født", "VIP", "Navn"}))
	must(f.SetSheetRow("Folk", "A4", &[]any{
		"a@example.org", int64(4520123456), time.Date(2024, 1, 31, 10, 11, 12, 0, time.UTC), 45000.5, 3,
		time.Date(1980, 5, 6, 0, 0, 0, 0, time.UTC), true, "=1+1\x07",
	}))
	date, err := f.NewStyle(&excelize.Style{NumFmt: 14})
	must(err)
	must(f.SetCellStyle("Folk", "F4", "F4", date))
	must(f.SetCellFormula("Folk", "E5", "1+1"))
	must(f.SetSheetRow("Folk", "A6", &[]any{"b@example.org", nil, "31.01.2024", nil, nil, nil, nil, "Bo", "beyond"}))
	must(f.SetSheetRow("Folk", "A7", &[]any{"c@example.org", nil, 99999}))
	var b bytes.Buffer
	must(f.Write(&b))
	return b.Bytes()
}

func TestExcelize(t *testing.T) {
	r, rows := read(t, string(workbookBytes(t)), Options{})
	if r.Format() != `XLSX, sheet "Folk"` {
		t.Error(r.Format())
	}
	want := []Row{
		{
			Line: 4, Email: "a@example.org", Mobile: "4520123456", SignedUpAt: time.Date(2024, 1, 31, 10, 11, 12, 0, time.UTC),
			ConfirmedAt: time.Date(2023, 3, 15, 12, 0, 0, 0, time.UTC), Opens: 3,
			Own: []Field{{"Født", "1980-05-06"}, {"VIP", "true"}, {"Navn", "=1+1\uFFFD"}},
		},
		{Line: 6, Problem: "too many columns"},
		{Line: 7, Problem: "the sign-up time lies in the future"},
	}
	if diff := cmp.Diff(want, rows, rowsEqual); diff != "" {
		t.Error(diff)
	}
	if done, total := r.Progress(); done != total || total == 0 {
		t.Errorf("%d of %d", done, total)
	}
}

func TestDates1904(t *testing.T) {
	f := excelize.NewFile()
	defer f.Close()
	yes := true
	if err := f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}); err != nil {
		t.Fatal(err)
	}
	for cell, v := range map[string]any{"A1": "email", "B1": "signed up", "A2": "a@example.org", "B2": 43538} {
		if err := f.SetCellValue("Sheet1", cell, v); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if _, rows := read(t, b.String(), Options{}); !rows[0].SignedUpAt.Equal(day(2023, 3, 15)) {
		t.Errorf("got %v", rows[0].SignedUpAt)
	}
}

// TestLibreOffice reads what LibreOffice makes of a CSV file.
func TestLibreOffice(t *testing.T) {
	office, err := exec.LookPath("soffice")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("LibreOffice is not installed")
		}
		t.Skip("LibreOffice is not installed")
	}
	dir := t.TempDir()
	csv := "email,mobile,first_name,signed_up_at,signed_up_ip,opens,born,note\n" +
		"a@example.org,+4520123456,Søren,2024-01-31 10:11:12,192.0.2.7,3,1980-05-06,\"two\nlines\"\n" +
		"b@example.org,4520123456,李,2024-01-31,,,,@x\n"
	if err := os.WriteFile(filepath.Join(dir, "people.csv"), []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(office, "-env:UserInstallation=file://"+dir+"/profile", "--headless",
		"--infilter=CSV:44,34,76,1,,0,false,true", "--convert-to", "xlsx", "--outdir", dir, filepath.Join(dir, "people.csv"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r, err := Open(filepath.Join(dir, "people.xlsx"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	rows := readAll(t, r)
	for i := range rows { // LibreOffice takes +45… for a number
		rows[i].Mobile = strings.TrimPrefix(rows[i].Mobile, "+")
	}
	want := []Row{
		{
			Line: 2, Email: "a@example.org", Mobile: "4520123456", FirstName: "Søren", SignedUpAt: time.Date(2024, 1, 31, 10, 11, 12, 0, time.UTC),
			SignedUpIP: netip.MustParseAddr("192.0.2.7"), Opens: 3, Own: []Field{{"born", "1980-05-06"}, {"note", "two\nlines"}},
		},
		{Line: 3, Email: "b@example.org", Mobile: "4520123456", FirstName: "李", SignedUpAt: day(2024, 1, 31), Own: []Field{{"note", "@x"}}},
	}
	if diff := cmp.Diff(want, rows, rowsEqual); diff != "" {
		t.Error(diff)
	}
}

// repack changes a part of the workbook.
func repack(t *testing.T, part string, change func(string) string) string {
	t.Helper()
	raw := workbookBytes(t)
	in, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == part {
			content = []byte(change(string(content)))
		}
		w, err := out.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A damaged workbook is told of, never taken for a shorter one.
func TestHostileWorkbooks(t *testing.T) {
	const sheet = "xl/worksheets/sheet3.xml"
	for name, c := range map[string]struct {
		part   string
		change func(string) string
		want   string
	}{
		"sheet breaks off":    {sheet, func(s string) string { return s[:strings.Index(s, `r="6"`)] }, "the workbook is damaged"},
		"ends between rows":   {sheet, func(s string) string { return s[:strings.Index(s, `<row r="6"`)] }, "the workbook is damaged"},
		"control character":   {sheet, func(s string) string { return strings.Replace(s, "99999", "\x01", 1) }, "the workbook is damaged"},
		"no such text":        {sheet, func(s string) string { return strings.Replace(s, `<c r="A7" t="s"><v>`, `<c r="A7" t="s"><v>9999`, 1) }, "points to a text"},
		"row out of the page": {sheet, func(s string) string { return strings.Replace(s, `<row r="7"`, `<row r="9999999"`, 1) }, "the workbook is damaged"},
		"bomb":                {sheet, func(s string) string { return s + strings.Repeat(" ", maxPart+1) }, "unpacks to far more"},
		"endless token":       {"xl/sharedStrings.xml", func(s string) string { return strings.Replace(s, "About", strings.Repeat("x", maxToken+maxToken), 1) }, "unpacks to far more"},
		"no sheets":           {"xl/workbook.xml", func(string) string { return "<workbook/>" }, "no visible sheet"},
		"Latin-1 XML":         {"xl/workbook.xml", func(string) string { return `<?xml version="1.0" encoding="ISO-8859-1"?><workbook/>` }, "the workbook is damaged"},
		"a document":          {"_rels/.rels", func(s string) string { return strings.ReplaceAll(s, "xl/workbook.xml", "word/document.xml") }, "no workbook with plain sheets"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(file(t, repack(t, c.part, c.change)), Options{})
			var row Row
			for err == nil && !strings.Contains(row.Problem, c.want) {
				err = r.Next(&row)
			}
			if got := fmt.Sprint(err, row.Problem); !strings.Contains(got, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Phonetic hints are no part of a text.
func TestPhonetic(t *testing.T) {
	content := repack(t, "xl/sharedStrings.xml", func(s string) string {
		return strings.Replace(s, "<t>E-mail</t>", `<r><t>E-</t></r><r><t>mail</t></r><rPh sb="0" eb="1"><t>x</t></rPh>`, 1)
	})
	if r, _ := read(t, content, Options{}); r.Columns()[0].Header != "E-mail" {
		t.Errorf("got %v", r.Columns()[0])
	}
}

func TestIsDateFormat(t *testing.T) {
	for code, want := range map[string]bool{
		"General": false, "0.00E+00": false, `#,##0 "days"`: false, `[Red]0`: false, `\d0`: false, "@": false,
		"yyyy-mm-dd": true, "[$-406]d. mmmm yyyy;@": true, "[h]:mm": true, `General "h"`: false,
	} {
		if got := isDateFormat(code); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}

// bigWorkbook is a sheet of n people as excelize streams it.
func bigWorkbook(t testing.TB, n int) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	sw, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n + 1 {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			t.Fatal(err)
		}
		row := []any{"marie.jensen@example.dk", "Marie", "Jensen", "2024-01-31", 45000.5, 7}
		if i == 0 {
			row = []any{"email", "first_name", "last_name", "signed_up_at", "confirmed_at", "opens"}
		}
		if err := sw.SetRow(cell, row); err != nil {
			t.Fatal(err)
		}
	}
	if err := sw.Flush(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"a_x000D_b": "a\rb", "_x005F_x000D_": "_x000D_", "_x": "_x", "_x00": "_x00", "_xZZZZ_": "_xZZZZ_", "_x__x0041_": "_x_A",
	} {
		if got := unescape(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
