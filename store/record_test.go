package store

import "testing"

// TestEveryKindHasARecordName: what the log commits to must not change with
// what screens call it.
func TestEveryKindHasARecordName(t *testing.T) {
	seen := map[string]bool{}
	for kind := range kindNames {
		name := recordNames[kind]
		if name == "" || seen[name] {
			t.Errorf("%s is called %q in records", kind, name)
		}
		seen[name] = true
	}
}
