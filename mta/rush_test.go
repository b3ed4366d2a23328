package mta

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestSenderTellsOfARush(t *testing.T) {
	tests := []struct {
		name    string
		letters int
		stopped time.Duration // after it began
		want    []bool
	}{
		{"a few are none", rush - 1, time.Minute, nil},
		{"many are one, until none waits", 300, time.Minute, []bool{true, false}},
		{"one that is stopped is over", 1000, time.Second / 2, []bool{true, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []bool
				route := routeFunc(func(ctx context.Context, l Letter) Verdict {
					time.Sleep(100 * time.Millisecond)
					return took(ctx, l)
				})
				stop := start(t, quietSender(newMemSpool(numbered(tt.letters)...), route, WithConcurrency(40), WithRush(func(on bool) { told = append(told, on) })))
				time.Sleep(tt.stopped)
				stop()
				if !slices.Equal(told, tt.want) {
					t.Errorf("told %v; want %v", told, tt.want)
				}
			})
		})
	}
}
