package store

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kartotek/store/storetest"
)

// TestNothingSealedIsForgotten compares the schema with what rotation and a new
// pepper go through: a table that is in neither would be lost.
func TestNothingSealedIsForgotten(t *testing.T) {
	storetest.Embedded(t)
	column := regexp.MustCompile(`(?m)^  (sealed|address_key|mobile_key|limit_key) `)
	sealed, keyed := []string{}, []string{}
	for _, step := range sqliteSteps() {
		name := regexp.MustCompile(`CREATE TABLE IF NOT EXISTS (\w+)`).FindStringSubmatch(step)
		if name == nil {
			continue
		}
		for _, c := range column.FindAllStringSubmatch(step, -1) {
			if c[1] == "sealed" {
				sealed = append(sealed, name[1])
			} else {
				keyed = append(keyed, name[1]+"."+c[1])
			}
		}
	}
	want := []string{"evidence"} // under the address, which the peppers open
	for _, s := range sealedTables {
		want = append(want, s.name)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(sealed))); diff != "" {
		t.Errorf("sealed tables (-known +schema)\n%s", diff)
	}
	want = []string{"erasures.address_key"} // see keyedColumns
	for _, k := range keyedColumns {
		want = append(want, k.table+"."+k.column)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(keyed))); diff != "" {
		t.Errorf("keyed columns (-known +schema)\n%s", strings.TrimSpace(diff))
	}
}

// TestUsableSince: after the time of a destroyed key comes that of the next,
// which may be destroyed too.
func TestUsableSince(t *testing.T) {
	day := func(n int) *time.Time {
		at := time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC)
		return &at
	}
	key := func(created, until int, destroyed bool) keyTimes {
		k := keyTimes{Created: *day(created), Retired: day(until), Resealed: day(until)}
		if destroyed {
			k.Destroyed = day(28)
		}
		return k
	}
	for name, tt := range map[string]struct {
		next []keyTimes
		want int
	}{
		"alone":               {nil, 3},
		"the next one too":    {[]keyTimes{key(3, 7, true)}, 7},
		"two more":            {[]keyTimes{key(7, 9, true), key(2, 7, true)}, 9},
		"one between is kept": {[]keyTimes{key(3, 7, false), key(7, 9, true)}, 3},
		"an earlier one":      {[]keyTimes{key(0, 1, true)}, 3},
	} {
		s, first := &secrets{times: map[string]keyTimes{}}, key(1, 3, true)
		for i, k := range append(tt.next, first) {
			s.times[keyName(uint32(i))] = k
		}
		if got := s.usableSince(first); !got.Equal(*day(tt.want)) {
			t.Errorf("%s: %v, want %v", name, got, day(tt.want))
		}
	}
}
