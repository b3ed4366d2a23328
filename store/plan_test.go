package store

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"kartotek/store/storetest"
)

// TestPlansOfPages reads how SQLite means to run each page: along an index that
// ends in the sort key, never over a whole table, sorting no more than a page
// of each stretch.
func TestPlansOfPages(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := context.Background()
	for b := range everyFilter() {
		for _, from := range []BrowseQuery{{}, {FromEnd: true, Backwards: true}, {Backwards: true}} {
			b := b
			b.FromEnd, b.Backwards, b.Limit = from.FromEnd, from.Backwards, 51
			query, args := b.sql()
			t.Run(b.title(), func(t *testing.T) {
				checkPlan(t, planOf(t, ctx, s, query, args))
			})
		}
	}
}

// TestPlanOfDue reads how SQLite means to look for letters that are due: by the
// index alone, and sorting none.
func TestPlanOfDue(t *testing.T) {
	s := open(t, t.TempDir())
	args := make([]any, strings.Count(dueQuery, "?"))
	for i := range args {
		args[i] = 9
	}
	arms := 0
	for _, step := range planOf(t, t.Context(), s, dueQuery, args) {
		switch {
		case strings.Contains(step, "USING COVERING INDEX outbox_by_due (state=? AND due_at<?)"):
			arms++
		case strings.Contains(step, "outbox"), strings.Contains(step, "TEMP B-TREE"):
			t.Errorf("more than a stretch of the index: %s", step)
		}
	}
	if arms != len(dueStates) {
		t.Errorf("%d stretches are read", arms)
	}
}

func planOf(t *testing.T, ctx context.Context, s *Store, query string, args []any) []string {
	t.Helper()
	storetest.Embedded(t)
	var plan []string
	err := s.each(ctx, func(rows *sql.Rows) error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		plan = append(plan, detail)
		return err
	}, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func checkPlan(t *testing.T, plan []string) {
	t.Helper()
	searched := false
	for i, step := range plan {
		switch {
		case strings.HasPrefix(step, "SEARCH"):
			searched = true
		case step == "SCAN arm", step == "SCAN page": // a page of rows
		case strings.HasPrefix(step, "SCAN"):
			t.Errorf("a whole table is walked through: %s", step)
		case strings.Contains(step, "TEMP B-TREE") && plan[i-1] != "SCAN arm":
			t.Errorf("more than a page of each stretch is sorted: %s", step)
		}
	}
	if !searched || t.Failed() {
		t.Errorf("the plan is\n%s", strings.Join(plan, "\n"))
	}
}
