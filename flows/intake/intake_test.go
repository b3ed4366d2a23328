package intake

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// rowsEqual compares rows by what they say.
var rowsEqual = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()}

// file writes an import file.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.txt")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads a file to its end.
func readAll(t testing.TB, r *Reader) []Row {
	t.Helper()
	var out []Row
	var row Row
	for {
		err := r.Next(&row)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d rows: %v", len(out), err)
		}
		kept := row
		kept.Own = append([]Field(nil), row.Own...)
		out = append(out, kept)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// read opens a file with the given content and reads it.
func read(t testing.TB, content string, o Options) (*Reader, []Row) {
	t.Helper()
	r, err := Open(file(t, content), o)
	if err != nil {
		t.Fatal(err)
	}
	return r, readAll(t, r)
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

var encodings = []struct {
	name string
	bom  string
	enc  encoding.Encoding
}{
	{"UTF-8", "", encoding.Nop},
	{"UTF-8", "\xEF\xBB\xBF", encoding.Nop},
	{"UTF-16", "", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)},
	{"UTF-16", "", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	{"UTF-16 (big-endian)", "", unicode.UTF16(unicode.BigEndian, unicode.UseBOM)},
	{"UTF-16 (big-endian)", "", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
	{"Windows-1252", "", charmap.Windows1252},
}

var headers = map[string][]string{
	"English": {"E-mail Address", "Mobile", "First Name", "Last_Name", "City", "Signed up at", "Signed-up IP", "Customer no."},
	"Danish":  {"E-mail", "Mobilnummer", "Fornavn", "Efternavn", "By", "Tilmeldt", "Tilmeldt IP", "Kundenr"},
	"Swedish": {"E-postadress", "Mobil", "Förnamn", "Efternamn", "Stad", "Anmäld", "Anmäld från IP", "Kundnr"},
	"German":  {"E-Mail-Adresse", "Handynummer", "Vorname", "Nachname", "Ort", "Angemeldet am", "Anmelde-IP", "Kundennr"},
}

func TestEncodingDelimiterLanguage(t *testing.T) {
	values := []string{"søren@example.dk", "+45 20 12 34 56", "Søren", "Ågård; Jr, \"Ø\" | x\ty", "Köln", "31.01.2024 10:11:12", "192.0.2.7", "K-1"}
	for language, names := range headers {
		for _, d := range delimiters {
			for _, e := range encodings {
				for _, end := range []string{"\n", "\r\n", "\r"} {
					t.Run(fmt.Sprintf("%s/%s/%s%x/%q", language, d.name, e.name, e.bom, end), func(t *testing.T) {
						var text strings.Builder
						for _, line := range [][]string{names, values} {
							for i, v := range line {
								if i > 0 {
									text.WriteRune(d.comma)
								}
								if strings.ContainsAny(v, ",;|\t\"") {
									v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
								}
								text.WriteString(v)
							}
							text.WriteString(end)
						}
						raw, err := e.enc.NewEncoder().String(text.String())
						if err != nil {
							t.Fatal(err)
						}
						r, rows := read(t, e.bom+raw, Options{})
						if want := "CSV, " + d.name + ", " + e.name; r.Format() != want {
							t.Errorf("format %q, want %q", r.Format(), want)
						}
						want := []Row{{
							Line: 2, Email: "søren@example.dk", Mobile: "+45 20 12 34 56", FirstName: "Søren",
							LastName: `Ågård; Jr, "Ø" | x y`, City: "Köln",
							SignedUpAt: time.Date(2024, 1, 31, 10, 11, 12, 0, time.UTC), SignedUpIP: netip.MustParseAddr("192.0.2.7"),
							Own: []Field{{names[7], "K-1"}},
						}}
						if diff := cmp.Diff(want, rows, rowsEqual); diff != "" {
							t.Error(diff)
						}
					})
				}
			}
		}
	}
}

func TestEveryField(t *testing.T) {
	_, rows := read(t, strings.Join(Fields(), ",")+"\n"+
		"a@example.org,+4520123456,Ann,Lee,en,UK,York,Shop,VIP,2024-01-31T10:11:12+02:00,2001:db8::1,2024-02-01,::ffff:192.0.2.9,2024-02-02 08:00,3,2,1\n", Options{})
	want := []Row{{
		Line: 2, Email: "a@example.org", Mobile: "+4520123456", FirstName: "Ann", LastName: "Lee", Language: "en",
		Country: "UK", City: "York", Source: "Shop", Rating: "VIP",
		SignedUpAt: time.Date(2024, 1, 31, 8, 11, 12, 0, time.UTC), SignedUpIP: netip.MustParseAddr("2001:db8::1"),
		ConfirmedAt: day(2024, 2, 1), ConfirmedIP: netip.MustParseAddr("192.0.2.9"),
		LastActivityAt: time.Date(2024, 2, 2, 8, 0, 0, 0, time.UTC), Opens: 3, Clicks: 2, Updates: 1,
	}}
	if diff := cmp.Diff(want, rows, rowsEqual); diff != "" {
		t.Error(diff)
	}
}

func TestColumns(t *testing.T) {
	r, _ := read(t, "Telefon;Kunde e-mail;Mobil;Intern;Note;note;;\nx;y;z;q;1;2;3;4\n", Options{Map: map[string]string{
		" kunde E-MAIL ": "E-mail", "intern": "Ignore",
	}})
	want := []Column{
		{"Telefon", "Telefon", true}, // a guess that gives way to Mobil
		{"Kunde e-mail", "email", false},
		{"Mobil", "mobile", false},
		{"Intern", "ignore", false},
		{"Note", "Note", true},
		{"note", "note (column 6)", true},
	}
	if diff := cmp.Diff(want, r.Columns()); diff != "" {
		t.Error(diff)
	}
}

func TestOpenRefuses(t *testing.T) {
	many := strings.Repeat("c,", maxColumns) + "email\n"
	for name, c := range map[string]struct {
		content string
		o       Options
		want    string
	}{
		"empty":               {"", Options{}, "the file is empty"},
		"blank":               {" \r\n\n\t\n", Options{}, "nothing but blank lines"},
		"only a mark":         {"\xEF\xBB\xBF", Options{}, "nothing but blank lines"},
		"old Excel":           {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Options{}, "save it as .xlsx"},
		"gzip":                {"\x1F\x8B\x08\x00", Options{}, "unpack it"},
		"binary":              {"email\x00\x00\x00\x01\x02\x00", Options{}, "not a text file"},
		"odd UTF-16":          {"\xFF\xFEe\x00m\x00a", Options{}, "odd number of bytes"},
		"HTML":                {"<html><table>", Options{}, "HTML or XML"},
		"JSON array":          {`[{"email":"a@example.org"}]`, Options{}, "one object per line"},
		"JSON cut short":      {`{`, Options{}, "one whole object per line"},
		"JSON without email":  {`{"name":"x"}`, Options{}, `"name": say which one does, for example --map "name=email"`},
		"no email":            {"name;age\nx;3\n", Options{}, `the columns are "name", "age": say which one does, for example --map "name=email"`},
		"no header":           {"ann@example.org;Ann\n", Options{}, "holds values instead of column names"},
		"two emails":          {"E-mail;name;Email address\n", Options{}, `the columns "E-mail" and "Email address" both hold the field email`},
		"two guesses":         {"email;Telefon;Phone\n", Options{}, `the columns "Telefon" and "Phone" both hold the field mobile`},
		"unknown map":         {"email;name\n", Options{Map: map[string]string{"Navn": "first_name"}}, `--map names a column "Navn" that the file doesn't have; its columns are "email", "name"`},
		"map to nothing":      {"email;name\n", Options{Map: map[string]string{"name": " "}}, "nowhere"},
		"map twice":           {"email;name\n", Options{Map: map[string]string{"name": "city", "Name": "ignore"}}, `to both "city" and "ignore"`},
		"map makes two":       {"email;name\n", Options{Map: map[string]string{"name": "email"}}, "both hold the field email"},
		"map ignores email":   {"email;name\n", Options{Map: map[string]string{"email": "ignore"}}, "no column holds email addresses"},
		"too many columns":    {many, Options{}, "1001 columns"},
		"header never closed": {"\"email,name\na@example.org,x\n", Options{}, "line 1, which should hold the column names: " + openQuote},
		"zip of other things": {"PK\x05\x06" + strings.Repeat("\x00", 18), Options{}, "zip archive and no workbook"},
		"zip cut short":       {"PK\x03\x04abc", Options{}, "cut short or damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(file(t, c.content), c.o)
			if err == nil {
				r.Close()
				t.Fatalf("opened as %s", r.Format())
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "ann@") {
				t.Errorf("got %q, want one line with %q and no value", err, c.want)
			}
		})
	}
	for path, want := range map[string]string{t.TempDir(): "is a directory", filepath.Join(t.TempDir(), "x.csv"): "there is no file", "-": "not standard input", "/dev/null": "not a plain file"} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

func TestProblems(t *testing.T) {
	const head = "email,mobile,first_name,signed_up_at,signed_up_ip,opens,shop\n"
	for name, c := range map[string]struct{ line, want string }{
		"fewer columns":      {"a@example.org,,Ann", ""},
		"empty extra":        {"a@example.org,,,,,,,,,", ""},
		"more columns":       {"a@example.org,,,,,,,more", "too many columns"},
		"bad UTF-8":          {"a@example.org,,Æ\xE6", "not valid UTF-8"},
		"long":               {"a@example.org,," + strings.Repeat("x", 10_001), "a field longer than 10,000 characters"},
		"long enough":        {"a@example.org,," + strings.Repeat("ø", 10_000), ""},
		"CRLF in address":    {"\"a@example.org\nBcc: b@example.org\",,,,,,", "a line break or control character inside the email address"},
		"NUL in address":     {"a@exam\x00ple.org", "a line break or control character inside the email address"},
		"line in mobile":     {"a@example.org,\"+45\n20123456\",,,,,", "a line break or control character inside the mobile number"},
		"spoilt mobile":      {"a@example.org,\"4,52E+09\"", "a spreadsheet program shortened the mobile number to a power of ten: format that column as text and export again"},
		"not a date":         {"a@example.org,,,yesterday", "the sign-up time is not a date that can be read"},
		"a date in two ways": {"a@example.org,,,03/04/2024", "the sign-up time can be read in two ways: write dates as 2026-01-31"},
		"future":             {"a@example.org,,,2999-01-01", "the sign-up time lies in the future"},
		"past":               {"a@example.org,,,1989-12-31", "the sign-up time lies before 1990"},
		"bad IP":             {"a@example.org,,,,192.0.2.256", "the sign-up IP address is not an IP address"},
		"zone":               {"a@example.org,,,,fe80::1%eth0", "the sign-up IP address is not an IP address"},
		"bad number":         {"a@example.org,,,,,many", "the number of opens is not a whole number"},
		"negative":           {"a@example.org,,,,,-1", "the number of opens is not a whole number"},
		"bare quotes":        {`a@example.org,,Ann "Nan" Lee`, ""},
		"quote in the wrong": {`a@example.org,,"Ann" Lee`, openQuote},
		"a lone quote":       {`a@example.org,,Ann 5" Lee`, openQuote},
		"controls in a name": {"a@example.org,,A\x1b[2Jn\u202en", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, rows := read(t, head+c.line+"\nnext@example.org\n", Options{})
			if len(rows) != 2 || rows[0].Problem != c.want || rows[1].Email != "next@example.org" {
				t.Fatalf("got %+v, want the problem %q, then the next line", rows, c.want)
			}
			if c.want != "" && !cmp.Equal(rows[0], Row{Line: 2, Problem: c.want}, rowsEqual) {
				t.Errorf("an invalid line holds values: %+v", rows[0])
			}
		})
	}
}

// A letter beyond ASCII may come late, and one damaged line does not change
// the encoding of the others.
func TestLateLetters(t *testing.T) {
	plain := "email,name\n" + strings.Repeat("a@example.org,Ann\n", 150_000)
	r, rows := read(t, plain+"b@example.org,S\xF8ren\n", Options{})
	if r.Format() != "CSV, comma, Windows-1252" || rows[len(rows)-1].Own[0].Value != "Søren" {
		t.Errorf("%s, %+v", r.Format(), rows[len(rows)-1])
	}
	r, rows = read(t, plain+"b@example.org,Søren\nc@example.org,S\xF8ren\nd@example.org,Åse\n", Options{})
	if n := len(rows); r.Format() != "CSV, comma, UTF-8" || rows[n-2].Problem != "not valid UTF-8" || rows[n-1].Own[0].Value != "Åse" {
		t.Errorf("%s, %+v", r.Format(), rows[n-2:])
	}
}

func TestProgress(t *testing.T) {
	content := "email,name\n" + strings.Repeat("a@example.org,Ann\n", 50_000)
	r, _ := read(t, content, Options{})
	if done, total := r.Progress(); done != total || total != int64(len(content)) {
		t.Errorf("%d of %d, want %d", done, total, len(content))
	}
}

// A letter of two bytes may lie across two blocks of the scan.
func TestLetterAcrossBlocks(t *testing.T) {
	const head = "email\n"
	line := strings.Repeat("a", 999) + "\n"
	for before := scanBlock - 2; before < scanBlock+8; before++ {
		content := head + strings.Repeat(line, (before-len(head))/len(line))
		content += strings.Repeat("b", before-len(content)) + "ø\n"
		r, rows := read(t, content, Options{})
		if r.Format() != "CSV, comma, UTF-8" || !strings.HasSuffix(rows[len(rows)-1].Email, "ø") {
			t.Errorf("%d bytes before the letter: %s", before, r.Format())
		}
	}
}

// Where no column is known, the records decide.
func TestDelimiterByRecords(t *testing.T) {
	for content, want := range map[string]string{
		"name,first;age\nx;3\nLee, A;4\n": `"name,first", "age"`,
		"name;age\nx\ny\n":                `"name", "age"`,
		"name|\"a;b;c\"\nx|1\n":           `"name", "a;b;c"`,
		"name\nx\n":                       `"name"`,
	} {
		if _, err := Open(file(t, content), Options{}); err == nil || !strings.Contains(err.Error(), "the columns are "+want+":") {
			t.Errorf("%q: got %v", content, err)
		}
	}
}

func TestGuardedMobile(t *testing.T) {
	if _, rows := read(t, "email,mobile\na@example.org,'+4520123456\n", Options{}); rows[0].Mobile != "+4520123456" {
		t.Errorf("got %q", rows[0].Mobile)
	}
}
