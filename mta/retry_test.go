package mta

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRetryAfter(t *testing.T) {
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	mid, low, high := 0.5, 0.0, 0.9999999
	tests := []struct {
		name     string
		attempts int
		age      time.Duration
		rnd      float64
		wait     time.Duration // rounded to seconds; 0 when given up
	}{
		{"first", 1, 0, mid, 5 * time.Minute},
		{"first, shortest", 1, 0, low, 4 * time.Minute},
		{"first, longest", 1, 0, high, 6 * time.Minute},
		{"second", 2, time.Hour, mid, 10 * time.Minute},
		{"seventh", 7, time.Hour, mid, 320 * time.Minute},
		{"eighth is capped", 8, time.Hour, mid, 6 * time.Hour},
		{"thousandth is capped", 1000, time.Hour, mid, 6 * time.Hour},
		{"attempts not counted", 0, 0, mid, 5 * time.Minute},
		{"the last try is at four days", 20, 95 * time.Hour, mid, time.Hour},
		{"given up", 20, 96 * time.Hour, mid, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := created.Add(tt.age)
			next, giveUp := RetryAfter(tt.attempts, created, now, func() float64 { return tt.rnd })
			if giveUp != (tt.wait == 0) {
				t.Fatalf("given up: %v", giveUp)
			}
			if giveUp {
				return
			}
			if got := next.Sub(now).Round(time.Second); got != tt.wait {
				t.Errorf("waits %v, want %v", got, tt.wait)
			}
		})
	}
}

// However often a letter is deferred, its tries end, grow no closer than the first, and stay within four days.
func TestRetryEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		created := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "created"), 0)
		rnd := func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "rnd") }
		now := created
		for attempts := 1; ; attempts++ {
			next, giveUp := RetryAfter(attempts, created, now, rnd)
			if giveUp {
				if now.Sub(created) != giveUpAfter {
					t.Fatalf("given up after %v", now.Sub(created))
				}
				return
			}
			if !next.After(now) || next.Sub(created) > giveUpAfter || attempts > 60 {
				t.Fatalf("try %d at %v, the next at %v", attempts, now.Sub(created), next.Sub(created))
			}
			now = next
		}
	})
}
