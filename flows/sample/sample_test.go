package sample

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"net/mail"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// fiction are the ranges that PTS and the Bundesnetzagentur keep unassigned.
var fiction = regexp.MustCompile(`^\+(46701740(60[5-9]|6[1-9]\d)|4917139200\d\d|49176040690\d\d)$`)

// write makes a sample and reads its records, the header apart.
func write(t testing.TB, n int, seed uint64) (raw []byte, header []string, records [][]string) {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, n, seed, now); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), all[0], all[1:]
}

func TestSeed(t *testing.T) {
	one, _, _ := write(t, 500, 1)
	again, _, _ := write(t, 500, 1)
	other, _, _ := write(t, 500, 2)
	longer, _, _ := write(t, 600, 1)
	if !bytes.Equal(one, again) {
		t.Error("the same seed gives another file")
	}
	if bytes.Equal(one, other) {
		t.Error("another seed gives the same file")
	}
	if !bytes.HasPrefix(longer, one) {
		t.Error("a longer sample begins in another way")
	}
}

func TestLocalPartsAreValid(t *testing.T) {
	_, _, records := write(t, 20_000, 1)
	for _, r := range records {
		if local, _, _ := strings.Cut(r[0], "@"); len(local) > 64 {
			t.Errorf("a local part of %d octets: %s", len(local), local)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, n := range []int{0, 1, 2000} {
		if _, _, records := write(t, n, 7); len(records) != n {
			t.Errorf("%d contacts, want %d", len(records), n)
		}
	}
	for _, n := range []int{-1, Most + 1} {
		if err := Write(io.Discard, n, 1, now); err == nil {
			t.Errorf("%d contacts were written", n)
		}
	}
}

// Nothing in a sample can reach a person, and each contact's history is one
// that can have happened.
func TestHarmlessAndPlausible(t *testing.T) {
	_, header, records := write(t, 50_000, 3)
	blocks := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
	}
	seen := map[string]bool{}
	once := func(what, v string) {
		t.Helper()
		if seen[what+v] {
			t.Fatalf("the %s %s comes twice", what, v)
		}
		seen[what+v] = true
	}
	at := func(v string) time.Time {
		t.Helper()
		when, err := time.Parse(time.RFC3339, v)
		if err != nil || when.After(now) {
			t.Fatalf("time %q: %v", v, err)
		}
		return when
	}
	for _, rec := range records {
		get := func(column string) string { return rec[slices.Index(header, column)] }
		once("address", get("email"))
		_, domain, _ := strings.Cut(get("email"), "@")
		if domain != "example.com" && domain != "example.org" && domain != "example.net" && !strings.HasSuffix(domain, ".example") {
			t.Fatalf("%s can be someone's domain", domain)
		}
		if a, err := mail.ParseAddress(get("email")); err != nil || a.Address != get("email") {
			t.Fatalf("address %q: %v", get("email"), err)
		}
		if v := get("mobile"); v != "" {
			once("number", v)
			n, err := phonenumbers.Parse(v, "")
			if err != nil || !phonenumbers.IsValidNumber(n) || !fiction.MatchString(v) {
				t.Fatalf("number %q: %v", v, err)
			}
		}
		for _, column := range []string{"signed_up_ip", "confirmed_ip"} {
			ip, err := netip.ParseAddr(get(column))
			if err != nil || !slices.ContainsFunc(blocks, func(p netip.Prefix) bool { return p.Contains(ip) }) {
				t.Fatalf("%s %q: %v", column, get(column), err)
			}
		}
		confirmed := at(get("confirmed_at"))
		if at(get("signed_up_at")).After(confirmed) {
			t.Fatalf("confirmed before signed up: %v", rec)
		}
		opens, err := strconv.Atoi(get("opens"))
		if err != nil || (opens > 0) != (get("last_activity_at") != "") {
			t.Fatalf("activity: %v", rec)
		}
		if opens > 0 && at(get("last_activity_at")).Before(confirmed) {
			t.Fatalf("active before confirmed: %v", rec)
		}
	}
	if !seen["number+46701740699"] || !seen["number+491713920000"] || !seen["number+4917604069099"] {
		t.Error("the numbers for fiction are not used")
	}
}

func TestHasUnusualNames(t *testing.T) {
	raw, _, _ := write(t, 5_000, 1)
	for _, s := range []string{"李", "Ågård", "Groß", "Hohenwarth", "ø", "O'Neill"} {
		if !bytes.Contains(raw, []byte(s)) {
			t.Errorf("no %s in 5,000 contacts", s)
		}
	}
}

// full is a writer without room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	for _, n := range []int{1, 100_000} {
		if err := Write(full{}, n, 1, now); !errors.Is(err, errFull) {
			t.Errorf("got %v", err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	const n = 100_000
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, n, 1, now); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "contacts/s")
}
