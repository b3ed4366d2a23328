package sample

import (
	"bytes"
	"encoding/csv"
	"testing"
	"time"
)

// activityOf writes the activity of some contacts and reads it back.
func activityOf(t *testing.T, contacts []byte, seed uint64) (raw []byte, events [][]string) {
	t.Helper()
	var b bytes.Buffer
	if err := WriteActivity(&b, bytes.NewReader(contacts), seed, now); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), all[1:]
}

func TestActivity(t *testing.T) {
	contacts, _, records := write(t, 500, 1)
	raw, events := activityOf(t, contacts, 1)
	again, _ := activityOf(t, contacts, 1)
	if !bytes.Equal(raw, again) {
		t.Error("the same seed gives another file")
	}
	if other, _ := activityOf(t, contacts, 2); bytes.Equal(raw, other) {
		t.Error("another seed gives the same file")
	}
	known := map[string]bool{}
	for _, r := range records {
		known[r[0]] = true
	}
	kinds := map[string]int{}
	for _, e := range events {
		at, err := time.Parse(time.RFC3339, e[2])
		if err != nil || at.After(now) || at.Before(now.Add(-activityFor)) || !known[e[0]] {
			t.Errorf("%v: %v", e, err)
		}
		kinds[e[1]]++
	}
	if kinds["open"] < 500 || kinds["click"] < 50 || kinds["update"] == 0 || len(kinds) != 3 {
		t.Errorf("%v", kinds)
	}
}

func TestActivityOfOtherFiles(t *testing.T) {
	for _, content := range []string{"", "email,rating\na@b.dk,VIP\n"} {
		if err := WriteActivity(&bytes.Buffer{}, bytes.NewReader([]byte(content)), 1, now); err == nil {
			t.Errorf("took %q", content)
		}
	}
}
