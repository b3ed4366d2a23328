package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ddl runs statements that change the schema.
func (s *Store) ddl(t *testing.T, statements ...string) {
	t.Helper()
	for _, text := range statements {
		var err error
		switch e := s.engine.(type) {
		case *sqliteEngine:
			_, err = e.write.conn.ExecContext(t.Context(), dropsIndex.ReplaceAllString(text, "DROP INDEX $1"))
		case *mysqlEngine:
			_, err = e.write.ExecContext(t.Context(), text)
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// TestMembershipsOfAnOlderStore takes a store back to when memberships carried
// less, and brings it up to date.
func TestMembershipsOfAnOlderStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ctx := context.Background()
	contacts, onList := populate(t, ctx, s, 1200) // more than a chunk
	all := mysqlSteps()
	first := slices.IndexFunc(all, func(step string) bool { return strings.Contains(step, "memberships ADD COLUMN rating") })
	for _, step := range all[first:] {
		switch made, dropped := makesIndex.FindStringSubmatch(step), dropsIndex.FindStringSubmatch(step); {
		case made != nil:
			table := strings.Fields(step)[4]
			s.ddl(t, "DROP INDEX "+made[1]+" ON "+table)
		case dropped != nil:
			i := slices.IndexFunc(all, func(step string) bool { return strings.HasPrefix(step, "CREATE INDEX "+dropped[1]+" ") })
			s.ddl(t, all[i])
		}
	}
	s.ddl(t, "ALTER TABLE memberships DROP COLUMN rating", "ALTER TABLE memberships DROP COLUMN source", "ALTER TABLE memberships DROP COLUMN found_as",
		"ALTER TABLE outbox DROP COLUMN last_lease", "DROP TABLE leases")
	if _, ok := s.engine.(*sqliteEngine); ok {
		s.ddl(t, fmt.Sprintf("PRAGMA user_version=%d", first))
	} else if err := s.InTx(ctx, func(tx *Tx) error { return tx.SetSetting(ctx, settingSchema, fmt.Sprint(first)) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if n, err := s.SchemaVersion(ctx); err != nil || n != int64(len(all)) {
		t.Errorf("migrated to %d, %v", n, err)
	}
	indexesAre(t, s, Good)
	checkCarried(t, s)
	b := BrowseQuery{ListID: 1, Source: "Webform", Rating: VIP, Limit: 7}
	var want []int64
	for _, c := range contacts {
		if b.fits(c, onList[[2]int64{c.SubscriberID, 1}]) {
			want = append(want, c.SubscriberID)
		}
	}
	if diff := cmp.Diff(want, pageThrough(t, ctx, s, b)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// checkCarried fails when memberships carry something else than their cards say.
func checkCarried(t *testing.T, s *Store) {
	t.Helper()
	if faults := carriedFaults(t, s); len(faults) > 0 {
		t.Error(faults)
	}
}

func carriedFaults(t *testing.T, s *Store) []string {
	t.Helper()
	d := &deep{queries: s.queries, faults: map[string][]string{}, more: map[string]int{}}
	if err := d.orphans(t.Context()); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(d.faults[faultCopies], func(f string) bool { return !strings.Contains(f, "than their cards") })
}

// TestMembershipsCarry changes what memberships carry of a card, in either
// order of writing, and then each column behind the store's back.
func TestMembershipsCarry(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	populate(t, ctx, s, 40)
	change := func(name string, do func(tx *Tx, c *Contact, m *Membership) error) {
		t.Helper()
		for id := range int64(40) {
			err := s.InTx(ctx, func(tx *Tx) error {
				c, err := tx.Contact(ctx, id+1)
				if err != nil || c.Permission == Deleted {
					return err
				}
				of, err := tx.Memberships(ctx, c.SubscriberID)
				if err != nil || len(of[c.SubscriberID]) == 0 {
					return err
				}
				return do(tx, c, of[c.SubscriberID][0])
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if faults := carriedFaults(t, s); len(faults) > 0 {
			t.Errorf("%s: %q", name, faults)
		}
	}
	change("card first", func(tx *Tx, c *Contact, m *Membership) error {
		c.Permission, c.Source, m.Status = Confirmed, "Shop", Subscribed
		return errors.Join(tx.SaveContact(ctx, c), tx.SaveMembership(ctx, m))
	})
	change("membership first", func(tx *Tx, c *Contact, m *Membership) error {
		c.Permission, c.Source = Unsubscribed, ""
		m.Leave(7)
		return errors.Join(tx.SaveMembership(ctx, m), tx.SaveContact(ctx, c))
	})
	change("card alone", func(tx *Tx, c *Contact, _ *Membership) error {
		c.Permission, c.Rating = Pending, High
		return tx.SaveContact(ctx, c)
	})
	change("behaviour", func(tx *Tx, c *Contact, _ *Membership) error {
		c.Rating, c.LastSeenAt = Low, 99
		return tx.SaveBehaviour(ctx, c)
	})
	change("membership alone", func(tx *Tx, c *Contact, m *Membership) error {
		m.Status = OnHold
		return tx.SaveMembership(ctx, m)
	})
	for column, wrong := range map[string]string{"last_seen_at": "last_seen_at + 1", "rating": "rating - 1", "source": "'Elsewhere'", "found_as": "3 - found_as"} {
		s.ddl(t, "UPDATE memberships SET "+column+" = "+wrong+" WHERE subscriber_id = (SELECT subscriber_id FROM (SELECT MIN(subscriber_id) AS subscriber_id FROM memberships) AS one)")
		if len(carriedFaults(t, s)) == 0 {
			t.Errorf("a wrong %s isn't found", column)
		}
		s.ddl(t, "UPDATE memberships SET rating = (SELECT rating FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id), last_seen_at = (SELECT last_seen_at FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id), source = (SELECT source FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id), found_as = CASE WHEN status = (SELECT permission FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id) THEN status ELSE 0 END")
		checkCarried(t, s)
	}
}

// TestOutrun: who has a store open when a newer version begins to change it
// writes nothing any more, and soon reads nothing.
func TestOutrun(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	if err := announce(ctx, s.engine, int(knownSteps())+1); err != nil {
		t.Fatal(err)
	}
	err := s.InTx(ctx, func(tx *Tx) error { return tx.SetSetting(ctx, SettingCompany, "late") })
	if !errors.Is(err, ErrNewer) {
		t.Errorf("it writes: %v", err)
	}
	if _, err := s.Setting(ctx, SettingCompany); !errors.Is(err, ErrNewer) {
		t.Errorf("it reads: %v", err)
	}
	if err := announce(ctx, s.engine, int(knownSteps())); err != nil { // who is older takes nothing back
		t.Fatal(err)
	}
	if told, err := s.raw.Setting(ctx, settingGoal); err != nil || told != fmt.Sprint(knownSteps()+1) {
		t.Errorf("the goal is %q, %v", told, err)
	}
}
