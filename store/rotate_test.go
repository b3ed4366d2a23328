package store

import (
	"regexp"
	"slices"
	"strings"
	"testing"

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
