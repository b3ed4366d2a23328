package mta

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A deadline stays while it leaves nearly the time that is asked for, and never more than that or than ctx has.
func TestDeadlineRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var l deadline
		for _, tt := range []struct {
			at, d, want time.Duration
			set         bool
		}{
			{0, 2 * time.Minute, 2 * time.Minute, true},
			{5 * time.Second, 2 * time.Minute, 2 * time.Minute, false},
			{8 * time.Second, 2 * time.Minute, 2*time.Minute + 8*time.Second, true},
			{8 * time.Second, time.Minute, time.Minute + 8*time.Second, true}, // shorter
			{5 * time.Minute, time.Minute, 6 * time.Minute, true},             // long past
			{9*time.Minute + 55*time.Second, time.Minute, 10 * time.Minute, true},
			{9*time.Minute + 56*time.Second, time.Hour, 10 * time.Minute, false},
		} {
			time.Sleep(time.Until(began.Add(tt.at)))
			if _, set := l.renew(ctx, tt.d); set != tt.set || !time.Time(l).Equal(began.Add(tt.want)) {
				t.Errorf("after %v, %v: set %v to %v, want %v to %v", tt.at, tt.d, set, time.Time(l).Sub(began), tt.set, tt.want)
			}
		}
	})
}
