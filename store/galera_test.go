//go:build soak

package store

import (
	"path/filepath"
	"testing"

	"kartotek/store/storetest"
)

// TestGaleraAsked: a node of a cluster is asked whether it has applied all of a
// transaction before each commit, and an act whose commit's answer is lost there
// is kept once.
func TestGaleraAsked(t *testing.T) {
	if storetest.Engine == storetest.SQLite {
		t.Skip("this is about a database cluster")
	}
	cluster, dir := storetest.StartGalera(t), t.TempDir()
	p := storetest.Place{URL: storetest.On(t, cluster.Address), Keys: filepath.Join(dir, "keys.json"), Files: dir}
	if acts, asked := askedWhether(t, cluster.Address, p); acts != 3 || asked != acts {
		t.Errorf("of %d acts, it was asked of %d", acts, asked)
	}
	lostAnswers(t, p)
	s, err := Open(t.Context(), options(p))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if there, err := s.InCluster(t.Context()); err != nil || !there {
		t.Errorf("a store on a cluster says whether it is on one: %v, %v", there, err)
	}
}
